"""How does a lab lose packets without being root? I/O.

The kernel drops them: each of this node's own sockets of a lossy link gets a filter that lets a packet pass by chance. A
stream sees what it would see on a bad network (lost segments, sent again later and later, handshakes that fail), because it
is its own TCP that suffers. Both ends filter what arrives, so both directions lose. The one socket for datagrams serves all
peers: what it drops is decided after the sender is known.

New streams get their sockets at any time, inside gRPC, so the node's sockets are looked through while anything is lossy.
"""

import asyncio
import contextlib
import ctypes
import os
import random
import socket
import struct
from collections.abc import Mapping

from clusterd.model.ids import NodeId

LOOK_EVERY_S = 0.02
ACCEPTED_KEPT = 1024
SO_ATTACH_FILTER, SO_DETACH_FILTER = 26, 27
_LOAD_RANDOM = (0x20, 0, 0, 0xFFFFF000 + 56)  # A = a random number (SKF_AD_OFF + SKF_AD_RANDOM)
_JUMP_IF_AT_LEAST, _RETURN = 0x35, 0x06
_WHOLE_PACKET = 0xFFFFFFFF
_IPV4_IN_IPV6 = "::ffff:"
"""gRPC opens sockets of both kinds as one."""


class PacketLoss:
    """The loss on one node's links."""

    def __init__(self, port: int, peers: Mapping[tuple[str, int], NodeId]) -> None:
        """`port`: the own peer port; `peers`: who is behind an address that this node dials."""
        self._port = port
        self._peers = peers
        self._percent: dict[NodeId, int] = {}
        self._accepted: dict[tuple[str, int], NodeId] = {}
        self._filtered: dict[tuple[int, int], int] = {}
        """What each socket loses, by its number and inode."""
        self._task: asyncio.Task[None] | None = None
        self._random = random.Random()

    def accepted(self, remote: tuple[str, int], peer: NodeId) -> None:
        """A stream from `remote` turned out to be that peer's."""
        host, port = remote
        self._accepted[host.removeprefix(_IPV4_IN_IPV6), port] = peer
        while len(self._accepted) > ACCEPTED_KEPT:
            del self._accepted[next(iter(self._accepted))]

    def drops_datagram_of(self, peer: NodeId) -> bool:
        percent = self._percent.get(peer, 0)
        return bool(percent) and self._random.random() * 100 < percent

    def set(self, percent: Mapping[str, int]) -> None:
        """From now on these links lose so many of a hundred packets, and no others."""
        self._percent = {NodeId(peer): share for peer, share in percent.items() if share}
        if self._percent and self._task is None:
            self._task = asyncio.create_task(self._keep_looking(), name="packet loss")
        elif not self._percent and self._filtered:
            self._look()

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _keep_looking(self) -> None:
        while self._percent:
            self._look()
            await asyncio.sleep(LOOK_EVERY_S)
        self._task = None

    def _look(self) -> None:
        seen: dict[tuple[int, int], int] = {}
        for name in os.listdir("/proc/self/fd"):
            with contextlib.suppress(OSError):  # it was closed meanwhile
                number = int(name)
                if not os.readlink(f"/proc/self/fd/{name}").startswith("socket:"):
                    continue
                key = (number, os.fstat(number).st_ino)
                percent = self._percent_of(number, self._filtered.get(key, 0))
                if percent != self._filtered.get(key, 0):
                    _filter(number, percent)
                seen[key] = percent
        self._filtered = {key: percent for key, percent in seen.items() if percent}

    def _percent_of(self, number: int, present: int) -> int:
        """How many of a hundred packets that socket is to lose."""
        with socket.socket(fileno=os.dup(number)) as found:
            if found.type != socket.SOCK_STREAM or found.family not in (socket.AF_INET, socket.AF_INET6):
                return 0
            try:
                host, port = found.getpeername()[:2]
            except OSError:  # it listens, or is being opened
                is_own = found.getsockname()[1] == self._port
                return max(self._percent.values(), default=0) if is_own else present
            remote = (host.removeprefix(_IPV4_IN_IPV6), port)
            if remote in self._peers:
                return self._percent.get(self._peers[remote], 0)
            if found.getsockname()[1] != self._port:
                return 0
            peer = self._accepted.get(remote)
            # Accepted a moment ago, it still has the filter of the socket that listens.
            return self._percent.get(peer, 0) if peer is not None else max(self._percent.values(), default=0)


def _filter(number: int, percent: int) -> None:
    with socket.socket(fileno=os.dup(number)) as found:
        if not percent:
            found.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)
            return
        program = (
            _LOAD_RANDOM,
            (_JUMP_IF_AT_LEAST, 1, 0, min(2**32 * percent // 100, 2**32 - 1)),
            (_RETURN, 0, 0, 0),
            (_RETURN, 0, 0, _WHOLE_PACKET),
        )
        code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *each) for each in program))
        found.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HL", len(program), ctypes.addressof(code)))
