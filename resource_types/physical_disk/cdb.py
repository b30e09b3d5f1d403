"""What do SCSI commands look like, and what do the answers say? Pure (SPC-4 for reservations, SBC-3 for blocks)."""

import struct
from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

WRITE_EXCLUSIVE_REGISTRANTS_ONLY = 5
ALLOCATION_BYTES = 8192
UNIT_ATTENTION = 6
UNKNOWN_COMMAND_CODE, MISCOMPARE_CODE = 0x2000, 0x1D00
NO_ROOM_CODE = 0x2707
"""Of a thin unit whose pool is full: SPACE ALLOCATION FAILED WRITE PROTECT."""
PREEMPTED_CODES = frozenset({0x2A03, 0x2A05})
"""What a session is told, once, after somebody preempted its reservation or registration."""


class Status(IntEnum):
    GOOD = 0x00
    CHECK_CONDITION = 0x02
    BUSY = 0x08
    RESERVATION_CONFLICT = 0x18
    TASK_SET_FULL = 0x28


class Out(IntEnum):
    """Service actions of PERSISTENT RESERVE OUT."""

    REGISTER = 0
    RESERVE = 1
    RELEASE = 2
    CLEAR = 3
    PREEMPT = 4
    PREEMPT_AND_ABORT = 5
    REGISTER_AND_IGNORE = 6


class Sense(NamedTuple):
    key: int
    code: int
    """Additional sense code and its qualifier, 0x2A03 for 2a/03."""

    def __str__(self) -> str:
        return f"sense {self.key:x}, {self.code >> 8:02x}/{self.code & 0xFF:02x}"


class Answer(NamedTuple):
    status: int
    sense: Sense | None = None
    data: bytes = b""


def test_unit_ready() -> bytes:
    return bytes(6)


def inquiry_page(page: int, size: int = 255) -> bytes:
    return struct.pack(">BBBHB", 0x12, 1, page, size, 0)


def read_capacity() -> bytes:
    return struct.pack(">BBQIBB", 0x9E, 0x10, 0, 32, 0, 0)


def read_blocks(block: int, count: int) -> bytes:
    return struct.pack(">BBQIBB", 0x88, 0, block, count, 0, 0)


def write_blocks(block: int, count: int) -> bytes:
    return struct.pack(">BBQIBB", 0x8A, 0, block, count, 0, 0)


def compare_and_write(block: int, count: int) -> bytes:
    """The data is what must be there, and then what is written if it is."""
    return struct.pack(">BBQBBBBBB", 0x89, 0, block, 0, 0, 0, count, 0, 0)


def synchronize_cache() -> bytes:
    return struct.pack(">BBIBHB", 0x35, 0, 0, 0, 0, 0)


def unmap(block: int, count: int) -> tuple[bytes, bytes]:
    """The command and its data."""
    data = struct.pack(">HHIQII", 22, 16, 0, block, count, 0)
    return struct.pack(">BBIBHB", 0x42, 0, 0, 0, len(data), 0), data


def reserve_in(action: int) -> bytes:
    """PERSISTENT RESERVE IN: 0 reads the keys, 1 the reservation."""
    return struct.pack(">BBBBBBBHB", 0x5E, action, 0, 0, 0, 0, 0, ALLOCATION_BYTES, 0)


READ_KEYS, READ_RESERVATION = 0, 1


def reserve_out(action: Out, *, key: int = 0, other: int = 0, survives_power_loss: bool = False) -> tuple[bytes, bytes]:
    """The command and its data. `other` is the key to register, or to preempt."""
    kind = WRITE_EXCLUSIVE_REGISTRANTS_ONLY if action not in (Out.REGISTER, Out.REGISTER_AND_IGNORE, Out.CLEAR) else 0
    data = struct.pack(">QQIBBH", key, other, 0, int(survives_power_loss), 0, 0)
    return struct.pack(">BBBBBIB", 0x5F, action, kind, 0, 0, len(data), 0), data


class Malformed(Exception):
    """The target's answer is too short or contradicts itself."""


class Capacity(NamedTuple):
    block_bytes: int
    block_count: int
    takes_unmap: bool


def parse_capacity(data: bytes) -> Capacity:
    if len(data) < 15:
        raise Malformed(f"READ CAPACITY answered {len(data)} bytes")
    last, size = struct.unpack_from(">QI", data)
    if size < 512 or size & (size - 1):
        raise Malformed(f"READ CAPACITY told blocks of {size} bytes")
    return Capacity(size, last + 1, bool(data[14] & 0x80))


def parse_keys(data: bytes) -> tuple[int, ...]:
    length = _length(data, "READ KEYS")
    return struct.unpack_from(f">{length // 8}Q", data, 8)


def parse_reservation(data: bytes) -> int | None:
    """The key of the holder."""
    length = _length(data, "READ RESERVATION")
    if length == 0:
        return None
    if length < 16:
        raise Malformed(f"READ RESERVATION describes it in {length} bytes")
    kind = data[21] & 0x0F
    if kind != WRITE_EXCLUSIVE_REGISTRANTS_ONLY:
        raise Malformed(f"somebody holds it with a reservation of type {kind}, which we do not share: clear that first")
    return int.from_bytes(data[8:16], "big")


def parse_designators(data: bytes) -> Sequence[str]:
    """VPD page 0x83: the names of the logical unit, best first (NAA, EUI-64, T10 vendor)."""
    found: list[tuple[int, str]] = []
    at, end = 4, min(len(data), 4 + int.from_bytes(data[2:4], "big")) if len(data) >= 4 else 0
    while at + 4 <= end:
        code_set, kind, size = data[at] & 0x0F, data[at + 1] & 0x0F, data[at + 3]
        is_of_unit = data[at + 1] & 0x30 == 0
        body = data[at + 4 : at + 4 + size]
        at += 4 + size
        if not is_of_unit or len(body) < size or kind not in _DESIGNATOR_RANK:
            continue
        text = body.hex() if code_set == 1 else body.decode("ascii", "replace").strip(" \0")
        found.append((_DESIGNATOR_RANK[kind][0], f"{_DESIGNATOR_RANK[kind][1]}.{text}"))
    return [name for _, name in sorted(found)]


_DESIGNATOR_RANK = {3: (0, "naa"), 2: (1, "eui"), 1: (2, "t10")}


def parse_sense(data: bytes) -> Sense | None:
    """Fixed (70, 71) and descriptor (72, 73) format."""
    kind = data[0] & 0x7F if data else 0
    if kind in (0x70, 0x71) and len(data) >= 14:
        return Sense(data[2] & 0x0F, data[12] << 8 | data[13])
    if kind in (0x72, 0x73) and len(data) >= 4:
        return Sense(data[1] & 0x0F, data[2] << 8 | data[3])
    return None


def _length(data: bytes, what: str) -> int:
    if len(data) < 8:
        raise Malformed(f"{what} answered {len(data)} bytes")
    length = int.from_bytes(data[4:8], "big")
    if length > len(data) - 8:
        raise Malformed(f"{what} has {length} bytes to tell, and sent {len(data) - 8}")
    return length
