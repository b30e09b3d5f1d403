"""Can this node reach a disk, and which one does it find there? I/O: looks past whoever uses it, claims and changes nothing.

A SCSI unit is reached through a session of its own, with an identifier that no session in use has: a target that lets the
new session of a name end the old one ends none. Of an image the file and its lease are read. A disk that does not answer
holds up no other.
"""

import json
import os
import threading
import time
from collections.abc import Mapping
from typing import Any

from clusterd.resource_api import effective, schema_of, validate
from resource_types.physical_disk.back_end import BackEnd, IoFailed, Lost, PathLost
from resource_types.physical_disk.keys import shown
from resource_types.physical_disk.lease import BLOCK_BYTES, Damaged, decode
from resource_types.physical_disk.lease_file import LEASE_SUFFIX
from resource_types.physical_disk.properties import EXACTLY_ONE, PROPERTIES, kind_and_place
from resource_types.physical_disk.session import BootClock, Config, back_end
from resource_types.plain_files import open_plain, read_plain

DISKS_MAX = 256
LOOK_WITHIN_S = 8.0
READ_BYTES = 4096


def look_at_disks(body: bytes) -> bytes:
    """`{"node": "n1", "disks": {NAME: properties}}` → `{"disks": {NAME: what is seen, or its trouble}}`."""
    asked = json.loads(body)
    disks: Mapping[str, Mapping[str, Any]] = dict(list(asked["disks"].items())[:DISKS_MAX])
    found: dict[str, dict[str, Any]] = {}

    def look(name: str, given: Mapping[str, Any]) -> None:
        found[name] = _seen(given, node=str(asked["node"]), name=name)

    # Each in a thread: a path that is lost answers after seconds only, and cannot be interrupted.
    lookers = [threading.Thread(target=look, args=each, daemon=True) for each in disks.items()]
    for each in lookers:
        each.start()
    until = time.monotonic() + LOOK_WITHIN_S
    for each in lookers:
        each.join(max(0.0, until - time.monotonic()))
    silence = {"trouble": f"it did not answer within {LOOK_WITHIN_S:g} s"}
    return json.dumps({"disks": {name: found.get(name, silence) for name in disks}}).encode()


def _seen(given: Mapping[str, Any], *, node: str, name: str) -> dict[str, Any]:
    schema = schema_of(PROPERTIES, exactly_one=EXACTLY_ONE)
    if problems := validate(given, schema):
        return {"trouble": "; ".join(str(each) for each in problems)}
    try:
        properties = effective(given, schema)
        kind, where = kind_and_place(properties, node=node, resource=f"{name}/look")
        if kind == "image":
            return _image_seen(where["path"])
        disk = back_end(Config(kind, where, "", node, 0, properties["arb_interval"], ""), BootClock())
        return _scsi_seen(disk)
    except (PathLost, IoFailed, Lost, Damaged) as error:
        return {"trouble": str(error)}
    except OSError as error:
        return {"trouble": f"{error.filename or 'libiscsi (Debian: libiscsi7)'}: {error.strerror or error}"}


def _scsi_seen(disk: BackEnd) -> dict[str, Any]:
    disk.open()
    try:
        claims = disk.status()
        if claims.get("trouble"):
            return {"trouble": f"it takes no persistent reservations: {claims['trouble']}"}
        began = time.monotonic_ns()
        disk.read(0, READ_BYTES)
        took_us = (time.monotonic_ns() - began) // 1000
        size, ids = disk.size_bytes, disk.ids()
        return {"size_bytes": size, "ids": ids, "holder": claims["holder"] or "", "read_us": took_us}
    finally:
        disk.close()


def _image_seen(path: str) -> dict[str, Any]:
    """Nothing says which image it is, but its size and who has claimed it: the lease is beside it."""
    lease = path + LEASE_SUFFIX
    for each in (path, lease if os.path.lexists(lease) else os.path.dirname(path)):
        if os.path.exists(each) and not os.access(each, os.W_OK):
            raise PathLost(f"{each} may not be written by this node's host")
    began = time.monotonic_ns()
    image = open_plain(path, or_device=True)
    try:
        os.pread(image, READ_BYTES, 0)
        size = os.lseek(image, 0, os.SEEK_END) // BLOCK_BYTES * BLOCK_BYTES
    finally:
        os.close(image)
    took_us = (time.monotonic_ns() - began) // 1000
    return {"size_bytes": size, "ids": [], "holder": _lease_holder(lease), "read_us": took_us}


def _lease_holder(path: str) -> str:
    try:
        key = decode(read_plain(path, BLOCK_BYTES)).key
    except FileNotFoundError:
        return ""
    except Damaged as error:
        raise Damaged(f"{path} is damaged: {error}") from error
    return shown(key) if key else ""
