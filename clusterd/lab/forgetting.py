"""How do a lab's nodes lose their data, or get older data back? I/O. Copies lie in the node's folder, below `marks`."""

import shutil
from pathlib import Path

from clusterd.lab.layout import NodeEntry
from clusterd.model.errors import BadInput, NotFound, Refused
from clusterd.model.ids import name_problem


def wipe(entry: NodeEntry, *, is_running: bool) -> str:
    """Remove the node's data folder, and what it remembers of its promises with it. Raises Refused while its daemon runs."""
    _check_down(entry, is_running=is_running)
    shutil.rmtree(entry.data_dir, ignore_errors=True)
    return f"removed {entry.data_dir}"


def mark(entry: NodeEntry, name: str) -> str:
    """Keep a copy of the data under that name, as a backup that is made while the node runs."""
    copy = _copy(entry, name)
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(entry.data_dir, copy)
    return f"kept as {copy}"


def rollback(entry: NodeEntry, name: str, *, is_running: bool) -> str:
    """Put a copy in the place of the data. Raises Refused while its daemon runs, NotFound for a name that there is not."""
    _check_down(entry, is_running=is_running)
    copy = _copy(entry, name)
    if not copy.is_dir():
        raise NotFound(f"{entry.name} has no mark {name}", hint=f"clusterctl lab mark {entry.name} {name}")
    shutil.rmtree(entry.data_dir, ignore_errors=True)
    shutil.copytree(copy, entry.data_dir)
    return f"restored from {copy}"


def _copy(entry: NodeEntry, name: str) -> Path:
    problem = name_problem(name)
    if problem:
        raise BadInput(f"{name!r} cannot name a mark: {problem}", hint="try a short word such as before")
    return Path(entry.dir) / "marks" / name


def _check_down(entry: NodeEntry, *, is_running: bool) -> None:
    if is_running:
        raise Refused(f"the daemon of {entry.name} runs", hint=f"clusterctl lab kill {entry.name}")
