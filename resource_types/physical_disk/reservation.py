"""Which commands make, read and end a reservation? I/O through a link. Raises; decides nothing."""

import contextlib
import time

from resource_types.physical_disk import cdb
from resource_types.physical_disk.cdb import Answer, Out, Status
from resource_types.physical_disk.keys import View
from resource_types.physical_disk.scsi_link import Connect, LinkLost, ScsiLink

ATTENTIONS_MAX = 8
BUSY_RETRIES = 20
BUSY_PAUSE_S = 0.025


class Conflict(Exception):
    """RESERVATION CONFLICT: we are not registered, or the key that we named is not."""


class CommandFailed(Exception):
    """The disk answered with an error. `code` is its additional sense code, 0 without one."""

    def __init__(self, words: str, code: int = 0) -> None:
        super().__init__(words)
        self.code = code


class Reservation:
    """The session's standing at the disk. Not safe for two threads at a time."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._link: ScsiLink | None = None
        self._registered = 0
        """The key that this very session registered, not one before it."""
        self.was_told_preempted = False
        self.survives_power_loss = True
        """APTPL: whether the target keeps reservations over its own restart. Found out at the first registration."""
        self.aborts = True
        """Whether it knows PREEMPT AND ABORT, which ends commands of the loser that are under way."""

    @property
    def is_connected(self) -> bool:
        return self._link is not None

    def connect(self) -> None:
        self.disconnect()
        self._link = self._connect()

    def disconnect(self) -> None:
        if self._link is not None:
            self._link.close()
        self._link, self._registered = None, 0

    def command(self, words: bytes, data: bytes = b"", answer_bytes: int = 0) -> bytes:
        """Raises LinkLost, Conflict, CommandFailed."""
        answer = self._answer(words, data, answer_bytes)
        if answer.status == Status.GOOD:
            return answer.data
        if answer.status == Status.RESERVATION_CONFLICT:
            raise Conflict(f"command {words[0]:02x}: RESERVATION CONFLICT")
        said = f"command {words[0]:02x}: status {answer.status:02x}, {answer.sense or 'no sense data'}"
        raise CommandFailed(said, answer.sense.code if answer.sense else 0)

    def _answer(self, words: bytes, data: bytes, answer_bytes: int) -> Answer:
        """Repeats what was only held up: by news that the target tells once, or by a full queue."""
        if self._link is None:
            raise LinkLost("there is no session with the target")
        busy_count = attention_count = 0
        while True:
            answer = self._link.command(words, data, answer_bytes)
            if answer.status in (Status.BUSY, Status.TASK_SET_FULL) and busy_count < BUSY_RETRIES:
                busy_count += 1
                time.sleep(BUSY_PAUSE_S)
            elif answer.sense and answer.sense.key == cdb.UNIT_ATTENTION and attention_count < ATTENTIONS_MAX:
                attention_count += 1
                self.was_told_preempted |= answer.sense.code in cdb.PREEMPTED_CODES
            else:
                return answer

    def view(self) -> View:
        keys = cdb.parse_keys(self.command(cdb.reserve_in(cdb.READ_KEYS), answer_bytes=cdb.ALLOCATION_BYTES))
        held = self.command(cdb.reserve_in(cdb.READ_RESERVATION), answer_bytes=cdb.ALLOCATION_BYTES)
        return View(cdb.parse_reservation(held), tuple(sorted(keys)))

    def is_own(self, key: int) -> bool:
        """Whether this session registered the key itself. One that an earlier session left does not let us write."""
        return self._registered == key

    def register(self, key: int) -> None:
        if self.survives_power_loss:
            try:
                self._register(key)
                return
            except CommandFailed:
                self.survives_power_loss = False
        self._register(key)

    def _register(self, key: int) -> None:
        try:
            self._out(Out.REGISTER_AND_IGNORE, other=key)
        except Conflict as error:
            raise CommandFailed(str(error)) from error
        self._registered = key
        self.was_told_preempted = False

    def register_new(self, key: int) -> None:
        """Raises Conflict when something of this node has a key there already by the same way: it is not ours to replace."""
        self._out(Out.REGISTER, other=key)
        self._registered = key

    def unregister(self, key: int) -> None:
        """Succeeds when it is gone, whoever removed it."""
        with contextlib.suppress(Conflict):
            self._out(Out.REGISTER, key=key)
        self._registered = 0

    def try_reserve(self, key: int) -> None:
        """Another may be quicker; look afterwards."""
        try:
            self._out(Out.RESERVE, key=key)
        except Conflict:
            return

    def release(self, key: int) -> None:
        self._out(Out.RELEASE, key=key)

    def preempt(self, key: int, other: int) -> str:
        """End every registration with the other key, and take the reservation if it had that. Says how it was done."""
        if self.aborts:
            try:
                self._preempt(Out.PREEMPT_AND_ABORT, key, other)
                return "preempt-and-abort"
            except CommandFailed:
                self.aborts = False
        self._preempt(Out.PREEMPT, key, other)
        return "preempt"

    def _preempt(self, action: Out, key: int, other: int) -> None:
        """A conflict means that one of the two keys has gone by now; look afterwards."""
        try:
            self._out(action, key=key, other=other)
        except Conflict:
            return

    def _out(self, action: Out, *, key: int = 0, other: int = 0) -> None:
        keeps = self.survives_power_loss and action in (Out.REGISTER, Out.REGISTER_AND_IGNORE)
        words, data = cdb.reserve_out(action, key=key, other=other, survives_power_loss=keeps)
        self.command(words, data)
