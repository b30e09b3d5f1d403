"""How is a disk served to local programs? I/O: the NBD protocol (fixed newstyle, simple replies) on a Unix socket.

Whoever may open the socket may use the disk; its folder is closed to others. Everything a client sends is bounded: a
connection that breaks a rule is ended. A thread for each connection, a few at most.
"""

import os
import socket
import struct
import threading
from typing import NamedTuple, Protocol

CONNECTIONS_MAX = 8
OPTION_BYTES_MAX = 4096
OPTION_COUNT_MAX = 32
TRANSFER_BYTES_MAX = 32 << 20
HANDSHAKE_TIMEOUT_S = 5.0

_OPTION = struct.Struct(">8sII")
_OPTION_REPLY = struct.Struct(">QIII")
_REQUEST = struct.Struct(">IHHQQI")
_REPLY = struct.Struct(">IIQ")
_REQUEST_MAGIC, _REPLY_MAGIC, _OPTION_REPLY_MAGIC = 0x25609513, 0x67446698, 0x3E889045565A9
_FIXED_NEWSTYLE, _NO_ZEROES = 1, 2
_GO = 7
_ACK, _SERVER, _INFO_REPLY, _UNSUPPORTED, _INVALID = 1, 2, 3, 0x8000_0001, 0x8000_0003
_READ, _WRITE, _DISCONNECT, _FLUSH, _TRIM = 0, 1, 2, 3, 4
_FUA = 1
_HAS_FLAGS, _SENDS_FLUSH, _SENDS_FUA, _SENDS_TRIM = 1, 4, 8, 32
EXPORT_FLAGS = _HAS_FLAGS | _SENDS_FLUSH | _SENDS_FUA | _SENDS_TRIM
EPERM, EIO, EINVAL, ENOSPC = 1, 5, 22, 28


class IoRefused(Exception):
    """What the client gets instead of data: an errno of the NBD protocol."""

    def __init__(self, number: int) -> None:
        super().__init__(os.strerror(number))
        self.number = number


class Export(Protocol):
    """What is served. Raises IoRefused."""

    @property
    def size_bytes(self) -> int: ...
    def read(self, offset: int, length: int) -> bytes: ...
    def write(self, offset: int, data: bytes) -> None: ...
    def flush(self) -> None: ...
    def trim(self, offset: int, length: int) -> None: ...


class _Ended(Exception):
    """The client went, or broke a rule."""


class _Request(NamedTuple):
    flags: int
    kind: int
    handle: int
    offset: int
    length: int


class NbdServer:
    """Accepts until it is closed."""

    def __init__(self, path: str, export: Export) -> None:
        self._export = export
        self._slots = threading.BoundedSemaphore(CONNECTIONS_MAX)
        self._open: set[socket.socket] = set()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self._listener.bind(path)
        self._listener.listen(CONNECTIONS_MAX)

    @property
    def connection_count(self) -> int:
        return len(self._open)

    def serve(self) -> None:
        """In a thread of its own."""
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if not self._slots.acquire(blocking=False):
                client.close()
                continue
            self._open.add(client)
            threading.Thread(target=self._serve_one, args=(client,), daemon=True).start()

    def close(self) -> None:
        self._listener.close()
        for client in list(self._open):
            try:
                client.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def _serve_one(self, client: socket.socket) -> None:
        try:
            with client:
                client.settimeout(HANDSHAKE_TIMEOUT_S)
                if _shake_hands(client, self._export):
                    client.settimeout(None)
                    while _answer_one(client, self._export):
                        continue
        except (_Ended, OSError):
            return
        finally:
            self._open.discard(client)
            self._slots.release()


# ---- hand-shake ----


