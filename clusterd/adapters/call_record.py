"""Which calls into resource types was a host in the midst of when it ended? I/O: a small mapped file in the run folder.

The host writes each call down before it is made and takes it off when it is back. What is written into a shared mapping
outlives the process, whatever ended it, without any waiting for a disk; the guard reads it when the host is gone. A power
loss needs no record: everything is gone with it.
"""

import contextlib
import mmap
import os
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar

LOADING = "#load"
"""In place of a resource (whose name never begins so): the code of a plug-in is being loaded; `verb` says which."""

T = TypeVar("T")
SLOT_COUNT = 1024
"""More calls than a host makes at once. Those beyond are made and not written down."""
_SLOT_SIZE = 128
_TEXT_MAX = 63
_FREE, _TAKEN = 0, 1


class RecordedCall(NamedTuple):
    """Of a resource; without one it is a question to a type, which `verb` names."""

    resource: str
    verb: str


class CallRecord:
    """The host's end. Slots are taken on one thread; any thread may give one back."""

    def __init__(self, path: str) -> None:
        """Raises OSError when the run folder takes no file. `before`: what the host before this one left."""
        self.before = recorded_calls(path) or ()
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.truncate(descriptor, SLOT_COUNT * _SLOT_SIZE)
            self._map = mmap.mmap(descriptor, SLOT_COUNT * _SLOT_SIZE)
        finally:
            os.close(descriptor)
        self._free = list(range(SLOT_COUNT - 1, -1, -1))

    def began(self, resource: str, verb: str) -> int | None:
        """A call is about to be made. Returns what `ended` takes."""
        if not self._free:
            return None
        slot = self._free.pop()
        at = slot * _SLOT_SIZE
        self._put(at + 1, resource)
        self._put(at + 1 + _TEXT_MAX, verb)
        self._map[at] = _TAKEN  # last: a slot that is taken is whole
        return slot

    def ended(self, slot: int | None) -> None:
        """It is back."""
        if slot is not None:
            self._map[slot * _SLOT_SIZE] = _FREE
            self._free.append(slot)

    @contextlib.contextmanager
    def during(self, resource: str, verb: str) -> Iterator[None]:
        """For what is called in place."""
        slot = self.began(resource, verb)
        try:
            yield
        finally:
            self.ended(slot)

    def made(self, resource: str, make: Callable[[], T]) -> T:
        """What `make`, the resource type's own code as well, makes for a resource."""
        with self.during(resource, "open"):
            return make()

    def _put(self, at: int, text: str) -> None:
        data = text.encode("utf-8", "replace")[:_TEXT_MAX].ljust(_TEXT_MAX, b"\0")
        self._map[at : at + len(data)] = data


def record_path(run_dir: str, host_id: str) -> str:
    return os.path.join(run_dir, f"host-{host_id}.calls")


def forget_record(path: str) -> None:
    """It did not end by itself: what it wrote says nothing of the one after it."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def forget_records(run_dir: str) -> None:
    """The same for every host of a node."""
    for name in os.listdir(run_dir):
        if name.startswith("host-") and name.endswith(".calls"):
            forget_record(os.path.join(run_dir, name))


def recorded_calls(path: str) -> tuple[RecordedCall, ...] | None:
    """What a host that is gone was in the midst of; None when it wrote nothing down."""
    try:
        with open(path, "rb") as file:
            data = file.read(SLOT_COUNT * _SLOT_SIZE)
    except OSError:
        return None
    if len(data) != SLOT_COUNT * _SLOT_SIZE:
        return None
    slots = (data[at : at + _SLOT_SIZE] for at in range(0, len(data), _SLOT_SIZE))
    return tuple(
        RecordedCall(_text(slot[1 : 1 + _TEXT_MAX]), _text(slot[1 + _TEXT_MAX : 1 + 2 * _TEXT_MAX]))
        for slot in slots
        if slot[0] == _TAKEN
    )


def _text(data: bytes) -> str:
    return data.split(b"\0", 1)[0].decode("utf-8", "replace")
