"""Which processes listen on a TCP port of this machine?

So that a port which a stranger holds is never taken for a service that is ready. In a network namespace of its own a
process sees that namespace's sockets only.
"""

import os
import socket
import struct
from typing import NamedTuple

LISTEN = "0A"
_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
UNKNOWN_PID = 0

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_REQUEST_DUMP = 0x301
_DONE, _ERROR = 3, 2
_TCP_LISTEN = 10
_HEADER_BYTES, _SOCKID_BYTES = 16, 48
_ANSWER_BYTES_MAX = 1 << 16
_ANSWER_WAIT_S = 1.0


class _Listener(NamedTuple):
    port: int
    is_for_all_addresses: bool
    inode: str


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
    """The kernel is asked for listeners only; the tables in /proc also hold every connection, and grow with the load."""
    try:
        listeners = [each for family in (socket.AF_INET, socket.AF_INET6) for each in _ask_kernel(family)]
    except OSError:
        listeners = _read_tables()
    return {each.inode for each in listeners if each.port == port and (each.is_for_all_addresses or not every_address)}


def _ask_kernel(family: int) -> list[_Listener]:
    """Sockets that listen, by the kernel's socket diagnostics (sock_diag(7)). Raises OSError where there are none."""
    sockid = bytes(_SOCKID_BYTES)
    body = struct.pack("=BBBBI", family, socket.IPPROTO_TCP, 0, 0, 1 << _TCP_LISTEN) + sockid
    header = struct.pack("=IHHII", _HEADER_BYTES + len(body), _SOCK_DIAG_BY_FAMILY, _REQUEST_DUMP, 0, 0)
    found: list[_Listener] = []
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_SOCK_DIAG) as diagnostics:
        diagnostics.settimeout(_ANSWER_WAIT_S)
        diagnostics.send(header + body)
        while True:
            data = diagnostics.recv(_ANSWER_BYTES_MAX)
            at = 0
            while at < len(data):
                size, kind = struct.unpack_from("=IH", data, at)
                if kind == _DONE:
                    return found
                if kind == _ERROR:
                    raise OSError("the kernel has no socket diagnostics")
                found.append(_listener(data[at + _HEADER_BYTES : at + size]))
                at += (size + 3) & ~3


def _listener(message: bytes) -> _Listener:
    """One inet_diag_msg: four bytes, a socket id (ports and addresses), four numbers, the inode."""
    (port,) = struct.unpack_from("!H", message, 4)
    address = message[8:24]
    (inode,) = struct.unpack_from("=I", message, 4 + _SOCKID_BYTES + 16)
    return _Listener(port, not address.strip(b"\0"), str(inode))


def _read_tables() -> list[_Listener]:
    found: list[_Listener] = []
    for table in _TABLES:
        try:
            with open(table, encoding="ascii") as file:
                lines = file.readlines()[1:]
        except FileNotFoundError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == LISTEN:
                address, _, port = fields[1].rpartition(":")
                found.append(_Listener(int(port, 16), not address.strip("0"), fields[9]))
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
