"""Which loopback ports does a lab get? I/O.

A port is taken by a name in the kernel's abstract socket space: one holder on the machine, whatever the user and the root
of labs, and let go when the launcher ends, however that happens. So a node that is killed keeps its ports until it returns.
"""

import socket
from collections.abc import Iterator

from clusterd.model.errors import ClusterError

HOST = "127.0.0.1"
API_PORT_FIRST = 7401
PEER_PORT_FIRST = 7501
SMALL_LAB_NODES = 10


class Ports:
    """Ports for the API and for the peers of each node, held until `release` or the end of the process."""

    def __init__(self, api: list[int], peer: list[int], held: list[socket.socket]) -> None:
        self.api = api
        self.peer = peer
        self._held = held

    @classmethod
    def take(cls, count: int) -> "Ports":
        """The well-known block when it is free, else the first free one after it."""
        for offset in _offsets(count):
            api = [API_PORT_FIRST + offset + index for index in range(count)]
            peer = [PEER_PORT_FIRST + offset + index for index in range(count)]
            held = _hold([*api, *peer])
            if held is not None:
                return cls(api, peer, held)
        text = f"no {2 * count} free loopback ports from {API_PORT_FIRST} on"
        raise ClusterError(text, hint="end other labs: clusterctl lab list")

    def release(self) -> None:
        for each in self._held:
            each.close()


def _offsets(count: int) -> Iterator[int]:
    if count <= SMALL_LAB_NODES:
        yield from range(0, 100, SMALL_LAB_NODES)
    yield from range(0 if count > SMALL_LAB_NODES else 1000, 20_000, 1000)


def _hold(ports: list[int]) -> list[socket.socket] | None:
    """The names of all these ports, or none of them."""
    held: list[socket.socket] = []
    for port in ports:
        name = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        held.append(name)
        try:
            name.bind(f"\0clusterd-lab-port-{port}")
        except OSError:
            break
        if not _is_free(port):
            break
    else:
        return held
    for each in held:
        each.close()
    return None


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
            probe.listen(1)
        except OSError:
            return False
    return True
