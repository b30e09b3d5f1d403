"""What stays on the nodes when a resource is deleted? Pure. Notes for people: nobody else looks for it any more."""

import posixpath
from collections.abc import Iterable

from clusterd.model.records import ResourceRecord
from clusterd.wizard.plan import MACHINE_TYPE

_DEFINITIONS_FOLDER = "/etc/clusterd/machines"


def left_behind(resources: Iterable[ResourceRecord]) -> list[str]:
    """A machine that was saved when it stopped last has its memory in a file, and a definition and disks of its own."""
    return [
        f"what {each.name} saved of its memory, if it was saved when it stopped, stays in {_saved_state(each)}: remove it; "
        "its definition and its disks stay as well"
        for each in resources
        if each.type == MACHINE_TYPE
    ]


def _saved_state(machine: ResourceRecord) -> str:
    said = str(machine.private.get("configuration", ""))
    beside = posixpath.dirname(said) if "/" in said else _DEFINITIONS_FOLDER
    folder = str(machine.private.get("saved_state_folder") or beside)
    return posixpath.join(folder, f"{machine.name}.saved")
