"""Who sent what came over the socket between a host and its spawner? I/O; standard library only.

Both ends ask the kernel for the sender of every message (SO_PASSCRED), so that nobody who got hold of an end can speak for
the other.
"""

import array
import socket
import struct
from collections import deque

from clusterd.reshost.spawn_messages import BadMessage

_READ_SIZE = 1 << 16
_DESCRIPTORS_MAX = 253  # what one message can carry
_CREDENTIALS = struct.Struct("3i")
_ANCILLARY_SIZE = socket.CMSG_SPACE(_CREDENTIALS.size) + socket.CMSG_SPACE(_DESCRIPTORS_MAX * array.array("i").itemsize)


def receive(link: socket.socket, sender_pid: int, descriptors: deque[int]) -> bytes:
    """The next bytes; what came with them is appended to `descriptors`. Raises `BadMessage` when it is not from
    `sender_pid`, or descriptors were lost on the way."""
    data, ancillary, flags, _ = link.recvmsg(_READ_SIZE, _ANCILLARY_SIZE, socket.MSG_CMSG_CLOEXEC)
    sender = 0
    for level, kind, packed in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.extend(array.array("i", packed))
        elif level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
            sender, _, _ = _CREDENTIALS.unpack(packed[: _CREDENTIALS.size])
    if data and sender != sender_pid:
        raise BadMessage(f"process {sender} speaks in the place of process {sender_pid}")
    if flags & socket.MSG_CTRUNC:
        raise BadMessage("descriptors were lost: this process holds as many as it may")
    return data
