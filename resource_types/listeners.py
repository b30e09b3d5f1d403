"""Which processes listen on a TCP port of this machine?

Read from /proc, so that a port which a stranger holds is never taken for a service that is ready. In a network namespace of
its own a process sees that namespace's sockets only.
"""

import os

LISTEN = "0A"
_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
UNKNOWN_PID = 0


def listeners_of(port: int, *, every_address: bool = False) -> set[int]:
    """The pids that listen on `port`; `UNKNOWN_PID` for a listener whose process cannot be seen. With `every_address` only
    those that take it on all addresses, so that nobody else can have it on any."""
    inodes = _listening_inodes(port, every_address=every_address)
    if not inodes:
        return set()
    found: set[int] = set()
    seen: set[str] = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        held = inodes & _socket_inodes(pid)
        if held:
            found.add(int(pid))
            seen |= held
    return found if seen else {UNKNOWN_PID}


def is_listening(port: int, pids: list[int]) -> bool | None:
    """Whether one of `pids` listens on `port`: no when somebody else does, None when nobody does yet."""
    inodes = _listening_inodes(port)
    if not inodes:
        return None
    return any(inodes & _socket_inodes(str(pid)) for pid in pids)


def owner_text(pids: set[int]) -> str:
    """For an error message."""
    known = sorted(pid for pid in pids if pid != UNKNOWN_PID)
    return " and ".join(f"pid {pid} ({_name(pid)})" for pid in known) or "a process that cannot be seen from here"


def _listening_inodes(port: int, *, every_address: bool = False) -> set[str]:
    suffix = f":{port:04X}"
    found: set[str] = set()
    for table in _TABLES:
        try:
            with open(table, encoding="ascii") as file:
                lines = file.readlines()[1:]
        except FileNotFoundError:
            continue
        for line in lines:
            fields = line.split()
            is_for_all = not fields[1].removesuffix(suffix).strip("0")
            if fields[3] == LISTEN and fields[1].endswith(suffix) and (is_for_all or not every_address):
                found.add(fields[9])
    return found


def _socket_inodes(pid: str) -> set[str]:
    folder = f"/proc/{pid}/fd"
    found: set[str] = set()
    try:
        for descriptor in os.listdir(folder):
            target = os.readlink(f"{folder}/{descriptor}")
            if target.startswith("socket:["):
                found.add(target[8:-1])
    except OSError:
        return found
    return found


def _name(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return "ended"
