"""Which commands does a node consist of? I/O.

The one place that turns a node of a lab into command lines. Tests name other programs through the lab's options.
"""

import sys

import msgspec

from clusterd.lab.layout import LabRecord, NodeEntry


class Programs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Argument lists; `{name}` stands for a value of the node. `host_mark` is an argument that only hosts have."""

    guard: tuple[str, ...] = (
        *(sys.executable, "-m", "clusterd.main.guard"),
        *("--run-dir", "{run_dir}", "--cluster", "{cluster}", "--node", "{node}", "--run-id", "{run_id}"),
    )
    daemon: tuple[str, ...] = (sys.executable, "-m", "clusterd.main.daemon", "--config", "{configuration}")
    host_mark: str = "clusterd.main.host"


def command(template: tuple[str, ...], *, lab: LabRecord, node: NodeEntry, run_id: str) -> list[str]:
    """The arguments for one process of `node`."""
    values = {
        "run_dir": node.run_dir,
        "data_dir": node.data_dir,
        "cluster": lab.name,
        "node": node.name,
        "run_id": run_id,
        "configuration": node.configuration,
    }
    return [each.format_map(values) for each in template]
