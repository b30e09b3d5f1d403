"""Which processes of this machine are such a service, though no cluster started them?

What a cluster starts bears its mark in the environment, or descends from the guard, the parent of this resource host. Of the
others those count that have the command's own words, and those that listen on its port.
"""

import os
from collections.abc import Sequence

from clusterd.resource_api.secret_values import shown
from resource_types.listeners import UNKNOWN_PID, listeners_of, owner_text

_MARK = b"CLUSTERD_NODE_TAG="
_INTERPRETER_WORDS_MAX = 2
"""Of a script that was started as a program: its interpreter, and one argument for that."""
_NAMED_MAX = 3


def strays(command: Sequence[str], port: int | None) -> str:
    """What was found, in words; empty: nothing."""
    words = [os.fsencode(each) for each in command]
    pids = [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _is_such(pid, words)]
    found = [pid for pid in sorted(pids) if not _is_ours(pid)]
    told = [f"process {pid} ({' '.join(shown(list(command)))})" for pid in found[:_NAMED_MAX]]
    if len(found) > _NAMED_MAX:
        told.append(f"{len(found) - _NAMED_MAX} more")
    listening = {pid for pid in (listeners_of(port) if port is not None else ()) if not _is_ours(pid)}
    if listening and not listening <= set(found):
        told.append(f"{owner_text(listening)} listens on port {port}")
    return " and ".join(told)


def _is_such(pid: int, command: Sequence[bytes]) -> bool:
    """Whether it was started with these words; its program may be named by another path."""
    words = _read(pid, "cmdline").split(b"\0")[:-1]
    spare = len(words) - len(command)
    if not 0 <= spare <= _INTERPRETER_WORDS_MAX or words[spare + 1 :] != list(command[1:]):
        return False
    return words[spare] == command[0] if spare else os.path.basename(words[0]) == os.path.basename(command[0])


def _is_ours(pid: int) -> bool:
    if pid == UNKNOWN_PID:
        return False
    environment = _read(pid, "environ")
    if environment.startswith(_MARK) or b"\0" + _MARK in environment:
        return True
    guard, seen = os.getppid(), 0
    while pid > 1 and pid != guard and seen < 1000:
        pid, seen = _parent(pid), seen + 1
    return pid == guard and guard > 1


def _parent(pid: int) -> int:
    stat = _read(pid, "stat")
    fields = stat[stat.rfind(b")") + 2 :].split()
    return int(fields[1]) if len(fields) > 1 else 0


def _read(pid: int, name: str) -> bytes:
    try:
        with open(f"/proc/{pid}/{name}", "rb") as file:
            return file.read()
    except OSError:  # it ended meanwhile, or is somebody else's
        return b""
