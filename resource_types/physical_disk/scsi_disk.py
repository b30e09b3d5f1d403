"""How is a SCSI disk claimed, defended and used? I/O through a link; keys.py decides, reservation.py asks the disk.

The reservation is of type 5, write exclusive for registrants: the target itself refuses the writes of everybody whose key is
not registered, and preempting a key removes it. So the writes of an owner that was preempted never arrive, even if its whole
machine was frozen and goes on later. After a target forgot everything (a restart without APTPL) the owner registers again.
"""

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from resource_types.physical_disk import cdb
from resource_types.physical_disk.back_end import (
    CHALLENGE_INTERVALS,
    Clock,
    IoFailed,
    Lost,
    NoRoom,
    PathLost,
    Preempted,
    Refused,
)
from resource_types.physical_disk.keys import Judgement, Key, Verdict, arbitrate, defend, shown
from resource_types.physical_disk.reservation import CommandFailed, Conflict, Reservation
from resource_types.physical_disk.scsi_link import Connect, LinkLost

TRANSFER_BYTES_MAX = 1 << 20
RECONNECT_EVERY_MS = 100
PREEMPT_ROUNDS_MAX = 64
_Answer = TypeVar("_Answer")


class ScsiDisk:
    """A logical unit behind whatever carries the commands."""

    guarantee = "storage"

    def __init__(self, connect: Connect, clock: Clock) -> None:
        self._reservation = Reservation(connect)
        self._clock = clock
        self._lock = threading.RLock()
        self._capacity = cdb.Capacity(512, 0, False)
        self._ids: list[str] = []
        self._key: Key | None = None
        self._interval_ms = 0
        self._heard_ms = 0
        """When we last knew that it was ours."""

    @property
    def size_bytes(self) -> int:
        return self._capacity.block_bytes * self._capacity.block_count

    def open(self) -> None:
        with self._lock:
            try:
                self._reservation.connect()
                self._capacity = cdb.parse_capacity(self._reservation.command(cdb.read_capacity(), answer_bytes=32))
                page = self._reservation.command(cdb.inquiry_page(0x83), answer_bytes=255)
                self._ids = list(cdb.parse_designators(page))
            except (LinkLost, CommandFailed, Conflict, cdb.Malformed) as error:
                raise PathLost(str(error)) from error

    def ids(self) -> list[str]:
        return self._ids

    def close(self) -> None:
        with self._lock:
            self._reservation.disconnect()

    # ---- claiming ----

    def arbitrate(self, key: Key, interval_ms: int, tell: Callable[[str], None]) -> list[Preempted]:
        with self._lock:
            try:
                preempted = self._connected(lambda: self._arbitrate(key, interval_ms, tell))
            except (LinkLost, CommandFailed, Conflict, cdb.Malformed) as error:
                raise PathLost(str(error)) from error
            self._key, self._interval_ms, self._heard_ms = key, interval_ms, self._clock.now_ms()
            return preempted

    def _connected(self, step: Callable[[], _Answer]) -> _Answer:
        """A session that broke meanwhile is opened again, once."""
        if self._reservation.is_connected:
            try:
                return step()
            except LinkLost:
                self._reservation.disconnect()
        self._reservation.connect()
        return step()

    def _arbitrate(self, key: Key, interval_ms: int, tell: Callable[[str], None]) -> list[Preempted]:
        claim = self._reservation
        judged = arbitrate(claim.view(), key)
        if judged.verdict is Verdict.REFUSE:
            raise Refused(judged.because)
        claim.register(key.value)
        try:
            if judged.verdict is Verdict.CHALLENGE:
                tell(f"{judged.because}: waiting {CHALLENGE_INTERVALS} intervals whether its holder defends it")
                judged = self._challenge(key, interval_ms, judged)
            return self._take(key, judged)
        except Refused:
            claim.unregister(key.value)
            raise

    def _challenge(self, key: Key, interval_ms: int, judged: Judgement) -> Judgement:
        """A holder that lives removes our registration, which is how its defence is seen."""
        until_ms = self._clock.now_ms() + CHALLENGE_INTERVALS * interval_ms
        while self._clock.now_ms() < until_ms:
            self._clock.pause(min(RECONNECT_EVERY_MS, interval_ms // 4))
            view = self._reservation.view()
            if key.value not in view.registered:
                raise Refused(f"{judged.because}, and its holder defends it")
            if (now := arbitrate(view, key)).verdict is not Verdict.CHALLENGE:
                return now
        return Judgement(
            Verdict.PREEMPT, f"{judged.because}, who did not defend it for {CHALLENGE_INTERVALS} intervals"
        )

    def _take(self, key: Key, judged: Judgement) -> list[Preempted]:
        """Reserve, or preempt the holder; then every other key, for whoever is registered may write."""
        claim, ended = self._reservation, list[Preempted]()
        for _ in range(PREEMPT_ROUNDS_MAX):
            view = claim.view()
            if key.value not in view.registered:
                raise Refused("somebody ended our registration while we arbitrated")
            now = arbitrate(view, key)
            others = [each for each in view.registered if each != key.value]
            if now.verdict is Verdict.REFUSE:
                raise Refused(now.because)
            if view.holder is None:
                claim.try_reserve(key.value)
            elif (
                view.holder == key.value and not others and view.registered == (key.value,) and claim.is_own(key.value)
            ):
                return ended
            elif now.verdict is Verdict.CHALLENGE and judged.verdict is not Verdict.PREEMPT:
                raise Refused(now.because)
            else:
                target = view.holder if view.holder != key.value or not others else others[0]
                how = claim.preempt(key.value, target)
                if target != key.value:
                    because = judged.because if target == view.holder else "it was still registered"
                    ended.append(Preempted(target, self._clock.now_ms(), how, because))
        raise Refused(f"{PREEMPT_ROUNDS_MAX} claims were ended and there are still others")

    # ---- keeping ----

    def defend(self) -> None:
        with self._lock:
            try:
                self._connected(self._defend)
            except LinkLost as error:
                self._reservation.disconnect()
                raise PathLost(str(error)) from error
            except (CommandFailed, cdb.Malformed) as error:
                raise PathLost(str(error)) from error
            except Conflict as error:
                raise Lost("another node preempted the reservation") from error

    def _defend(self) -> None:
        key, claim = self._key, self._reservation
        if key is None:
            return
        judged = defend(claim.view(), key, was_heard_lately=self._was_heard_lately())
        if claim.was_told_preempted and judged.verdict is not Verdict.HOLD:
            raise Lost(f"the target told us that another node preempted the reservation: {judged.because}")
        if judged.verdict is Verdict.LOST:
            raise Lost(judged.because)
        if judged.verdict is Verdict.RESTORE or not claim.is_own(key.value):
            claim.register(key.value)
        try:
            # An intruder's key is ended here as well: that is what a challenger sees of our defence.
            self._take(key, Judgement(Verdict.PREEMPT, "the owner defends it"))
        except Refused as error:
            raise Lost(str(error)) from error
        claim.was_told_preempted = False
        self._heard_ms = self._clock.now_ms()

    def _was_heard_lately(self) -> bool:
        return self._clock.now_ms() - self._heard_ms <= CHALLENGE_INTERVALS * self._interval_ms

    def release(self) -> None:
        with self._lock:
            key, self._key = self._key, None
            if key is None:
                return
            try:
                self._reservation.command(cdb.synchronize_cache())
                self._reservation.release(key.value)
                self._reservation.unregister(key.value)
            except (LinkLost, CommandFailed, Conflict) as error:
                raise PathLost(f"the reservation could not be released: {error}") from error

    def status(self) -> dict[str, Any]:
        if not self._lock.acquire(timeout=0.1):
            return {"busy": True}
        try:
            view = self._reservation.view() if self._reservation.is_connected else None
        except (LinkLost, CommandFailed, Conflict, cdb.Malformed) as error:
            return {"trouble": str(error)}
        finally:
            self._lock.release()
        if view is None:
            return {"trouble": "there is no session with the target"}
        holder = None if view.holder is None else shown(view.holder)
        return {"holder": holder, "registrants": [shown(each) for each in view.registered]}

    # ---- using ----

    def read(self, offset: int, length: int) -> bytes:
        size = self._capacity.block_bytes
        first, end = offset // size, -(-(offset + length) // size)
        parts: list[bytes] = []
        step = TRANSFER_BYTES_MAX // size
        for block in range(first, end, step):
            count = min(step, end - block)
            part = self._io(cdb.read_blocks(block, count), answer_bytes=count * size)
            if len(part) != count * size:
                raise IoFailed(f"{len(part)} of {count * size} bytes were read at block {block}")
            parts.append(part)
        whole = parts[0] if len(parts) == 1 else b"".join(parts)
        begin = offset - first * size
        return whole if begin == 0 and len(whole) == length else whole[begin : begin + length]

    def write(self, offset: int, data: bytes) -> None:
        size = self._capacity.block_bytes
        with self._lock:
            if offset % size or len(data) % size:
                offset, data = self._widened(offset, data)
            for at in range(0, len(data), TRANSFER_BYTES_MAX):
                part = data if len(data) <= TRANSFER_BYTES_MAX else data[at : at + TRANSFER_BYTES_MAX]
                self._io(cdb.write_blocks((offset + at) // size, len(part) // size), part)

    def _widened(self, offset: int, data: bytes) -> tuple[int, bytes]:
        """Whole blocks: what is around `data` is read first."""
        size = self._capacity.block_bytes
        first, end = offset // size * size, -(-(offset + len(data)) // size) * size
        around = bytearray(self.read(first, end - first))
        around[offset - first : offset - first + len(data)] = data
        return first, bytes(around)

    def flush(self) -> None:
        self._io(cdb.synchronize_cache())

    def trim(self, offset: int, length: int) -> None:
        size = self._capacity.block_bytes
        first, end = -(-offset // size), (offset + length) // size
        if self._capacity.takes_unmap and end > first:
            self._io(*cdb.unmap(first, end - first))

    def _io(self, words: bytes, data: bytes = b"", answer_bytes: int = 0) -> bytes:
        """Rides through a target that is away for less than one interval."""
        with self._lock:
            until_ms = self._clock.now_ms() + max(self._interval_ms, RECONNECT_EVERY_MS)
            while True:
                try:
                    if not self._reservation.is_connected:
                        self.defend()
                    return self._reservation.command(words, data, answer_bytes)
                except Conflict as error:
                    raise Lost("the target refused it: another node preempted the reservation") from error
                except CommandFailed as error:
                    raise (NoRoom if error.code == cdb.NO_ROOM_CODE else IoFailed)(str(error)) from error
                except (LinkLost, PathLost) as error:
                    self._reservation.disconnect()
                    if self._clock.now_ms() >= until_ms:
                        raise PathLost(str(error)) from error
                    self._clock.pause(RECONNECT_EVERY_MS)
