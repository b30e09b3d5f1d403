"""What does `clusterd-guard` start? I/O.

    clusterd-guard --run-dir DIR --cluster NAME --node NAME --run-id ID [--stop-budget-ms 500] [--host-plugins DIR ...]
                   [--watchdog /dev/watchdog] [--watchdog-timeout-ms 10000]

With --watchdog the machine is reset when something outlives the stop budget, or when the guard is frozen or killed.
Exit status: 0 stopped in order, 64 wrong usage, 65 another guard has this run directory.
"""

import os
import signal
import sys
from collections.abc import Sequence

USAGE = " ".join(line.strip() for line in __doc__.splitlines()[2:4])
WRONG_USAGE, ANOTHER_GUARD = 64, 65


def run() -> None:
    sys.exit(main(sys.argv[1:]))


def main(arguments: Sequence[str]) -> int:
    options = options_of(arguments)
    if options is None or not all(options.get(name) for name in ("run-dir", "cluster", "node", "run-id")):
        sys.stderr.write(f"usage: {USAGE}\n")
        return WRONG_USAGE
    budget = options.get("stop-budget-ms", ["500"])[-1]
    if not budget.isdigit() or not 1 <= int(budget) <= 60_000:
        sys.stderr.write(f"--stop-budget-ms is a number from 1 to 60000, not {budget}\n")
        return WRONG_USAGE
    timeout = options.get("watchdog-timeout-ms", ["10000"])[-1]
    if not timeout.isdigit() or not 1000 <= int(timeout) <= 600_000:
        sys.stderr.write(f"--watchdog-timeout-ms is a number from 1000 to 600000, not {timeout}\n")
        return WRONG_USAGE
    return _guard(options, int(budget), int(timeout))


def _guard(options: dict[str, list[str]], stop_budget_ms: int, watchdog_timeout_ms: int) -> int:
    # The shadow is forked before the rest is imported: it stays as small as a Python process can be.
    from clusterd.adapters.containment import NodeContainment
    from clusterd.adapters.process_limits import Rank, raise_descriptor_limit, take_oom_rank
    from clusterd.guard.lock import AnotherGuard, lock
    from clusterd.guard.shadow import start_shadow

    take_oom_rank(Rank.GUARD)
    descriptor_limit = raise_descriptor_limit()
    run_dir = os.path.abspath(options["run-dir"][-1])
    try:
        os.makedirs(run_dir, mode=0o700, exist_ok=True)
        held = lock(run_dir)
        containment = NodeContainment.of(run_dir)
    except AnotherGuard as error:
        sys.stderr.write(f"{error}\n")
        return ANOTHER_GUARD
    except OSError as error:
        sys.stderr.write(f"the guard cannot start in {run_dir}: {error}\n")
        return 1
    shadow_pid = start_shadow(containment, (held,))

    from clusterd.adapters.plain_log import bind
    from clusterd.guard.guard import Guard, Settings
    from clusterd.guard.hosts import NodeIdentity
    from clusterd.guard.watchdog import BadWatchdog, Watchdog

    device = options.get("watchdog", [""])[-1]
    try:
        watchdog = Watchdog(device, watchdog_timeout_ms) if device else None
    except (BadWatchdog, OSError) as error:
        sys.stderr.write(f"the watchdog {device} cannot be armed: {error}\n")
        os.kill(shadow_pid, signal.SIGKILL)
        return 1
    cluster, node, run_id = (options[name][-1] for name in ("cluster", "node", "run-id"))
    bind(cluster=cluster, node=node, process="guard")
    identity = NodeIdentity(cluster, node, run_dir, run_id, tuple(options.get("host-plugins", ())), descriptor_limit)
    Guard(Settings(identity, stop_budget_ms, watchdog), containment, shadow_pid=shadow_pid, lock=held).run()
    return 0


def options_of(arguments: Sequence[str]) -> dict[str, list[str]] | None:
    """`--name value` pairs; None when they are not pairs. argparse would cost the guard 2 MiB and 10 ms."""
    options: dict[str, list[str]] = {}
    if len(arguments) % 2:
        return None
    for name, value in zip(arguments[::2], arguments[1::2], strict=True):
        if not name.startswith("--"):
            return None
        options.setdefault(name[2:], []).append(value)
    return options


if __name__ == "__main__":
    run()
