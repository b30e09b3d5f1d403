"""How are records laid out in a segment of the log, and which bytes are a whole, true record? I/O.

A segment begins with its header and goes on with records:

    header   magic "CLUSTLOG", number u64, chain u32 (checksum that the first record follows), crc32 u32 of the above
    record   length u32, kind u8, head crc32 u32, payload, crc32 u32          all little-endian

Each checksum begins with the one before it, so a record that was replaced, dropped or moved breaks the chain. The head
has one of its own, so a damaged length is never mistaken for a record that was cut off by a crash: only bytes that are
*missing* at the end make a record incomplete.
"""

import struct
import zlib
from dataclasses import dataclass
from typing import NamedTuple

from clusterd.model.errors import DamagedStorage

MAGIC = b"CLUSTLOG"
_HEADER = struct.Struct("<8sQI")
_HEAD = struct.Struct("<IB")
_CRC = struct.Struct("<I")
HEADER_BYTES = _HEADER.size + _CRC.size
_HEAD_BYTES = _HEAD.size + _CRC.size
RESYNC_HINT = "the node must not vote on this data: set it aside and let the node re-sync from its peers"

KIND_ENTRY = 1
KIND_HARD_STATE = 2
KIND_SNAPSHOT = 3


class Record(NamedTuple):
    kind: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Scan:
    """What a segment holds. `cut_bytes` at its end are an incomplete record."""

    records: list[Record]
    chain: int
    good_bytes: int
    cut_bytes: int


def segment_header(number: int, chain: int) -> bytes:
    head = _HEADER.pack(MAGIC, number, chain)
    return head + _CRC.pack(zlib.crc32(head))


def add_record(buffer: bytearray, kind: int, payload: bytes, chain: int) -> int:
    """Append one record that follows `chain`; the chain after it."""
    head = _HEAD.pack(len(payload), kind)
    head_crc = zlib.crc32(head, chain)
    crc = zlib.crc32(payload, head_crc)
    buffer += head
    buffer += _CRC.pack(head_crc)
    buffer += payload
    buffer += _CRC.pack(crc)
    return crc


def scan_segment(name: str, data: bytes, *, number: int, chain: int | None) -> Scan:
    """Read a segment. `chain` is where the one before ended, None for the oldest that is kept. Raises DamagedStorage."""
    chain = _check_header(name, data, number=number, chain=chain)
    records: list[Record] = []
    at, size = HEADER_BYTES, len(data)
    while at < size:
        if size - at < _HEAD_BYTES:
            break
        length, kind = _HEAD.unpack_from(data, at)
        (head_crc,) = _CRC.unpack_from(data, at + _HEAD.size)
        if zlib.crc32(data[at : at + _HEAD.size], chain) != head_crc:
            raise damaged(f"{name}: the head of the record at byte {at} has a bad checksum")
        end = at + _HEAD_BYTES + length + _CRC.size
        if end > size:
            break
        payload = data[at + _HEAD_BYTES : end - _CRC.size]
        (crc,) = _CRC.unpack_from(data, end - _CRC.size)
        if zlib.crc32(payload, head_crc) != crc:
            raise damaged(f"{name}: the record at byte {at} has a bad checksum")
        records.append(Record(kind, payload))
        chain, at = crc, end
    return Scan(records, chain, good_bytes=at, cut_bytes=size - at)


def _check_header(name: str, data: bytes, *, number: int, chain: int | None) -> int:
    if len(data) < HEADER_BYTES:
        raise damaged(f"{name}: only {len(data)} bytes, less than its header")
    head = data[: _HEADER.size]
    magic, found_number, found_chain = _HEADER.unpack(head)
    if magic != MAGIC or _CRC.unpack_from(data, _HEADER.size)[0] != zlib.crc32(head):
        raise damaged(f"{name}: its header has a bad checksum")
    if found_number != number:
        raise damaged(f"{name}: it is segment {found_number} under another name")
    if chain is not None and found_chain != chain:
        raise damaged(f"{name}: it does not continue the segment before it")
    return int(found_chain)


def damaged(what: str) -> DamagedStorage:
    return DamagedStorage(what, hint=RESYNC_HINT)
