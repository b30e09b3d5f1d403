"""How does a small file come to be durable as a whole, and whose directory is it? I/O.

A file is written beside its place, synced, renamed and its directory synced: after a crash there is the old one, the
new one or none, never half of one.
"""

import fcntl
import json
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

from clusterd.adapters.storage_records import damaged
from clusterd.consensus import Snapshot
from clusterd.model.errors import BadInput, Conflict
from clusterd.wire.consensus_pb2 import SnapshotMeta

IDENTITY = "identity"
AMNESIAC = "amnesiac"
LOCK = "lock"
TEMPORARY = ".tmp"
SNAPSHOT_SUFFIX = ".snap"
_SNAPSHOT_MAGIC = b"CLUSTSNP"
_SNAPSHOT_HEAD = struct.Struct("<8sIQ")
_CRC = struct.Struct("<I")

Write = Callable[[int, bytes | bytearray], None]
"""Writes all of it to a handle, or raises OSError."""


def sync_directory(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_all(handle: int, data: bytes | bytearray) -> None:
    """All of it; the kernel may take less at a time."""
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]


def write_whole(path: Path, *pieces: bytes, write: Write = write_all) -> None:
    """Replace or create `path`; durable on return. May be repeated after an error: half of it takes up no room."""
    temporary = path.with_name(path.name + TEMPORARY)
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        try:
            for piece in pieces:
                write(handle, piece)
            os.fsync(handle)
        finally:
            os.close(handle)
        os.rename(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


# ---- whose directory it is ----


def lock_directory(directory: Path) -> int:
    """Held until the returned handle is closed, also by the end of the process. Raises Conflict."""
    handle = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        raise Conflict(f"{directory} is in use by another process", hint="is the daemon running already?") from error
    return handle


def write_identity(directory: Path, *, cluster_id: str, node: str) -> None:
    body = json.dumps({"cluster_id": cluster_id, "node": node}, sort_keys=True).encode()
    write_whole(directory / IDENTITY, body, b"\n%08x\n" % zlib.crc32(body))


def check_identity(directory: Path, *, cluster_id: str, node: str) -> None:
    """Raises BadInput for a directory of another cluster or node, DamagedStorage for one that cannot be read."""
    path = directory / IDENTITY
    try:
        body, crc, _ = path.read_bytes().split(b"\n")
        is_true = crc == b"%08x" % zlib.crc32(body)
    except FileNotFoundError as error:
        raise BadInput(f"{directory} holds no node's data", hint="create or join a cluster first") from error
    except ValueError:
        is_true = False
    if not is_true:
        raise damaged(f"{path} has a bad checksum")
    found = json.loads(body)
    for what, asked in (("cluster_id", cluster_id), ("node", node)):
        if found[what] != asked:
            raise BadInput(
                f"{directory} belongs to {what} {found[what]!r}, not to {asked!r}",
                hint="point the daemon at its own directory",
            )


# ---- snapshots ----


def snapshot_path(directory: Path, index: int, term: int) -> Path:
    return directory / f"snapshot-{index:020d}-{term:010d}{SNAPSHOT_SUFFIX}"


def write_snapshot(directory: Path, snapshot: Snapshot, write: Write = write_all) -> None:
    meta = snapshot.meta.SerializeToString(deterministic=True)
    head = _SNAPSHOT_HEAD.pack(_SNAPSHOT_MAGIC, len(meta), len(snapshot.data)) + meta
    crc = zlib.crc32(snapshot.data, zlib.crc32(head))
    path = snapshot_path(directory, snapshot.meta.index, snapshot.meta.term)
    write_whole(path, head, snapshot.data, _CRC.pack(crc), write=write)


def read_snapshot(directory: Path, index: int, term: int) -> Snapshot:
    """Raises DamagedStorage when it is missing or not what was written."""
    path = snapshot_path(directory, index, term)
    try:
        raw = path.read_bytes()
    except FileNotFoundError as error:
        raise damaged(f"{path} is missing, the log names it") from error
    if len(raw) < _SNAPSHOT_HEAD.size + _CRC.size:
        raise damaged(f"{path} has only {len(raw)} bytes")
    magic, meta_bytes, data_bytes = _SNAPSHOT_HEAD.unpack_from(raw)
    is_whole = len(raw) == _SNAPSHOT_HEAD.size + meta_bytes + data_bytes + _CRC.size
    if magic != _SNAPSHOT_MAGIC or not is_whole or zlib.crc32(raw[: -_CRC.size]) != _CRC.unpack(raw[-_CRC.size :])[0]:
        raise damaged(f"{path} has a bad checksum")
    start = _SNAPSHOT_HEAD.size + meta_bytes
    meta = SnapshotMeta.FromString(raw[_SNAPSHOT_HEAD.size : start])
    if (meta.index, meta.term) != (index, term):
        raise damaged(f"{path} is the snapshot at {meta.index} of term {meta.term}")
    return Snapshot(meta, raw[start : -_CRC.size])
