"""How do datagrams come and go? I/O. One UDP socket on the peers' port, beside the streams.

It knows nothing of keys: packets go out to an address and come in from anywhere. What cannot be sent is lost.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable

PACKET_BYTES_MAX = 1200


class Datagrams:
    """The socket of one node."""

    def __init__(self, listen: tuple[str, int], received: Callable[[bytes], None]) -> None:
        self._listen = listen
        self._received = received
        self._socket: socket.socket | None = None

    def start(self) -> None:
        """Listen, on the running loop. Raises OSError when the address cannot be bound."""
        family, _, _, _, address = socket.getaddrinfo(*self._listen, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE)[0]
        made = socket.socket(family, socket.SOCK_DGRAM)
        try:
            made.setblocking(False)
            made.bind(address)
        except OSError:
            made.close()
            raise
        self._socket = made
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

    def _read(self) -> None:
        """One at a time: usually there is but one, and asking in vain for another costs as much as taking it."""
        if self._socket is None:
            return
        with contextlib.suppress(OSError):  # nothing there, or the network's answer to something that was sent
            packet = self._socket.recv(PACKET_BYTES_MAX + 1)
            if len(packet) <= PACKET_BYTES_MAX:
                self._received(packet)
