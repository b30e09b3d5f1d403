"""How do daemons reach the guard? I/O: a Unix socket, for the guard's own user only.

Connections never block the guard: what a daemon does not read is bounded, and then its connection is closed.
"""

import contextlib
import os
import socket
import struct

from clusterd.adapters.frames import FrameBuffer, FrameTooLarge, framed

CONNECTION_COUNT_MAX = 8
UNSENT_SIZE_MAX = 1 << 20
_READ_SIZE = 1 << 16
_CREDENTIALS = struct.Struct("3i")


class Door:
    """The listening socket, mode 0600."""

    def __init__(self, path: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            self.socket.bind(path)
        finally:
            os.umask(before)
        self.socket.listen(CONNECTION_COUNT_MAX)
        self.socket.setblocking(False)

    def accept(self) -> "Visitor | None":
        """The next connection; None when there is none, or when it is another user's."""
        try:
            connection, _ = self.socket.accept()
        except OSError:
            return None
        packed = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        _, user, _ = _CREDENTIALS.unpack(packed)
        if user not in (0, os.geteuid()):
            connection.close()
            return None
        connection.setblocking(False)
        return Visitor(connection)

    def close(self) -> None:
        self.socket.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)


class Visitor:
    """One daemon's connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.has_said_hello = False
        self.is_closed = False
        self._buffer = FrameBuffer()
        self._unsent = bytearray()

    @property
    def has_unsent(self) -> bool:
        return bool(self._unsent)

    def receive(self) -> list[bytes]:
        """What arrived; closes itself when the other side has gone or sends what is no frame."""
        try:
            data = self.socket.recv(_READ_SIZE)
            if not data:
                raise ConnectionError
            return self._buffer.feed(data)
        except BlockingIOError:
            return []
        except (OSError, FrameTooLarge):
            self.close()
            return []

    def send(self, body: bytes) -> None:
        if self.is_closed:
            return
        self._unsent += framed(body)
        if len(self._unsent) > UNSENT_SIZE_MAX:
            self.close()
        self.flush()

    def flush(self) -> None:
        try:
            while self._unsent and not self.is_closed:
                del self._unsent[: self.socket.send(self._unsent)]
        except BlockingIOError:
            return
        except OSError:
            self.close()

    def close(self) -> None:
        if not self.is_closed:
            self.is_closed = True
            self.socket.close()
