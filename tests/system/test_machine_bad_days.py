"""Bad days of a machine: it is said what is wrong, nothing runs twice, and it comes back once that is mended."""

import fcntl
import json
import os
import shutil
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bench.labs import Lab, lab
from resource_types.physical_disk.iscsi_link import IscsiLink, Target
from resource_types.physical_disk.keys import key_of
from resource_types.physical_disk.lease import BLOCK_BYTES, Lease, decode, encode
from resource_types.physical_disk.lease_file import LEASE_SUFFIX
from resource_types.physical_disk.reservation import Reservation
from tests.disk import tgt as tgt_part
from tests.disk.conftest import tgt
from tests.disk.tgt import Tgt
from tests.system.guests import MISSING, Guests, fresh_name, mend, remove, until
from tests.system.test_served_disks import on_a_target, on_served_disk

__all__ = ["tgt"]
pytestmark = [
    pytest.mark.lab,
    pytest.mark.timeout(180),
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
]
INTERVAL = {"arb_interval": "1s"}
REST_S = 0.5
STRANGER = key_of("a cluster that nobody knows", "n9", 77).value
SET_OPEN_FILE_LOCK = 37
QEMU_WRITES = 101
"""The byte of an image that a QEMU which writes to it locks (block/file-posix.c)."""


@pytest.fixture
def guests() -> Iterator[Guests]:
    with tempfile.TemporaryDirectory(prefix="gs-", dir="/tmp") as folder, Guests(Path(folder)) as found:
        yield found


@pytest.fixture(scope="module")
def running() -> Iterator[Lab]:
    with lab(profile="fast") as made:
        yield made


@pytest.fixture
def one(running: Lab, guests: Guests) -> Iterator[str]:
    name = fresh_name()
    yield from _group(running, guests, name, guests.group(name, preferred_owners=["n1"]))


def _group(running: Lab, guests: Guests, name: str, made: dict[str, Any]) -> Iterator[str]:
    """It runs on n1. Afterwards the cluster is whole again, and nobody broke a promise."""
    running.apply({"groups": [made]})
    guests.goes_on(name)
    assert running.group(name)["owner"] == "n1"
    yield name
    assert guests.breaches() == []
    mend(running)
    remove(running, name)


def test_its_image_is_locked_by_somebody_else(running: Lab, guests: Guests, one: str) -> None:
    before = guests.last(one)
    running.ctl("vm", "stop", one, "--kind", "turn-off")
    with _locked(guests.image(one)):
        running.ctl("vm", "start", one, check=False)
        assert running.group(one)["state"] != "online"
        assert "lock" in _told(running, one)
        assert guests.falls_silent(one, REST_S)
    running.ctl("group", "online", one)
    assert guests.goes_on(one).boots == before.boots + 1, "it did not run in between"


def test_its_definition_points_outside_now(running: Lab, guests: Guests, one: str) -> None:
    """The definition's resource fails with the path, and the machine is not tried."""
    definition = guests.folder / f"{one}.toml"
    text = definition.read_text()
    before = guests.last(one)
    running.ctl("group", "offline", one)
    definition.write_text(text.replace(str(guests.image(one)), "/outside/disk.img"))
    running.ctl("group", "online", one, check=False)
    states = {each["name"]: each["state"] for each in running.group(one)["resources"]}
    assert states == {f"{one}-configuration": "failed", one: "offline"}
    assert "/outside/disk.img: No such file or directory" in _told(running, one)
    definition.write_text(text)
    running.ctl("group", "online", one)
    after = guests.goes_on(one)
    assert (after.nonce, after.boots) == (before.nonce, before.boots), "its saved memory was not used up"


def test_an_edited_definition_is_there_on_the_next_node(running: Lab, guests: Guests, one: str) -> None:
    running.ctl("vm", "stop", one, "--kind", "turn-off")
    definition = guests.folder / f"{one}.toml"
    definition.write_text(definition.read_text().replace("memory_mib = 1\n", "memory_mib = 5\n"))
    running.ctl("group", "move", one, "n2")
    running.ctl("vm", "start", one)
    guests.goes_on(one)
    shown = running.ctl("vm", "show", one)["machines"][0]
    assert (shown["owner"], shown["guest"]["memory_mib"]) == ("n2", 5)


def test_the_destination_has_no_room(running: Lab, guests: Guests, one: str) -> None:
    before = guests.last(one)
    running.ctl("resource", "set", one, "memory_demand=100")
    running.ctl("node", "set", "n2", "memory_capacity=50")
    try:
        running.ctl("group", "move", one, "n2", "--kind", "live", check=False)
        assert running.group(one)["owner"] == "n1"
        assert "n2: needs 100 MiB, 50 of 50 MiB free" in running.group(one)["because"]
    finally:
        running.ctl("node", "set", "n2", "memory_capacity=detected")
    after = guests.goes_on(one)
    assert (after.nonce, after.generation) == (before.nonce, before.generation)


