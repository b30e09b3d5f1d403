"""How is arbitration of a SCSI disk tried? I/O through a link.

It registers only where nothing of this node is registered yet: over a local device all that this node does is one session,
and an owner that came meanwhile must keep its key. It never renews anything, so what was ended stays ended.

The late write has no data at first. A target looks at reservations before it looks at how much is to be written, so the
refusal of that one is as good, and if there is none nothing was changed. Only then bytes travel: those that were just read,
in one step with the comparison where the target can do that.
"""

import contextlib
from collections.abc import Callable, Collection
from typing import TypeVar

from resource_types.physical_disk import cdb
from resource_types.physical_disk.back_end import IoFailed, PathLost
from resource_types.physical_disk.keys import View
from resource_types.physical_disk.reservation import CommandFailed, Conflict, Reservation
from resource_types.physical_disk.scsi_link import Connect, LinkLost
from resource_types.physical_disk.trial_claim import GaveUp, Seen, Unfit, expect

_Answer = TypeVar("_Answer")


class ScsiTrial:
    """One session with a logical unit, for one trial."""

    def __init__(self, connect: Connect, key: int, of_trial: Collection[int]) -> None:
        self._disk, self._key, self._of_trial = Reservation(connect), key, of_trial
        self._disk.survives_power_loss = False  # a trial need not outlive anything
        self._capacity = cdb.Capacity(512, 0, False)

    def open(self) -> Seen:
        def look() -> Seen:
            self._disk.connect()
            self._capacity = cdb.parse_capacity(self._disk.command(cdb.read_capacity(), answer_bytes=32))
            ids = list(cdb.parse_designators(self._disk.command(cdb.inquiry_page(0x83), answer_bytes=255)))
            view = self._disk.view()
            claims = {*view.registered, *(() if view.holder is None else (view.holder,))}
            return Seen(self._capacity.block_bytes * self._capacity.block_count, ids, tuple(sorted(claims)))

        return self._done(look)

    def claim(self) -> None:
        self._expect(None, ())
        self._register()
        self._done(lambda: self._disk.try_reserve(self._key))
        self._expect(self._key, (self._key,))

    def challenge(self, holder: int) -> None:
        self._expect(holder, (holder,))
        self._register()

    def defend(self, challenger: int) -> None:
        self._expect(self._key, (self._key, challenger))
        self._done(lambda: self._disk.preempt(self._key, challenger))
        self._expect(self._key, (self._key,))

    def take(self, holder: int) -> None:
        self._expect(holder, (holder,))
        self._register()
        self._done(lambda: self._disk.preempt(self._key, holder))
        self._expect(self._key, (self._key,))

    def late_write(self, holder: int) -> None:
        self._expect(holder, (holder,))
        if not self._is_written(cdb.write_blocks(self._last_block(), 0)) or not self._is_written_back():
            return
        self._expect(holder, (holder,))  # an owner of this node may have registered the session again
        raise Unfit("a write arrived whose claim had been ended")

    def write(self) -> None:
        self._expect(self._key, (self._key,))
        if not self._is_written_back():
            self._expect(self._key, (self._key,))
            raise Unfit("the holder's own write was refused")

    def release(self) -> None:
        """The key that a command names is the one that it acts on: an owner that came meanwhile has another one."""
        with contextlib.suppress(Conflict):
            self._done(lambda: self._disk.release(self._key), is_refusal_told=True)
        self._done(lambda: self._disk.unregister(self._key))

    def close(self) -> None:
        self._disk.disconnect()

    # ---- steps of the steps ----

    def _expect(self, holder: int | None, registered: Collection[int]) -> None:
        view: View = self._done(self._disk.view)
        expect(view, holder=holder, registered=registered, of_trial=self._of_trial)

    def _register(self) -> None:
        try:
            self._done(lambda: self._disk.register_new(self._key), is_refusal_told=True)
        except Conflict as error:
            raise GaveUp("something of this node has a claim there already, by the same way") from error

    def _last_block(self) -> int:
        """Where least is written."""
        return self._capacity.block_count - 1

    def _is_written_back(self) -> bool:
        """Whether the disk takes a write of ours that changes nothing."""
        block = self._last_block()
        there = self._done(
            lambda: self._disk.command(cdb.read_blocks(block, 1), answer_bytes=self._capacity.block_bytes)
        )
        if len(there) != self._capacity.block_bytes:
            raise IoFailed(f"{len(there)} of {self._capacity.block_bytes} bytes were read at block {block}")
        try:
            return self._is_taken(cdb.compare_and_write(block, 1), there * 2)
        except CommandFailed as error:
            if error.code == cdb.MISCOMPARE_CODE:
                raise GaveUp("somebody without a claim writes to it") from error
            if error.code != cdb.UNKNOWN_COMMAND_CODE:
                raise IoFailed(str(error)) from error
        return self._is_written(cdb.write_blocks(block, 1), there)

    def _is_written(self, words: bytes, data: bytes = b"") -> bool:
        try:
            return self._is_taken(words, data)
        except CommandFailed as error:
            raise IoFailed(str(error)) from error

    def _is_taken(self, words: bytes, data: bytes) -> bool:
        """Raises CommandFailed for any other answer than yes and a reservation conflict."""
        try:
            self._disk.command(words, data)
        except LinkLost as error:
            raise PathLost(str(error)) from error
        except Conflict:
            return False
        return True

    def _done(self, step: Callable[[], _Answer], *, is_refusal_told: bool = False) -> _Answer:
        try:
            return step()
        except (LinkLost, cdb.Malformed) as error:
            raise PathLost(str(error)) from error
        except CommandFailed as error:
            raise IoFailed(str(error)) from error
        except Conflict as error:
            if is_refusal_told:
                raise
            raise GaveUp(f"the disk refused it: {error}") from error