def _shake_hands(client: socket.socket, export: Export) -> bool:
    """False when the client only asked."""
    client.sendall(b"NBDMAGICIHAVEOPT" + struct.pack(">H", _FIXED_NEWSTYLE | _NO_ZEROES))
    flags = int.from_bytes(_received(client, 4), "big")
    if flags & ~(_FIXED_NEWSTYLE | _NO_ZEROES):
        raise _Ended
    for _ in range(OPTION_COUNT_MAX):
        magic, option, length = _OPTION.unpack(_received(client, _OPTION.size))
        if magic != b"IHAVEOPT" or length > OPTION_BYTES_MAX:
            raise _Ended
        data = _received(client, length)
        match option:
            case 1:  # EXPORT_NAME
                zeroes = b"" if flags & _NO_ZEROES else bytes(124)
                client.sendall(struct.pack(">QH", export.size_bytes, EXPORT_FLAGS) + zeroes)
                return True
            case 2:  # ABORT
                _reply_option(client, option, _ACK)
                return False
            case 3:  # LIST
                _reply_option(client, option, _SERVER, bytes(4))
                _reply_option(client, option, _ACK)
            case 6 | 7:  # INFO, GO
                if not _is_info_request(data):
                    _reply_option(client, option, _INVALID)
                    continue
                _reply_option(client, option, _INFO_REPLY, struct.pack(">HQH", 0, export.size_bytes, EXPORT_FLAGS))
                _reply_option(client, option, _INFO_REPLY, struct.pack(">HIII", 3, 512, 4096, TRANSFER_BYTES_MAX))
                _reply_option(client, option, _ACK)
                if option == _GO:
                    return True
            case _:
                _reply_option(client, option, _UNSUPPORTED)
    raise _Ended


def _is_info_request(data: bytes) -> bool:
    """A name with its length, then a count of kinds of information."""
    if len(data) < 6:
        return False
    name_bytes = int.from_bytes(data[:4], "big")
    return len(data) >= 6 + name_bytes


def _reply_option(client: socket.socket, option: int, kind: int, data: bytes = b"") -> None:
    client.sendall(_OPTION_REPLY.pack(_OPTION_REPLY_MAGIC, option, kind, len(data)) + data)


# ---- requests ----


def _answer_one(client: socket.socket, export: Export) -> bool:
    """False after a DISCONNECT."""
    magic, flags, kind, handle, offset, length = _REQUEST.unpack(_received(client, _REQUEST.size))
    if magic != _REQUEST_MAGIC:
        raise _Ended
    request = _Request(flags, kind, handle, offset, length)
    if kind == _DISCONNECT:
        return False
    if kind in (_READ, _WRITE) and length > TRANSFER_BYTES_MAX:
        raise _Ended
    data = _received(client, length) if kind == _WRITE else b""
    try:
        answer = _perform(request, data, export)
    except IoRefused as error:
        client.sendall(_REPLY.pack(_REPLY_MAGIC, error.number, handle))
        return True
    client.sendall(_REPLY.pack(_REPLY_MAGIC, 0, handle))
    if answer:
        client.sendall(answer)
    return True


def _perform(request: _Request, data: bytes, export: Export) -> bytes:
    if request.flags & ~_FUA:
        raise IoRefused(EINVAL)
    if request.kind in (_READ, _WRITE, _TRIM) and request.offset + request.length > export.size_bytes:
        raise IoRefused(ENOSPC if request.kind == _WRITE else EINVAL)
    match request.kind:
        case 0 if request.length:  # READ
            return export.read(request.offset, request.length)
        case 1:  # WRITE
            if data:
                export.write(request.offset, data)
        case 3:  # FLUSH
            export.flush()
        case 4:  # TRIM
            export.trim(request.offset, request.length)
        case _:
            raise IoRefused(EINVAL)
    if request.flags & _FUA and request.kind in (_WRITE, _TRIM):
        export.flush()
    return b""


def _received(client: socket.socket, length: int) -> bytes:
    buffer = bytearray(length)
    view = memoryview(buffer)
    while view:
        count = client.recv_into(view)
        if count == 0:
            raise _Ended
        view = view[count:]
    return bytes(buffer)
