"""What is on the disk, is it clean, and how is it to be checked? Pure (ext2, ext3, ext4; others are mounted unchecked).

`run_check` has the values of the reference's DiskRunChkDsk. "Normal" is `e2fsck -p`: it replays the journal, does nothing
more to a clean volume and repairs what is safe. "Verbose" is `-f`: everything is looked at. After a takeover the journal
always has something to replay, so a check that repairs nothing (3 and 5) has that done first.
"""

import struct
import uuid
from typing import NamedTuple

SUPERBLOCK_AT = 1024
PROBE_BYTES = 4096
_MAGIC = 0xEF53
_CLEAN, _HAS_ERRORS = 1, 2
_NEEDS_RECOVERY = 4
CHANGED_MAX = 3
"""e2fsck's status: 1 repaired, 2 repaired and to be mounted anew; 4 left uncorrected, 8 could not work."""


class Volume(NamedTuple):
    """What the superblock says. An empty `kind` is nothing that we know."""

    kind: str = ""
    uuid: str = ""
    is_clean: bool = True
    is_empty: bool = False
    """Nothing but zeroes where a file system has its beginning."""


class Check(NamedTuple):
    """One run of e2fsck. `may_fail`: a problem that is found does not keep the disk from coming online."""

    options: tuple[str, ...]
    may_fail: bool = False
    then: tuple[str, ...] = ()
    """What to run when this left something uncorrected."""


def volume(beginning: bytes) -> Volume:
    """From the first PROBE_BYTES of the disk."""
    if not beginning.strip(b"\0"):
        return Volume(is_empty=True)
    if beginning[:4] == b"XFSB":
        return Volume("xfs", str(uuid.UUID(bytes=beginning[32:48])))
    if len(beginning) < SUPERBLOCK_AT + 0x88:
        return Volume()
    magic, state = struct.unpack_from("<HH", beginning, SUPERBLOCK_AT + 0x38)
    if magic != _MAGIC:
        return Volume()
    (incompatible,) = struct.unpack_from("<I", beginning, SUPERBLOCK_AT + 0x60)
    found = beginning[SUPERBLOCK_AT + 0x68 : SUPERBLOCK_AT + 0x78]
    is_clean = bool(state & _CLEAN) and not state & _HAS_ERRORS and not incompatible & _NEEDS_RECOVERY
    return Volume("ext", str(uuid.UUID(bytes=found)), is_clean)


def checks(run_check: int, found: Volume) -> list[Check]:
    """What is run before the mount, in turn."""
    if found.kind != "ext":
        return []
    journal = Check(("-p", "-E", "journal_only"))
    replay = [] if found.is_clean else [journal]
    match run_check:
        case 0:
            return [Check(("-p",), then=("-p", "-f"))]
        case 1:
            return [Check(("-p",) if found.is_clean else ("-p", "-f"))]
        case 2:
            return [Check(("-p", "-f"))]
        case 3:
            return [*replay, Check(("-n", "-f"), may_fail=True)]
        case 5:
            return [*replay, Check(("-n", "-f"))]
        case _:
            return []


def id_problem(wanted: str, *, marker: str, file_system: str, device: list[str]) -> str:
    """Why this is not the disk that was meant; nothing when it is. A marker on the volume overrules every other id."""
    ids = [marker] if marker else [each for each in (file_system, *device) if each]
    if not wanted or any(each.lower() == wanted.lower() for each in ids):
        return ""
    return f"this is not the volume {wanted}: it is {' or '.join(ids) or 'without an id'}"
