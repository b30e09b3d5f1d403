"""Which network adapters and addresses does this machine have? I/O: reads /sys, asks the kernel through ioctl and /proc."""

import fcntl
import ipaddress
import socket
import struct
from pathlib import Path

from clusterd.validation.facts import Interface

INTERFACES_MAX = 64
_GET_ADDRESS, _GET_MASK = 0x8915, 0x891B
_NAME_SIZE = 16


def interfaces() -> tuple[Interface, ...]:
    """In name order; of IPv4 the first address of each, of IPv6 all."""
    sixes = _version_six()
    found = []
    for path in sorted(Path("/sys/class/net").glob("*"))[:INTERFACES_MAX]:
        name = path.name
        # Loopback and some tunnels say `unknown` although they are up.
        is_up = _read(path / "operstate") in ("up", "unknown")
        addresses = (*_version_four(name), *sixes.get(name, ()))
        mtu = int(_read(path / "mtu") or 0)
        found.append(Interface(name, is_up, mtu, _read(path / "address"), addresses, (path / "bridge").is_dir()))
    return tuple(found)


def _version_four(name: str) -> tuple[str, ...]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            address, mask = (_ask(asking, request, name) for request in (_GET_ADDRESS, _GET_MASK))
        except OSError:
            return ()
    return (str(ipaddress.IPv4Interface(f"{address}/{mask}")),)


def _ask(asking: socket.socket, request: int, name: str) -> str:
    """An address in the answer to an interface request (netdevice(7)): family and port, then four bytes."""
    answer = fcntl.ioctl(asking, request, struct.pack("256s", name.encode()[: _NAME_SIZE - 1]))
    return socket.inet_ntoa(answer[_NAME_SIZE + 4 : _NAME_SIZE + 8])


def _version_six() -> dict[str, tuple[str, ...]]:
    """/proc/net/if_inet6: address, index, prefix length, scope, flags, name."""
    found: dict[str, tuple[str, ...]] = {}
    for line in _read(Path("/proc/net/if_inet6")).splitlines():
        words = line.split()
        if len(words) == 6:
            address = ipaddress.IPv6Address(int(words[0], 16))
            found[words[5]] = (*found.get(words[5], ()), f"{address}/{int(words[2], 16)}")
    return found


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
