"""How is arbitration of an image tried? I/O: the lease beside it, and the last bytes of the file.

The storage refuses nothing here, so the question is whether nodes see each other's leases and locks in time: a share that
keeps what it read for a while, or locks within one machine only, lets two owners write. Bytes are written back only under
the lock that any owner takes before it claims.
"""

import os
from collections.abc import Collection
from contextlib import AbstractContextManager

from resource_types.physical_disk.back_end import IoFailed, PathLost
from resource_types.physical_disk.keys import View
from resource_types.physical_disk.lease import BLOCK_BYTES, Lease
from resource_types.physical_disk.lease_file import TRIAL_BYTE, LeaseFile
from resource_types.physical_disk.trial_claim import Seen, Unfit, expect
from resource_types.plain_files import open_plain

COMPARE_WITHIN_MS = 500


class ImageTrial:
    """An image and its lease, for one trial."""

    def __init__(self, path: str, owner: str, key: int, of_trial: Collection[int], lease: LeaseFile) -> None:
        self._path, self._owner, self._key, self._of_trial = path, owner, key, of_trial
        self._lease = lease
        self._image = -1
        self._size = 0
        self._count = 0
        """Of the holder's lease, as our challenge found it."""

    def open(self) -> Seen:
        try:
            self._image = open_plain(self._path, os.O_RDWR, or_device=True)
            self._size = os.fstat(self._image).st_size // BLOCK_BYTES * BLOCK_BYTES
        except OSError as error:
            raise PathLost(f"{error.filename}: {error.strerror}") from error
        self._lease.open()
        key = self._lease.read().key
        return Seen(self._size, [], (key,) if key else ())

    def claim(self) -> None:
        with self._comparing():
            count = self._expect(None).counter
            self._lease.write(Lease(self._key, self._owner, count + 1))
        self._hold_lock()

    def challenge(self, holder: int) -> None:
        self._count = self._expect(holder).counter
        if self._lease.try_lock(TRIAL_BYTE):
            self._lease.unlock(TRIAL_BYTE)
            raise Unfit(
                "a lock that one node holds is free for another one: locks of this file system do not reach far"
            )

    def defend(self, challenger: int) -> None:
        with self._comparing():
            self._lease.write(self._expect(self._key).renewed())

    def take(self, holder: int) -> None:
        with self._comparing():
            now = self._expect(holder)
            if now.counter == self._count:
                raise Unfit(
                    "the holder renewed its lease, and that is not seen here: the file system keeps what it read"
                )
            self._lease.write(Lease(self._key, self._owner, now.counter + 1))

    def late_write(self, holder: int) -> None:
        """It looks at the lease before each write, and that is all that keeps it from writing."""
        found = self._lease.read().key
        if found == self._key:
            raise Unfit("a holder does not see that its lease was taken over: the file system keeps what it read")
        expect(_view(found), holder=holder, registered=(holder,), of_trial=self._of_trial)
        self._lease.unlock(TRIAL_BYTE)

    def write(self) -> None:
        self._expect(self._key)
        self._hold_lock()
        with self._comparing():
            self._expect(self._key)
            at = max(self._size - BLOCK_BYTES, 0)
            try:
                os.pwrite(self._image, os.pread(self._image, BLOCK_BYTES, at)[: self._size], at)
                os.fdatasync(self._image)
            except OSError as error:
                raise IoFailed(f"{self._path}: {error.strerror}") from error

    def release(self) -> None:
        with self._comparing():
            now = self._lease.read()
            if now.key == self._key:
                self._lease.write(Lease(0, "", now.counter + 1))
        self._lease.unlock(TRIAL_BYTE)

    def close(self) -> None:
        if self._image >= 0:
            os.close(self._image)
        self._image = -1
        self._lease.close()

    # ---- steps of the steps ----

    def _expect(self, holder: int | None) -> Lease:
        now = self._lease.read()
        registered = () if holder is None else (holder,)
        expect(_view(now.key), holder=holder, registered=registered, of_trial=self._of_trial)
        return now

    def _comparing(self) -> AbstractContextManager[None]:
        return self._lease.comparing(COMPARE_WITHIN_MS, has_evidence=False)

    def _hold_lock(self) -> None:
        if not self._lease.try_lock(TRIAL_BYTE):
            raise Unfit(
                "a lock that nobody holds any more is not free: locks of this file system outlast their holders"
            )


def _view(key: int) -> View:
    return View(key or None, (key,) if key else ())
