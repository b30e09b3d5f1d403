"""How is the lease beside an image read, written and locked? I/O. Decides nothing.

Claims are made by compare and rewrite under a lock of the file's first byte; an owner's session locks the second byte for as
long as it lives, and a trial of arbitration the third. Every lock is one of the open file, so it ends with the process,
however that ends.
"""

import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from resource_types.physical_disk.back_end import CHALLENGE_INTERVALS, Clock, PathLost
from resource_types.physical_disk.lease import BLOCK_BYTES, Damaged, Lease, decode, encode
from resource_types.plain_files import open_plain

LEASE_SUFFIX = ".lease"
COMPARE_BYTE, ALIVE_BYTE, TRIAL_BYTE = 0, 1, 2
_LOCK = struct.Struct("hhqqi4x")  # struct flock
_SET_LOCK = 37  # F_OFD_SETLK


class LeaseFile:
    """The lease of one image. Raises PathLost for whatever the file system refuses."""

    def __init__(self, image: str, clock: Clock) -> None:
        self._image, self._clock = image, clock
        self._path = image + LEASE_SUFFIX
        self._file = -1

    def open(self) -> None:
        try:
            self._file = open_plain(self._path, os.O_RDWR | os.O_CREAT)
        except OSError as error:
            raise PathLost(f"{error.filename}: {error.strerror}") from error

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
        self._file = -1

    def read(self) -> Lease:
        try:
            return decode(os.pread(self._file, BLOCK_BYTES, 0))
        except OSError as error:
            raise PathLost(f"{self._path}: {error.strerror}") from error
        except Damaged as error:
            raise PathLost(f"{self._path} is damaged: {error}") from error

    def write(self, lease: Lease) -> None:
        try:
            os.pwrite(self._file, encode(lease), 0)
            os.fdatasync(self._file)
        except OSError as error:
            raise PathLost(f"{self._path}: {error.strerror}") from error

    @contextmanager
    def comparing(self, interval_ms: int, *, has_evidence: bool) -> Iterator[None]:
        """Nobody else compares and rewrites meanwhile.

        A session that was frozen between the two holds this lock for ever. Who has evidence against it goes on without,
        after two intervals; the frozen one finds a newer key when it thaws.
        """
        until_ms = self._clock.now_ms() + CHALLENGE_INTERVALS * interval_ms
        while not (is_locked := self.try_lock(COMPARE_BYTE)):
            if self._clock.now_ms() >= until_ms:
                if has_evidence:
                    break
                raise PathLost(f"{self._path} stays locked by another session")
            self._clock.pause(1)
        try:
            yield
        finally:
            if is_locked:
                self.unlock(COMPARE_BYTE)

    def try_lock(self, byte: int) -> bool:
        try:
            self._set_lock(byte, fcntl.F_WRLCK)
        except (BlockingIOError, PermissionError):
            return False
        return True

    def unlock(self, byte: int) -> None:
        self._set_lock(byte, fcntl.F_UNLCK)

    def _set_lock(self, byte: int, kind: int) -> None:
        if self._file < 0:
            raise PathLost(f"{self._image} is closed")
        try:
            fcntl.fcntl(self._file, _SET_LOCK, _LOCK.pack(kind, os.SEEK_SET, byte, 1, 0))
        except (BlockingIOError, PermissionError):
            raise
        except OSError as error:
            raise PathLost(f"{self._path} cannot be locked: {error.strerror}") from error
