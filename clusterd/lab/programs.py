"""Which commands does a node consist of? I/O.

The one place that turns a node of a lab into command lines. Tests name other programs through the lab's options.
"""

import sys
from collections.abc import Callable
from typing import TypeAlias

from clusterd.lab.layout import NodeEntry
from clusterd.lab.options import LabOptions
from clusterd.model.settings import PROFILES

CommandFor: TypeAlias = Callable[[LabOptions, NodeEntry, str], list[str]]


def guard_command(options: LabOptions, node: NodeEntry, run_id: str) -> list[str]:
    """The arguments of a node's guard."""
    if options.programs.guard:
        return _filled(options.programs.guard, options, node, run_id)
    arguments = ["--run-dir", node.run_dir, "--cluster", options.name, "--node", node.name, "--run-id", run_id]
    arguments += ["--stop-budget-ms", str(PROFILES[options.profile]["stop_budget"])]
    for folder in options.plugins:
        arguments += ["--host-plugins", folder]
    return [sys.executable, "-m", "clusterd.main.guard", *arguments]


def daemon_command(options: LabOptions, node: NodeEntry, run_id: str) -> list[str]:
    """The arguments of a node's daemon."""
    if options.programs.daemon:
        return _filled(options.programs.daemon, options, node, run_id)
    return [sys.executable, "-m", "clusterd.main.daemon", "--config", node.configuration]


def _filled(template: tuple[str, ...], options: LabOptions, node: NodeEntry, run_id: str) -> list[str]:
    values = {"run_dir": node.run_dir, "cluster": options.name, "node": node.name, "run_id": run_id}
    return [each.format_map({**values, "configuration": node.configuration}) for each in template]
