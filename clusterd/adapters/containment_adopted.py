"""How are processes contained that somebody else started for us, a systemd unit's? I/O.

Their control group lies outside of the node's. The host notes it in the run directory before they start; from then on it
belongs to the scope of its resource, for the guard and its shadow too, until the scope was seen empty.
"""

import contextlib
import os
from collections.abc import Sequence
from typing import Protocol

from clusterd.adapters.containment_cgroup import CgroupScope, group_path

_FOLDER = "adopted"
_SEPARATOR = ":"  # in no name of an incarnation, host or resource


class _Scope(Protocol):
    def create(self) -> None: ...
    def birthplace(self) -> str | None: ...
    def members(self) -> list[int]: ...
    def kill(self) -> None: ...
    def is_empty(self) -> bool: ...
    def remove(self) -> None: ...


def adopt(run_dir: str, parts: Sequence[str], group: str) -> None:
    """From here on the cgroup v2 group `group` (`/system.slice/web.service`) belongs to that part of the node.
    Raises OSError where groups cannot be killed as a whole."""
    path = group_path(group)
    folder = os.path.join(run_dir, _FOLDER)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    note = os.path.join(folder, _SEPARATOR.join(parts) + _SEPARATOR)
    with open(note + ".new", "w", encoding="utf-8") as file:
        file.write(path)
    os.replace(note + ".new", note)


class WithAdopted:
    """A scope, and the groups that were adopted into it."""

    def __init__(self, own: _Scope, run_dir: str, parts: Sequence[str]) -> None:
        self._own = own
        self._folder = os.path.join(run_dir, _FOLDER)
        self._prefix = "".join(part + _SEPARATOR for part in parts)

    def create(self) -> None:
        self._own.create()

    def birthplace(self) -> str | None:
        return self._own.birthplace()

    def members(self) -> list[int]:
        found = set(self._own.members())
        for group in self._adopted().values():
            found.update(group.members())
        return sorted(found)

    def kill(self) -> None:
        self._own.kill()
        for group in self._adopted().values():
            group.kill()

    def is_empty(self) -> bool:
        return self._own.is_empty() and all(group.is_empty() for group in self._adopted().values())

    def remove(self) -> None:
        """The groups themselves are somebody else's; only the notes go."""
        self._own.remove()
        for note in self._adopted():
            with contextlib.suppress(FileNotFoundError):
                os.unlink(note)

    def _adopted(self) -> dict[str, CgroupScope]:
        try:
            names = os.listdir(self._folder)
        except OSError:
            return {}
        found: dict[str, CgroupScope] = {}
        for name in names:
            note = os.path.join(self._folder, name)
            if name.startswith(self._prefix) and not name.endswith(".new"):
                with contextlib.suppress(OSError), open(note, encoding="utf-8") as file:
                    found[note] = CgroupScope(file.read())
        return found
