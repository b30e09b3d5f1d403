"""Which process is the main one of a service that went into the background? I/O: /proc, and the service's own pid file.

The pid file says it, where there is one. Without, it is the process that the others descend from, once two looks agree:
while a service goes into the background its parents come and go. Where several stand side by side nobody can tell, and then
any of them keeps the service online.
"""

from collections.abc import Collection

from resource_types.plain_files import read_plain

_PID_FILE_BYTES_MAX = 64


class Background:
    """What is known of one run."""

    def __init__(self) -> None:
        self._main: int | None = None
        self._candidate: int | None = None
        self._is_ambiguous = False

    def is_named(self, path: str, members: Collection[int]) -> bool:
        """Whether the pid file names one of `members`, which is the main process from then on."""
        named = _pid_in_file(path)
        if named in members:
            self._main = named
        return named in members

    def runs(self, members: Collection[int], path: str | None) -> bool:
        if self._main is None:
            return bool(members)
        if self._main not in members and path is not None:
            self.is_named(path, members)  # some replace their main process while they run, and say so
        return self._main in members

    def settle(self, members: Collection[int]) -> bool:
        """Look who the main process is. True when two looks in turn found several that stand side by side."""
        if self._main is not None or not members:
            return False
        roots = [pid for pid in members if _parent(pid) not in members]
        found = roots[0] if len(roots) == 1 else None
        if found is not None and found == self._candidate:
            self._main = found
        was_ambiguous, self._is_ambiguous = self._is_ambiguous, found is None
        self._candidate = found
        return found is None and was_ambiguous


def _pid_in_file(path: str) -> int | None:
    try:
        text = read_plain(path, _PID_FILE_BYTES_MAX).split(b"\n")[0].strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None


def _parent(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read()
    except OSError:
        return 0
    return int(text[text.rindex(b")") + 2 :].split()[1])
