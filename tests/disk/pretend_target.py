"""A SCSI disk in memory, with persistent reservations as SPC-4 describes them: a real implementation with dials.

What tgt cannot do is tried here: PREEMPT AND ABORT, reservations that survive a restart, unmap, COMPARE AND WRITE, unit
attentions of any kind; and storage that takes reservations and keeps none.
"""

import struct
from collections.abc import Callable
from typing import NamedTuple

from resource_types.physical_disk.cdb import Answer, Out, Sense, Status
from resource_types.physical_disk.scsi_link import LinkLost

GOOD, CONFLICT = Answer(Status.GOOD), Answer(Status.RESERVATION_CONFLICT)
NO_ROOM = Answer(Status.CHECK_CONDITION, Sense(7, 0x2707))
INVALID_FIELD = Answer(Status.CHECK_CONDITION, Sense(5, 0x2600))
UNKNOWN_COMMAND, MISCOMPARE = (Answer(Status.CHECK_CONDITION, each) for each in (Sense(5, 0x2000), Sense(0xE, 0x1D00)))


class Dials(NamedTuple):
    aborts: bool = True
    survives: bool = True
    compares: bool = True
    refuses: bool = True
    """Whether those who are not registered are kept from writing."""


class PretendTarget:
    """`sessions` are the links that are open; keys belong to sessions."""

    def __init__(self, size_bytes: int = 1 << 20, dials: Dials | None = None) -> None:
        self.data = bytearray(size_bytes)
        self.dials = dials or Dials()
        self.keys: dict[PretendLink, int] = {}
        self.holder: PretendLink | None = None
        self.log: list[str] = []
        self.sessions: list[PretendLink] = []
        self.is_reachable = True
        self.is_full = False
        """A thin unit whose pool has no room."""
        self.written: list[int] = []
        """The blocks that were written, one after the other."""
        self.meanwhile: dict[int, Callable[[], object]] = {}
        """What others do just before a command of that code is carried out, once."""

    def connect(self) -> "PretendLink":
        if not self.is_reachable:
            raise LinkLost("nobody answers")
        self.sessions.append(PretendLink(self))
        return self.sessions[-1]

    def restart(self) -> None:
        """Every session breaks. Without APTPL everybody is forgotten."""
        for link in self.sessions:
            link.is_open = False
        self.sessions = []
        if not self.dials.survives:
            self.keys, self.holder = {}, None

    def preempt(self, link: "PretendLink", other: int) -> Answer:
        gone = [each for each, key in self.keys.items() if key == other and each is not link]
        was_held = self.holder is not None and self.keys[self.holder] == other
        if not gone and other != self.keys[link]:
            return CONFLICT
        if was_held:
            self.holder = link
        for each in gone:
            del self.keys[each]
            each.attention = Sense(6, 0x2A05)
        return GOOD


class PretendLink:
    def __init__(self, target: PretendTarget) -> None:
        self._target = target
        self.is_open = True
        self.attention: Sense | None = Sense(6, 0x2900)

    def close(self) -> None:
        self.is_open = False

    def command(self, cdb: bytes, data: bytes = b"", answer_bytes: int = 0) -> Answer:
        if not self.is_open or not self._target.is_reachable:
            raise LinkLost("the connection broke")
        if self.attention is not None:
            attention, self.attention = self.attention, None
            return Answer(Status.CHECK_CONDITION, attention)
        self._target.meanwhile.pop(cdb[0], lambda: None)()
        match cdb[0]:
            case 0x12:
                return Answer(Status.GOOD, None, bytes((0, 0x83, 0, 6, 1, 3, 0, 2, 0x60, 0x01)))
            case 0x9E:
                blocks = len(self._target.data) // 512
                return Answer(Status.GOOD, None, struct.pack(">QIHB", blocks - 1, 512, 0, 0x80) + bytes(17))
            case 0x5E:
                return self._reserve_in(cdb[1])
            case 0x5F:
                return self._reserve_out(Out(cdb[1]), *struct.unpack_from(">QQIB", data))
            case 0x35:
                return GOOD
            case _:
                return self._blocks(cdb, data)

    def _blocks(self, cdb: bytes, data: bytes) -> Answer:
        target = self._target
        if cdb[0] == 0x42:
            block, count = struct.unpack_from(">QI", data, 8)
            data = bytes(count * 512)
        elif cdb[0] == 0x89:
            if not target.dials.compares:
                return UNKNOWN_COMMAND
            block, count = struct.unpack_from(">Q", cdb, 2)[0], cdb[13]
        else:
            block, count = struct.unpack_from(">QI", cdb, 2)
        at, end = block * 512, (block + count) * 512
        if cdb[0] == 0x88:
            return Answer(Status.GOOD, None, bytes(target.data[at:end]))
        if target.holder is not None and self not in target.keys and target.dials.refuses:
            return CONFLICT
        if cdb[0] == 0x89:
            there, data = data[: len(data) // 2], data[len(data) // 2 :]
            if target.data[at:end] != there:
                return MISCOMPARE
        if target.is_full:
            return NO_ROOM
        target.data[at:end] = data
        target.written += range(block, block + count)
        return GOOD

    def _reserve_in(self, action: int) -> Answer:
        target = self._target
        if action == 0:
            keys = list(target.keys.values())
            return Answer(Status.GOOD, None, struct.pack(f">II{len(keys)}Q", 1, 8 * len(keys), *keys))
        if target.holder is None:
            return Answer(Status.GOOD, None, bytes(8))
        return Answer(Status.GOOD, None, struct.pack(">IIQIBBH", 1, 16, target.keys[target.holder], 0, 0, 5, 0))

    def _reserve_out(self, action: Out, key: int, other: int, scope: int, flags: int) -> Answer:
        target = self._target
        target.log.append(action.name)
        if flags & 1 and not target.dials.survives:
            return INVALID_FIELD
        if action is Out.PREEMPT_AND_ABORT and not target.dials.aborts:
            return INVALID_FIELD
        if action is not Out.REGISTER_AND_IGNORE and target.keys.get(self, 0) != key:
            return CONFLICT
        match action:
            case Out.REGISTER | Out.REGISTER_AND_IGNORE:
                return self._register(other)
            case Out.RESERVE:
                if target.holder not in (None, self):
                    return CONFLICT
                target.holder = self
            case Out.RELEASE:
                target.holder = None if target.holder is self else target.holder
            case Out.CLEAR:
                target.keys, target.holder = {}, None
            case Out.PREEMPT | Out.PREEMPT_AND_ABORT:
                return target.preempt(self, other)
        return GOOD

    def _register(self, key: int) -> Answer:
        target = self._target
        if key:
            target.keys[self] = key
        elif target.keys.pop(self, 0) and target.holder is self:
            target.holder = None
        return GOOD
