"""Real nodes try the takeover of disks that nobody uses, and whoever needs the disk meanwhile gets it."""

import json
import subprocess
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.labs import CLUSTERCTL, Lab, lab
from resource_types.physical_disk.image import Image
from resource_types.physical_disk.iscsi_link import IscsiLink, Target
from resource_types.physical_disk.keys import key_of
from resource_types.physical_disk.scsi_disk import ScsiDisk
from resource_types.physical_disk.session import BootClock
from tests.disk.conftest import tgt
from tests.disk.tgt import Tgt
from tests.system.guests import remove, until

__all__ = ["tgt"]
pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]
CONTENT = bytes(range(256)) * 4096


@pytest.fixture(scope="module")
def running() -> Iterator[Lab]:
    with lab(profile="fast") as made:
        yield made


def disk_group(name: str, properties: dict[str, Any], **group: Any) -> dict[str, Any]:
    disk = {"name": f"{name}-disk", "type": "physical_disk", "properties": properties}
    return {"name": name, "resources": [disk], **group}


def tried(running: Lab) -> dict[str, dict[str, str]]:
    """What the trial found, by disk or pair."""
    report = running.ctl("validate", "--only", "disk-arbitration", check=False)
    (test,) = [each for each in report["tests"] if each["name"] == "disk-arbitration"]
    return {each["about"]: each for each in test["findings"]}


def test_disks_that_nobody_uses_are_tried_and_others_are_not(running: Lab, tgt: Tgt, tmp_path: Path) -> None:
    image, used = tmp_path / "free.img", tmp_path / "used.img"
    for each in (image, used):
        each.write_bytes(CONTENT)
    unit = tgt.new_unit()
    backing = tgt.backing_file(unit)
    with backing.open("r+b") as file:
        file.seek(-len(CONTENT), 2)
        file.write(CONTENT)
    before = backing.read_bytes()
    iscsi = {"portal": tgt.portal, "target": unit, "unit": 1}
    running.apply({"groups": [disk_group("used", {"image": str(used)}), disk_group("scsi", {"iscsi": iscsi})]})
    running.apply({"groups": [disk_group("free", {"image": str(image)}, wanted="offline")]})
    running.ctl("group", "offline", "scsi")
    generation = running.group("used")["generation"]

    found = tried(running)

    for disk in ("free-disk", "scsi-disk"):
        for pair in ("n1 → n2", "n2 → n3", "n3 → n1"):
            assert found[f"{disk}: {pair}"]["verdict"] == "pass", found
            assert "late write refused" in found[f"{disk}: {pair}"]["saw"]
    assert found["used-disk"]["saw"] == "it is online, so it was not tried; group verify does that for real"
    assert "failure" not in {each["verdict"] for each in found.values()}
    assert backing.read_bytes() == before
    assert image.read_bytes() == CONTENT
    assert running.group("used")["generation"] == generation
    running.ctl("group", "online", "scsi")
    running.ctl("group", "online", "free")
    for name in ("used", "scsi", "free"):
        remove(running, name)


def test_groups_that_come_online_in_the_middle_win(running: Lab, tgt: Tgt, tmp_path: Path) -> None:
    """At any moment of the trial, and at once: to challenge a claim takes an owner six seconds."""
    image = tmp_path / "wanted.img"
    image.write_bytes(CONTENT)
    iscsi = {"portal": tgt.portal, "target": tgt.new_unit(), "unit": 1}
    names = ("image", "unit")
    running.apply({"groups": [disk_group("image", {"image": str(image)}), disk_group("unit", {"iscsi": iscsi})]})
    node, token = running.nodes()[1], running.token()
    for delay_ms in (0, 10, 20, 40, 80):
        for name in names:
            running.ctl("group", "offline", name)
        validating = subprocess.Popen(
            [CLUSTERCTL, "--lab", running.name, "-o", "json", "validate", "--only", "disk-arbitration"],
            stdout=subprocess.PIPE,
        )
        _wait_for_a_trial(image, delay_ms)
        began = time.monotonic()
        for name in names:
            running.post_with(node["api"], token, f"/v1/groups/{name}/online", {})
        for name in names:
            running.ctl("wait", "--for", f"group {name} online")
        assert time.monotonic() - began < 5, "an owner waited for a trial"
        report = json.loads(validating.communicate(timeout=60)[0])
        print(f"after {delay_ms} ms:", [each["saw"] for test in report["tests"] for each in test["findings"]])
        assert report["outcome"] == "skipped-some", report
        for name in names:
            (disk,) = running.group(name)["resources"]
            assert (disk["state"], disk["restarts"]["used"]) == ("online", 0)
    assert image.read_bytes() == CONTENT
    for name in names:
        remove(running, name)


@pytest.mark.parametrize("kind", ["image", "iscsi"])
def test_a_former_clusters_claim_is_ended_by_command(running: Lab, tgt: Tgt, tmp_path: Path, kind: str) -> None:
    """It has the id of this cluster and a higher generation, so every owner keeps off until then."""
    image = tmp_path / "former.img"
    image.write_bytes(CONTENT)
    unit = tgt.new_unit()
    properties = {"image": {"image": str(image)}, "iscsi": {"iscsi": {"portal": tgt.portal, "target": unit, "unit": 1}}}
    configuration = Path(running.ctl("lab", "status")["nodes"][0]["data_dir"]).parent / "node.toml"
    key = key_of(tomllib.loads(configuration.read_text())["cluster_id"], "n1", 9)
    former: Image | ScsiDisk = Image(str(image), "n1", BootClock())
    if kind == "iscsi":
        target = Target(tgt.portal, unit, 1, "iqn.2026-01.test.former:n1", "former")
        former = ScsiDisk(lambda: IscsiLink(target), BootClock())
    former.open()
    former.arbitrate(key, 60_000, lambda _: None)
    former.close()
    name = f"former-{kind}"
    running.apply({"groups": [disk_group(name, properties[kind])]}, wait=False)
    refusal = ("generation 9", "clear-claim")
    until(
        lambda: all(each in str(running.group(name)) for each in refusal), "its start is refused because of the claim"
    )
    running.ctl("group", "offline", name)

    found = tried(running)[f"{name}-disk"]
    assert (found["verdict"], "generation 9 of this cluster" in found["saw"]) == ("warning", True)
    shown_first = running.ctl("resource", "clear-claim", f"{name}-disk", "--plan")
    assert [each["key"] for each in shown_first["claims"]] == [str(key)]
    done = running.ctl("resource", "clear-claim", f"{name}-disk", "--yes")
    assert done["ended"] == [str(key)]

    running.ctl("group", "online", name)
    (disk,) = running.group(name)["resources"]
    assert disk["state"] == "online"
    refused = running.ctl("resource", "clear-claim", f"{name}-disk", "--yes", check=False)
    assert refused == {}, "what is online is refused, on standard error"
    told = [each["name"] for each in running.ctl("events", "--group", name)["events"]]
    assert {"claims.clear-asked", "claims.cleared"} <= set(told)
    remove(running, name)


def _wait_for_a_trial(image: Path, delay_ms: int) -> None:
    """Until one has begun, and so long after that."""
    lease = Path(f"{image}.lease")
    rested = lease.read_bytes()
    until(lambda: lease.read_bytes() != rested, "a trial claims the image")
    time.sleep(delay_ms / 1000)
