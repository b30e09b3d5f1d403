"""Real nodes move a guest whose disk is a resource of its own: disk and memory pass over, one node writes at a time."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.labs import Lab, lab
from tests.disk.conftest import tgt
from tests.disk.tgt import Tgt
from tests.system.guests import MISSING, Guests, fresh_name, mend, remove, until

__all__ = ["tgt"]
pytestmark = [
    pytest.mark.lab,
    pytest.mark.timeout(180),
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
]
NEEDED_TO_MOUNT = ("qemu-storage-daemon", "losetup", "mkfs.ext4")
NO_MOUNTS = [each for each in NEEDED_TO_MOUNT if shutil.which(each) is None] + (["root"] if os.geteuid() else [])
BLACKOUT_MAX_S = 1.0
"""Far more than it takes, for machines that do something else too."""


@pytest.fixture
def guests() -> Iterator[Guests]:
    with tempfile.TemporaryDirectory(prefix="gs-", dir="/tmp") as folder, Guests(Path(folder)) as found:
        yield found


@pytest.fixture(scope="module")
def running() -> Iterator[Lab]:
    with lab(profile="fast") as made:
        yield made


@pytest.fixture(params=["image", "iscsi"])
def served(request: pytest.FixtureRequest, running: Lab, guests: Guests) -> Iterator[str]:
    """A guest on n1 that boots from a physical_disk resource, which has the guest's image."""
    name = fresh_name()
    made = on_served_disk(guests, name, preferred_owners=["n1"])
    if request.param == "iscsi":
        made["resources"][0]["properties"] = on_a_target(request.getfixturevalue("tgt"), guests.image(name))
    running.apply({"groups": [made]})
    guests.goes_on(name)
    assert running.group(name)["owner"] == "n1"
    yield name
    assert guests.breaches() == []
    mend(running)
    remove(running, name)


def on_served_disk(guests: Guests, name: str, **group: Any) -> dict[str, Any]:
    made = guests.group(name, **group)
    disk = f"{name}-disk"
    configuration, machine = made["resources"]
    definition = Path(configuration["properties"]["definition"])
    text = f'memory_mib = 1\n[[disks]]\nid = "system"\nresource = "{disk}"\nbus = "ide"\n'
    definition.write_text(text, encoding="utf-8")
    configuration["depends_on"] = f"[{disk}]"
    machine["depends_on"] = f"[{configuration['name']}] and [{disk}]"
    image = {"name": disk, "type": "physical_disk", "properties": {"image": str(guests.image(name))}}
    return {**made, "resources": [image, configuration, machine]}


def on_a_target(target: Tgt, image: Path) -> dict[str, Any]:
    """The image as a logical unit; what is written to that is seen through the image's path."""
    unit = target.new_unit()
    backing = target.backing_file(unit)
    with backing.open("r+b") as file:
        file.write(image.read_bytes())
    image.unlink()
    image.symlink_to(backing)
    return {"iscsi": {"portal": target.portal, "target": unit, "unit": 1}}


def test_live_there_and_back(running: Lab, guests: Guests, served: str) -> None:
    before = guests.last(served)
    for target in ("n2", "n1"):
        running.ctl("group", "move", served, target, "--kind", "live")
        group = running.group(served)
        assert (group["owner"], group["migration"]["state"]) == (target, "done")
        print(f"to {target}: blackout {group['migration']['blackout_ms']} ms")
        after = guests.goes_on(served)
        assert (after.nonce, after.boots) == (before.nonce, before.boots)
    assert after.generation == before.generation + 2
    for generation in (before.generation + 1, after.generation):
        assert blackout_s(guests, served, generation) < BLACKOUT_MAX_S
        print(
            f"generation {generation}: the guest was silent for {blackout_s(guests, served, generation) * 1000:.0f} ms"
        )
    assert guests.written[served][-1].generation == after.generation


def test_quick(running: Lab, guests: Guests, served: str) -> None:
    before = guests.last(served)
    running.ctl("group", "move", served, "n2", "--kind", "quick")
    after = guests.goes_on(served)
    assert (after.nonce, after.boots, after.generation) == (before.nonce, before.boots, before.generation + 1)
    print(f"quick: the guest was silent for {blackout_s(guests, served, after.generation) * 1000:.0f} ms")


