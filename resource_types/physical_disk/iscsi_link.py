"""How is a logical unit reached over iSCSI without the kernel's help? I/O: libiscsi (Debian: libiscsi7) through ctypes.

The session's identifier is a function of node and disk: where the target reinstates sessions (RFC 7143, 6.3.5) the next one
takes the place of the one before. tgt does not; there the new session preempts the old one, which has the same key.
"""

import ctypes
import hashlib
import socket
from typing import Any, NamedTuple

from resource_types.physical_disk.cdb import Answer, Sense, Status
from resource_types.physical_disk.scsi_link import LinkLost

LIBRARY = "libiscsi.so.7"
COMMAND_TIMEOUT_S = 5
REACH_TIMEOUT_S = 1.0
_NORMAL_SESSION = 2
_NO_DIGEST = 0
_NONE, _READ, _WRITE = 0, 1, 2


class Target(NamedTuple):
    """Which logical unit, and as whom."""

    portal: str
    name: str
    unit: int
    initiator: str
    session: str
    """Tells this node's sessions with one target apart."""


class _Sense(ctypes.Structure):
    _fields_ = (
        ("error_type", ctypes.c_ubyte),
        ("key", ctypes.c_int),
        ("code", ctypes.c_int),
        ("flags", ctypes.c_ubyte),
        ("bit_pointer", ctypes.c_ubyte),
        ("field_pointer", ctypes.c_uint16),
    )


class _Task(ctypes.Structure):
    """The beginning of `struct scsi_task`, which is as old as the library's ABI 7."""

    _fields_ = (
        ("status", ctypes.c_int),
        ("cdb_size", ctypes.c_int),
        ("direction", ctypes.c_int),
        ("expected_bytes", ctypes.c_int),
        ("cdb", ctypes.c_ubyte * 16),
        ("residual_status", ctypes.c_int),
        ("residual", ctypes.c_size_t),
        ("sense", _Sense),
        ("answer_bytes", ctypes.c_int),
        ("answer", ctypes.c_void_p),
    )


class _Data(ctypes.Structure):
    _fields_ = (("size", ctypes.c_size_t), ("data", ctypes.c_char_p))


class IscsiLink:
    """A logged-in session. Raises LinkLost from the start when nobody answers or the login is refused."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._library = library()
        _expect_listener(target.portal)
        self._session = self._library.iscsi_create_context(target.initiator.encode())
        if not self._session:
            raise LinkLost(f"libiscsi does not take {target.initiator} for an initiator name")
        name = f"{target.initiator}\0{target.session}".encode()
        identifier = int.from_bytes(hashlib.blake2b(name, digest_size=5).digest(), "big")
        self._library.iscsi_set_isid_random(self._session, identifier >> 16, identifier & 0xFFFF)
        self._library.iscsi_set_targetname(self._session, target.name.encode())
        self._library.iscsi_set_session_type(self._session, _NORMAL_SESSION)
        self._library.iscsi_set_header_digest(self._session, _NO_DIGEST)
        self._library.iscsi_set_timeout(self._session, COMMAND_TIMEOUT_S)
        self._library.iscsi_set_noautoreconnect(self._session, 1)
        if self._library.iscsi_full_connect_sync(self._session, target.portal.encode(), target.unit) != 0:
            reason = self._error()
            self.close()
            raise LinkLost(f"no session with {target.name} at {target.portal}, unit {target.unit}: {reason}")

    def command(self, cdb: bytes, data: bytes = b"", answer_bytes: int = 0) -> Answer:
        if not self._session:
            raise LinkLost("the session is closed")
        direction = _WRITE if data else _READ if answer_bytes else _NONE
        task = self._library.scsi_create_task(len(cdb), cdb, direction, len(data) or answer_bytes)
        outgoing = _Data(len(data), data)
        sent = self._library.iscsi_scsi_command_sync(
            self._session, self._target.unit, task, ctypes.byref(outgoing) if data else None
        )
        try:
            if not sent:
                raise LinkLost(f"{self._target.portal} does not answer: {self._error()}")
            return self._answer(task.contents)
        finally:
            self._library.scsi_free_scsi_task(task)

    def _answer(self, task: Any) -> Answer:
        if not 0 <= task.status <= 0xFF:
            raise LinkLost(f"the session with {self._target.portal} broke, or an answer took {COMMAND_TIMEOUT_S} s")
        sense = Sense(task.sense.key, task.sense.code) if task.status == Status.CHECK_CONDITION else None
        data = ctypes.string_at(task.answer, task.answer_bytes) if task.answer and task.answer_bytes > 0 else b""
        return Answer(task.status, sense, data)

    def _error(self) -> str:
        text: bytes = self._library.iscsi_get_error(self._session) or b"no reason given"
        return text.decode(errors="replace")

    def close(self) -> None:
        """Without a logout: that would wait for a target that may be gone. The target sees the connection end."""
        if self._session:
            self._library.iscsi_destroy_context(self._session)
            self._session = None


_loaded: Any = None


def library() -> Any:
    """Raises OSError where libiscsi is not installed."""
    global _loaded  # noqa: PLW0603  one library a process
    if _loaded is None:
        _loaded = _declared(ctypes.CDLL(LIBRARY))
    return _loaded


def _declared(found: Any) -> Any:
    pointer, number, text = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p
    task = ctypes.POINTER(_Task)
    declarations: dict[str, tuple[Any, tuple[Any, ...]]] = {
        "iscsi_create_context": (pointer, (text,)),
        "iscsi_destroy_context": (number, (pointer,)),
        "iscsi_full_connect_sync": (number, (pointer, text, number)),
        "iscsi_get_error": (text, (pointer,)),
        "iscsi_scsi_command_sync": (task, (pointer, number, task, ctypes.POINTER(_Data))),
        "iscsi_set_header_digest": (number, (pointer, number)),
        "iscsi_set_isid_random": (number, (pointer, ctypes.c_uint32, ctypes.c_uint32)),
        "iscsi_set_noautoreconnect": (None, (pointer, number)),
        "iscsi_set_session_type": (number, (pointer, number)),
        "iscsi_set_targetname": (number, (pointer, text)),
        "iscsi_set_timeout": (number, (pointer, number)),
        "scsi_create_task": (task, (number, text, number, number)),
        "scsi_free_scsi_task": (None, (task,)),
    }
    for name, (result, arguments) in declarations.items():
        function = getattr(found, name)
        function.restype, function.argtypes = result, arguments
    return found


def _expect_listener(portal: str) -> None:
    """libiscsi waits minutes for an address where nobody is; a plain connection says it in a second."""
    host, _, port = portal.partition(",")[0].rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), REACH_TIMEOUT_S).close()
    except (OSError, ValueError) as error:
        raise LinkLost(f"nobody answers at {portal}: {error}") from error
