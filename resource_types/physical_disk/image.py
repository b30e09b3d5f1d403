"""How is an image file claimed, defended and used? I/O: a lease file beside it (`IMAGE.lease`), on a share or a local path.

The lease holds the owner's key and a counter that it raises every interval (lease_file.py reads, writes and locks it). Two
intervals without a new count, and the lock of the owner's session free, end a claim about which the cluster knows nothing; a
higher generation ends one at once.

The storage refuses nothing here. Every write is preceded by a look at the lease, so an owner that was frozen and goes on
finds itself replaced before it writes; but a write that had passed this look when it froze still arrives. That is the
guarantee `cooperative`, and why such a group cannot count its preemption as evidence.
"""

import os
import threading
from collections.abc import Callable
from typing import Any

from resource_types.physical_disk.back_end import (
    CHALLENGE_INTERVALS,
    Clock,
    IoFailed,
    Lost,
    PathLost,
    Preempted,
    Refused,
    failed_io,
)
from resource_types.physical_disk.keys import Judgement, Key, Verdict, View, arbitrate, defend, shown
from resource_types.physical_disk.lease import BLOCK_BYTES, Lease
from resource_types.physical_disk.lease_file import ALIVE_BYTE, LeaseFile
from resource_types.physical_disk.punch import punch_hole
from resource_types.plain_files import open_plain

LOOK_EVERY_MS = 20


