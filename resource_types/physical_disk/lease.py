"""What is in the lease beside an image, and is that owner still there? Pure.

One block of 512 bytes: a line of JSON, spaces, and a checksum in the last line. An unreadable block is damage: it is
refused, not taken for an empty one.
"""

import json
import zlib
from typing import NamedTuple

BLOCK_BYTES = 512
_FORMAT = "clusterd-lease-1"
_CHECKSUM_BYTES = 9


class Damaged(Exception):
    """The lease cannot be read. It names what to do."""


class Lease(NamedTuple):
    """`counter` rises with every renewal; the key is 0 when nobody has the disk."""

    key: int = 0
    owner: str = ""
    counter: int = 0

    def renewed(self) -> "Lease":
        return self._replace(counter=self.counter + 1)


def encode(lease: Lease) -> bytes:
    body = {"format": _FORMAT, "key": f"{lease.key:016x}", "owner": lease.owner[:100], "counter": lease.counter}
    text = json.dumps(body).encode()
    padded = text.ljust(BLOCK_BYTES - _CHECKSUM_BYTES - 1) + b"\n"
    if len(padded) != BLOCK_BYTES - _CHECKSUM_BYTES:
        raise ValueError(f"the name of node {lease.owner!r} is too long for a lease")
    return padded + f"{zlib.crc32(padded):08x}\n".encode()


def decode(block: bytes) -> Lease:
    """An empty file, or one of zeros, is a disk that nobody ever had."""
    if not block.strip(b"\0"):
        return Lease()
    padded, checksum = block[: BLOCK_BYTES - _CHECKSUM_BYTES], block[BLOCK_BYTES - _CHECKSUM_BYTES :]
    if len(block) != BLOCK_BYTES or checksum != f"{zlib.crc32(padded):08x}\n".encode():
        raise Damaged("its checksum is wrong; remove the file when no node uses the image")
    try:
        body = json.loads(padded)
        if body["format"] != _FORMAT:
            raise Damaged(f"it has the format {body['format']!r}, of another version of clusterd")
        return Lease(int(body["key"], 16), str(body["owner"]), int(body["counter"]))
    except (ValueError, KeyError, TypeError) as error:
        raise Damaged(f"it is no lease: {error!r}") from error