@pytest.fixture(params=["image", "iscsi"])
def served(request: pytest.FixtureRequest, running: Lab, guests: Guests) -> Iterator[tuple[str, dict[str, Any]]]:
    name = fresh_name()
    made = on_served_disk(guests, name, preferred_owners=["n1"])
    disk = made["resources"][0]
    if request.param == "iscsi":
        disk["properties"] = on_a_target(request.getfixturevalue("tgt"), guests.image(name))
    disk["properties"] |= INTERVAL
    for each in _group(running, guests, name, made):
        yield each, disk["properties"]


def test_an_intruder_takes_the_reservation(running: Lab, guests: Guests, served: tuple[str, dict[str, Any]]) -> None:
    """The disk is lost and its machine ends at once. The intruder does not defend it, so it is taken back."""
    name, place = served
    before = guests.last(name)
    _intrude(place)
    after = guests.wait(name, "to boot again", lambda line: line.boots == before.boots + 1)
    assert after.nonce != before.nonce
    running.ctl("wait", "--for", f"group {name} online")
    assert "was lost" in json.dumps(running.ctl("events", "--group", name))


@pytest.mark.skipif(bool(tgt_part.missing()), reason=tgt_part.missing())
def test_the_path_to_its_storage_is_lost(running: Lab, guests: Guests) -> None:
    """Nothing of it runs while the storage is away, and it comes back with it."""
    folder = tgt_part.new_folder()
    target, name = Tgt(folder), fresh_name()
    target.start()
    try:
        made = on_served_disk(guests, name, preferred_owners=["n1"])
        made["resources"][0]["properties"] = on_a_target(target, guests.image(name)) | INTERVAL
        running.apply({"groups": [made]})
        before = guests.goes_on(name)
        target.kill()
        until(lambda: running.group(name)["state"] == "failed", "the group fails")
        assert guests.falls_silent(name, REST_S)
        assert "nobody answers" in _told(running, name)
        target.start()
        running.ctl("group", "online", name)
        after = guests.goes_on(name)
        assert (after.boots, after.generation > before.generation) == (before.boots + 1, True)
        assert guests.breaches([name]) == []
        remove(running, name)
    finally:
        target.stop()
        shutil.rmtree(folder)


def test_two_machines_on_one_disk(running: Lab, guests: Guests, one: str) -> None:
    """Written into a manifest, past the wizard: one of the two runs, and the other says who has the disk."""
    name = fresh_name()
    made = on_served_disk(guests, name, preferred_owners=["n1"])
    *_, machine = made["resources"]
    rival = {**machine, "name": f"{name}-rival", "restart": {"action": "do-not-restart"}}
    running.apply({"groups": [made]})
    before = guests.goes_on(name)
    running.apply({"groups": [{**made, "resources": [*made["resources"], rival]}]}, wait=False)
    until(lambda: _state(running, name, rival["name"]) == "failed", "the second one fails")
    assert f"is used by {name}" in _told(running, name)
    after = guests.goes_on(name)
    assert (after.nonce, after.boots) == (before.nonce, before.boots)
    remove(running, name)


def _intrude(place: dict[str, Any]) -> None:
    """As a tool of somebody who knows nothing of the cluster."""
    if "image" in place:
        with open(place["image"] + LEASE_SUFFIX, "r+b") as file:
            seen = decode(file.read(BLOCK_BYTES))
            os.pwrite(file.fileno(), encode(Lease(STRANGER, "stranger", seen.counter + 1)), 0)
        return
    iscsi = place["iscsi"]
    target = Target(iscsi["portal"], iscsi["target"], iscsi["unit"], "iqn.2026-01.org.example:stranger", "tool")
    claim = Reservation(lambda: IscsiLink(target))
    claim.connect()
    claim.register(STRANGER)
    holder = claim.view().holder
    assert holder is not None
    claim.preempt(STRANGER, holder)
    claim.disconnect()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR)
    try:
        lock = struct.pack("hhqqi4x", fcntl.F_RDLCK, os.SEEK_SET, QEMU_WRITES, 1, 0)
        fcntl.fcntl(descriptor, SET_OPEN_FILE_LOCK, lock)
        yield
    finally:
        os.close(descriptor)


def _told(running: Lab, name: str) -> str:
    return json.dumps(running.ctl("explain", "group", name)) + json.dumps(running.group(name))


def _state(running: Lab, group: str, resource: str) -> str:
    return next(str(each["state"]) for each in running.group(group)["resources"] if each["name"] == resource)
