"""How do datagrams come and go? I/O. One UDP socket on the peers' port, beside the streams.

It knows nothing of keys: packets go out to an address and come in from anywhere. What cannot be sent is lost. Packets are
taken in as they come, or, when nobody is attentive, wait in the socket until `take` is called: being woken for each is most
of what they cost.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable

from clusterd.adapters.arrivals import STAMP_SPACE, STAMPED, Arrivals
from clusterd.adapters.boot_clock import now_ms

PACKET_BYTES_MAX = 1200
TAKEN_AT_ONCE_MAX = 1024
"""More than a socket holds by default. Who floods it keeps nothing else of the node from its turn."""
WAITING_BYTES = 1 << 20
"""What may wait in the socket, as far as the kernel allows: heartbeats of 63 peers for as long as a node may be late."""


class Datagrams:
    """The socket of one node."""

    def __init__(self, listen: tuple[str, int], received: Callable[[bytes, int], None]) -> None:
        """`received` gets a packet, and when it arrived on the boot-time clock."""
        self._listen = listen
        self._received = received
        self._socket: socket.socket | None = None
        self._arrivals = Arrivals()
        self._is_attentive = True

    def start(self) -> None:
        """Listen, on the running loop. Raises OSError when the address cannot be bound."""
        family, _, _, _, address = socket.getaddrinfo(*self._listen, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE)[0]
        made = socket.socket(family, socket.SOCK_DGRAM)
        try:
            made.setblocking(False)
            made.setsockopt(socket.SOL_SOCKET, STAMPED, 1)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, WAITING_BYTES)
            made.bind(address)
        except OSError:
            made.close()
            raise
        self._socket = made
        if self._is_attentive:
            asyncio.get_running_loop().add_reader(made.fileno(), self._read)

    def stop(self) -> None:
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None

    def send(self, address: tuple[str, int], packet: bytes) -> None:
        if self._socket is not None and len(packet) <= PACKET_BYTES_MAX:
            with contextlib.suppress(OSError):  # a full buffer, no route, nobody there: lost like any other
                self._socket.sendto(packet, address)

    def attend(self, *, is_attentive: bool) -> None:
        """Whether packets are taken in as they come."""
        if is_attentive == self._is_attentive:
            return
        self._is_attentive = is_attentive
        if self._socket is not None:
            loop = asyncio.get_running_loop()
            if is_attentive:
                loop.add_reader(self._socket.fileno(), self._read)
            else:
                loop.remove_reader(self._socket.fileno())

    def take(self) -> None:
        """Take in what waits in the socket."""
        if self._socket is None:
            return
        self._arrivals.look()
        for _ in range(TAKEN_AT_ONCE_MAX):
            try:
                packet, control, _, _ = self._socket.recvmsg(PACKET_BYTES_MAX + 1, STAMP_SPACE)
            except BlockingIOError:
                return
            except OSError:  # the network's answer to something that was sent
                continue
            if len(packet) <= PACKET_BYTES_MAX:
                self._received(packet, self._arrivals.at_ms(control))

    def _read(self) -> None:
        """One at a time: usually there is but one, and asking in vain for another costs as much as taking it."""
        if self._socket is None:
            return
        with contextlib.suppress(OSError):  # nothing there, or the network's answer to something that was sent
            packet = self._socket.recv(PACKET_BYTES_MAX + 1)
            if len(packet) <= PACKET_BYTES_MAX:
                self._received(packet, now_ms())
