"""How does a service say that it is ready, in the way that systemd made common?

A datagram socket in the abstract namespace, one for each start; only a message of a process in the resource's containment
counts, or of the host's own user (`systemd-notify` has ended by the time one looks), which the kernel's credentials tell.
"""

import os
import select
import socket
import struct

MESSAGE_BYTES_MAX = 4096
_CREDENTIALS = struct.Struct("3i")


class NotifySocket:
    """What NOTIFY_SOCKET points to."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        name = f"clusterd-notify-{os.getpid()}-{os.urandom(8).hex()}"
        self._socket.bind(f"\0{name}")
        self._socket.setblocking(False)
        self.address = f"@{name}"

    def wait_ready(self, wait_max_ms: int, allowed_pids: set[int]) -> bool:
        """Whether READY=1 came from one of `allowed_pids` within the time."""
        if not select.select([self._socket], [], [], wait_max_ms / 1000)[0]:
            return False
        data, ancillary, _, _ = self._socket.recvmsg(MESSAGE_BYTES_MAX, socket.CMSG_SPACE(_CREDENTIALS.size))
        for level, kind, content in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
                pid, user, _ = _CREDENTIALS.unpack(content[: _CREDENTIALS.size])
                return (pid in allowed_pids or user == os.geteuid()) and b"READY=1" in data.split(b"\n")
        return False

    def close(self) -> None:
        self._socket.close()