class Image:
    """A file, and its lease."""

    guarantee = "cooperative"

    def __init__(self, path: str, owner: str, clock: Clock) -> None:
        self._path, self._owner, self._clock = path, owner, clock
        self._lock = threading.RLock()
        self._lease = LeaseFile(path, clock)
        self._image = -1
        self._size = 0
        self._key: Key | None = None
        self._interval_ms = 0
        self._heard_ms = 0
        self._ours = Lease()

    @property
    def size_bytes(self) -> int:
        return self._size

    def open(self) -> None:
        with self._lock:
            try:
                self._image = open_plain(self._path, os.O_RDWR, or_device=True)
                self._size = os.fstat(self._image).st_size // BLOCK_BYTES * BLOCK_BYTES
            except OSError as error:
                raise PathLost(f"{error.filename}: {error.strerror}") from error
            self._lease.open()

    def ids(self) -> list[str]:
        return []

    def close(self) -> None:
        with self._lock:
            if self._image >= 0:
                os.close(self._image)
            self._image = -1
            self._lease.close()

    # ---- claiming ----

    def arbitrate(self, key: Key, interval_ms: int, tell: Callable[[str], None]) -> list[Preempted]:
        with self._lock:
            self._interval_ms = interval_ms
            seen = self._lease.read()
            judged = arbitrate(_view(seen), key)
            if judged.verdict is Verdict.REFUSE:
                raise Refused(judged.because)
            try:
                if judged.verdict is Verdict.CHALLENGE:
                    tell(f"{judged.because}: waiting {CHALLENGE_INTERVALS} intervals whether its holder counts on")
                    self._challenge(seen, interval_ms, judged.because)
                taken = self._take(key, seen, judged)
            except Refused:
                self._lease.unlock(ALIVE_BYTE)
                raise
            self._key, self._heard_ms = key, self._clock.now_ms()
            self._lease.try_lock(ALIVE_BYTE)
            if taken.key in (0, key.value):
                return []
            return [Preempted(taken.key, self._heard_ms, "lease rewritten", judged.because)]

    def _take(self, key: Key, seen: Lease, judged: Judgement) -> Lease:
        """Compare and rewrite. Returns the lease that ends with this."""
        with self._lease.comparing(self._interval_ms, has_evidence=judged.verdict is Verdict.PREEMPT):
            now = self._lease.read()
            again = arbitrate(_view(now), key)
            was_challenged = judged.verdict is Verdict.CHALLENGE and now == seen
            if again.verdict not in (Verdict.PREEMPT, Verdict.RESERVE) and not was_challenged:
                raise Refused(f"another was quicker: {again.because} ({now.owner})")
            self._write_lease(Lease(key.value, self._owner, now.counter + 1))
            return now

    def _challenge(self, seen: Lease, interval_ms: int, because: str) -> None:
        until_ms = self._clock.now_ms() + CHALLENGE_INTERVALS * interval_ms
        while self._clock.now_ms() < until_ms:
            self._clock.pause(LOOK_EVERY_MS)
            if (now := self._lease.read()) != seen and now.key != 0:
                raise Refused(f"{because} ({now.owner}), and its holder counts on")
        if not self._lease.try_lock(ALIVE_BYTE):
            raise Refused(f"{because} ({seen.owner}), whose session does not count but still holds its lock")

    # ---- keeping ----

    def defend(self) -> None:
        with self._lock:
            if self._key is None:
                return
            with self._lease.comparing(self._interval_ms, has_evidence=False):
                self._expect_ours(self._key)
                self._write_lease(self._ours.renewed())
            self._lease.try_lock(ALIVE_BYTE)
            self._heard_ms = self._clock.now_ms()

    def _expect_ours(self, key: Key) -> None:
        """Raises Lost. What an older owner wrote late (it had passed its own look) is overwritten by us, not believed."""
        now = self._lease.read()
        if now.key == key.value:
            self._ours = now
            return
        is_late = self._clock.now_ms() - self._heard_ms > CHALLENGE_INTERVALS * self._interval_ms
        registered = () if now.key == 0 else (now.key,)
        judged = defend(View(now.key or None, registered), key, was_heard_lately=not is_late)
        if judged.verdict is Verdict.LOST:
            raise Lost(f"{judged.because} ({now.owner or 'nobody'})")

    def release(self) -> None:
        with self._lock:
            key, self._key = self._key, None
            if key is None:
                return
            try:
                os.fdatasync(self._image)
            except OSError as error:
                raise PathLost(f"{self._path}: {error.strerror}") from error
            with self._lease.comparing(self._interval_ms, has_evidence=False):
                if (now := self._lease.read()).key == key.value:
                    self._write_lease(Lease(0, "", now.counter + 1))
            self._lease.unlock(ALIVE_BYTE)

    def status(self) -> dict[str, Any]:
        try:
            lease = self._lease.read()
        except PathLost as error:
            return {"trouble": str(error)}
        holder = shown(lease.key) if lease.key else None
        return {
            "holder": holder,
            "owner": lease.owner,
            "registrants": [holder] if holder else [],
            "count": lease.counter,
        }

    # ---- using ----

    def read(self, offset: int, length: int) -> bytes:
        try:
            data = os.pread(self._image, length, offset)
        except OSError as error:
            raise IoFailed(f"{self._path}: {error.strerror}") from error
        if len(data) != length:
            raise IoFailed(f"{self._path} became shorter: {len(data)} of {length} bytes at {offset}")
        return data

    def write(self, offset: int, data: bytes) -> None:
        self._look()
        view = memoryview(data)
        try:
            while view:
                written = os.pwrite(self._image, view, offset)
                view, offset = view[written:], offset + written
        except OSError as error:
            raise failed_io(self._path, error) from error

    def flush(self) -> None:
        self._look()
        try:
            os.fdatasync(self._image)
        except OSError as error:
            raise failed_io(self._path, error) from error

    def trim(self, offset: int, length: int) -> None:
        self._look()
        punch_hole(self._image, offset, length)

    def _look(self) -> None:
        """Before every write: is the lease still ours?"""
        if (key := self._key) is None:
            raise Lost("the lease was released")
        if self._lease.read().key != key.value:
            with self._lock:
                self._expect_ours(key)

    def _write_lease(self, lease: Lease) -> None:
        self._lease.write(lease)
        self._ours = lease


def _view(lease: Lease) -> View:
    return View(lease.key or None, (lease.key,) if lease.key else ())