def test_the_owner_is_lost(running: Lab, guests: Guests, served: str) -> None:
    """Its claim on the disk is ended by the next generation."""
    before = guests.last(served)
    running.ctl("lab", "kill", "n1")
    after = guests.wait(served, "to run elsewhere", lambda line: line.generation > before.generation)
    assert after.boots == before.boots + 1


@pytest.mark.parametrize("victim", ["n1", "n2"])
@pytest.mark.parametrize("delay_ms", [20, 60, 120, 200])
def test_one_of_them_dies_at_some_moment(running: Lab, guests: Guests, served: str, victim: str, delay_ms: int) -> None:
    """The whole move takes about as long as the longest of these delays."""
    before = guests.last(served)
    address = next(node["api"] for node in running.nodes() if node["name"] == "n3")
    running.post_with(address, running.token(), f"/v1/groups/{served}/move", {"target": "n2", "kind": "live"})
    time.sleep(delay_ms / 1000)
    running.ctl("lab", "kill", victim)
    until(lambda: guests.last(served).at > time.clock_gettime_ns(time.CLOCK_BOOTTIME) - 100_000_000, "it runs")
    running.ctl("wait", "--for", f"group {served} online")
    after = guests.goes_on(served)
    assert after.boots - before.boots in (0, 1)
    until(lambda: guests.written[served][-1].at >= after.at, "its disk takes what it writes")


def test_a_frozen_node_writes_no_more_when_it_goes_on(tgt: Tgt, guests: Guests) -> None:
    """No fence agent, no watchdog: what the frozen guest had in hand is refused by the storage."""
    name = fresh_name()
    made = on_served_disk(guests, name, preferred_owners=["n1"])
    made["resources"][0]["properties"] = on_a_target(tgt, guests.image(name))
    with lab(profile="fast", has_fence=False) as unfenced:
        unfenced.apply({"groups": [made]})
        before = guests.goes_on(name)
        unfenced.ctl("lab", "pause", "n1", "--what", "node")
        after = guests.wait(name, "to run elsewhere", lambda line: line.generation > before.generation)
        guests.wait(name, "to go on there", lambda line: line.count > after.count + 10)
        unfenced.ctl("lab", "resume", "n1", "--what", "node")
        unfenced.ctl("wait", "--for", "cluster healthy")
        guests.goes_on(name)
        late = [line for line in guests.written[name] if line.at > after.at and line.generation == before.generation]
        assert late == []
        assert guests.written[name][-1].generation == after.generation
        remove(unfenced, name)


@pytest.mark.skipif(bool(NO_MOUNTS), reason=f"mounting a disk of the cluster needs {', '.join(NO_MOUNTS)}")
def test_a_machine_on_a_mounted_disk_moves_quick(running: Lab, guests: Guests, tmp_path: Path) -> None:
    """Live is refused before anything happens, and a drain goes on without it."""
    name, mount, image = fresh_name(), tmp_path / "mnt", tmp_path / "disk.raw"
    mount.mkdir()
    image.write_bytes(b"")
    os.truncate(image, 64 << 20)
    properties = {"image": str(image), "mount_point": str(mount), "format_when_empty": True}
    disk = {"name": f"{name}-disk", "type": "physical_disk", "properties": properties}
    made = guests.group(name, preferred_owners=["n1"])
    for each in made["resources"]:
        each["depends_on"] = f"[{name}-disk]" + (f" and {each['depends_on']}" if "depends_on" in each else "")
    running.apply({"groups": [{**made, "resources": [disk, *made["resources"]]}]})
    try:
        before = guests.goes_on(name)
        with pytest.raises(SystemExit, match=r"3: .*as it has a mount_point"):
            running.ctl("group", "move", name, "n2", "--kind", "live")
        assert guests.goes_on(name).generation == before.generation
        running.ctl("node", "drain", "n1")
        running.ctl("node", "resume", "n1")
        running.ctl("wait", "--for", f"group {name} online")
        after = guests.goes_on(name)
        assert (after.nonce, after.generation) == (before.nonce, before.generation + 1)
    finally:
        remove(running, name)
    assert not os.path.ismount(mount)
    assert guests.breaches() == []


def blackout_s(guests: Guests, name: str, generation: int) -> float:
    """Between the last line under the generation before and the first under this one."""
    last = next(line for line in reversed(guests.said[name]) if line.generation == generation - 1)
    first = next(line for line in guests.said[name] if line.generation == generation)
    return (first.at - last.at) / 1e9
