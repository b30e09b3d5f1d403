"""What is this machine like? The entry point of a short-lived process: facts as JSON on standard output. I/O.

python -m clusterd.main.probe --config /etc/clusterd/node.toml

The daemon starts it when somebody validates the cluster: what it looks at may block, and the daemon must not.
"""

import signal
import sys
from pathlib import Path

LIFE_MAX_S = 30
"""Whoever asked has given up long before."""


def run(arguments: list[str]) -> int:
    signal.alarm(LIFE_MAX_S)
    from clusterd.adapters.configuration import NodeConfiguration
    from clusterd.adapters.machine_facts import machine_facts
    from clusterd.model.errors import ClusterError
    from clusterd.validation.facts import encode_machine

    try:
        configuration = NodeConfiguration.load(Path(arguments[arguments.index("--config") + 1]))
    except (ClusterError, ValueError, IndexError) as error:
        print(f"clusterd probe: {error}", file=sys.stderr)
        return 1
    sys.stdout.buffer.write(encode_machine(machine_facts(configuration)))
    return 0


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
