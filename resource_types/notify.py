"""How does a service say that it is ready, in the way that systemd made common?

A datagram socket in the abstract namespace, one for each start. It is read from the start to the stop of the service: who is
not heard would wait, once ten messages are unread. Whose messages count the kernel's credentials tell: those of a process in
the resource's containment, of the user that the service runs as (`systemd-notify` has ended by the time one looks), and of
the host's own.
"""

import os
import socket
import struct
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field

MESSAGE_BYTES_MAX = 4096
STATUS_LENGTH_MAX = 200
EXTENSION_MS_MAX = 24 * 3_600_000
_CREDENTIALS = struct.Struct("3i")


@dataclass(slots=True)
class Said:
    """What the service has told so far."""

    is_ready: bool = False
    status: str = ""
    extended_until: float = 0.0
    """Until when it asked to be given time, on the monotonic clock; 0 if it did not."""
    changed: threading.Event = field(default_factory=threading.Event)

    def take(self, message: bytes, now: float) -> None:
        """One datagram: lines of NAME=value. What is unknown or makes no sense is passed over."""
        for line in message.decode(errors="replace").split("\n"):
            name, _, value = line.partition("=")
            match name:
                case "READY" if value == "1":
                    self.is_ready = True
                case "STATUS":
                    self.status = value[:STATUS_LENGTH_MAX]
                case "EXTEND_TIMEOUT_USEC" if value.isascii() and value.isdecimal() and len(value) < 20:
                    self.extended_until = max(
                        self.extended_until, now + min(int(value) // 1000, EXTENSION_MS_MAX) / 1000
                    )
        self.changed.set()


class NotifySocket:
    """What NOTIFY_SOCKET points to. Ends with this object, or when it is closed."""

    def __init__(self, members: Callable[[], list[int]], users: set[int]) -> None:
        ours = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        name = f"clusterd-notify-{os.getpid()}-{os.urandom(8).hex()}"
        ours.bind(f"\0{name}")
        self.address = f"@{name}"
        self.said = Said()
        # The reader holds nothing of this object, so that one which is forgotten ends too.
        threading.Thread(
            target=_read, args=(ours, self.said, members, users | {os.geteuid()}), name="notify", daemon=True
        ).start()
        self.close = weakref.finalize(self, _end, ours)

    def wait(self, wait_max_ms: int) -> bool:
        """Whether the service has said that it is ready; returns early when it says anything."""
        self.said.changed.wait(wait_max_ms / 1000)
        self.said.changed.clear()
        return self.said.is_ready

    @property
    def extended_ms(self) -> int:
        """For how long the service still asks to be waited for."""
        return max(int((self.said.extended_until - time.monotonic()) * 1000), 0)


def _read(ours: socket.socket, said: Said, members: Callable[[], list[int]], users: set[int]) -> None:
    with ours:
        while True:
            try:
                data, ancillary, _, _ = ours.recvmsg(MESSAGE_BYTES_MAX, socket.CMSG_SPACE(_CREDENTIALS.size))
            except OSError:
                return
            if not data and not ancillary:
                return  # it was ended
            for level, kind, content in ancillary:
                if level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
                    pid, user, _ = _CREDENTIALS.unpack(content[: _CREDENTIALS.size])
                    if user in users or _is_member(pid, members):
                        said.take(data, time.monotonic())


def _is_member(pid: int, members: Callable[[], list[int]]) -> bool:
    try:
        return pid in members()
    except OSError:  # it could not be looked at: then it does not count
        return False


def _end(ours: socket.socket) -> None:
    """Wakes the reader, which closes it."""
    try:
        ours.shutdown(socket.SHUT_RDWR)
    except OSError:
        return
