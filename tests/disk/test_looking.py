"""What does a node say of a disk that it may have to take over? Nothing is claimed, and whoever uses it notices nothing."""

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from clusterd.resource_api import UnknownControl
from resource_types.physical_disk.image import Image
from resource_types.physical_disk.iscsi_link import IscsiLink, Target
from resource_types.physical_disk.keys import key_of, shown
from resource_types.physical_disk.resource import PhysicalDisk
from resource_types.physical_disk.scsi_disk import ScsiDisk
from tests.disk.storages import SteppedClock
from tests.disk.tgt import Tgt

INTERVAL_MS = 3000
KEY = key_of("c", "n1", 1)


def seen(properties: dict[str, Any], node: str = "n2") -> dict[str, Any]:
    body = json.dumps({"node": node, "disks": {"disk": properties}}).encode()
    found: dict[str, Any] = json.loads(PhysicalDisk.examine("disks", body))["disks"]["disk"]
    return found


def test_an_image_that_nobody_has(tmp_path: Path) -> None:
    image = tmp_path / "disk.img"
    image.write_bytes(bytes(1 << 20))
    found = seen({"image": str(image)})
    assert (found["size_bytes"], found["ids"], found["holder"]) == (1 << 20, [], "")
    assert os.listdir(tmp_path) == ["disk.img"], "looking leaves no lease behind"


def test_an_image_in_use_is_not_disturbed(tmp_path: Path) -> None:
    image = tmp_path / "disk.img"
    image.write_bytes(bytes(1 << 20))
    disk = Image(str(image), "n1", SteppedClock())
    disk.open()
    disk.arbitrate(KEY, INTERVAL_MS, lambda _: None)
    before = (tmp_path / "disk.img.lease").read_bytes()
    assert seen({"image": str(image)})["holder"] == shown(KEY.value)
    assert (tmp_path / "disk.img.lease").read_bytes() == before
    disk.defend()
    disk.write(0, b"x" * 512)
    disk.close()


def test_what_is_wrong_with_an_image(tmp_path: Path) -> None:
    assert seen({"image": f"{tmp_path}/gone.img"})["trouble"] == f"{tmp_path}/gone.img: No such file or directory"
    image = tmp_path / "disk.img"
    image.write_bytes(bytes(512))
    (tmp_path / "disk.img.lease").write_bytes(b"x" * 512)
    assert "disk.img.lease is damaged: its checksum is wrong" in seen({"image": str(image)})["trouble"]


def test_a_unit_in_use_is_not_disturbed(tgt: Tgt) -> None:
    place = {"portal": tgt.portal, "target": tgt.new_unit(), "unit": 1}
    target = Target(*place.values(), "iqn.2026-01.c:n1", "disk")
    disk = ScsiDisk(lambda: IscsiLink(target), SteppedClock())
    disk.open()
    disk.arbitrate(KEY, INTERVAL_MS, lambda _: None)
    claims = disk.status()
    for node in ("n1", "n2"):
        found = seen({"iscsi": place}, node)
        assert (found["size_bytes"], found["ids"]) == (disk.size_bytes, disk.ids())
        assert found["holder"] == shown(KEY.value)
    assert disk.status() == claims
    disk.defend()
    disk.write(0, b"x" * 512)
    disk.release()
    disk.close()


def test_nobody_answers_there(tgt: Tgt) -> None:
    began = time.monotonic()
    found = seen({"iscsi": {"portal": "127.0.0.1:1", "target": "iqn.x", "unit": 1}})
    assert "nobody answers at 127.0.0.1:1" in found["trouble"]
    other = seen({"iscsi": {"portal": tgt.portal, "target": "iqn.2026-01.none:x", "unit": 1}})
    assert "no session with iqn.2026-01.none:x" in other["trouble"]
    assert time.monotonic() - began < 20


def test_no_scsi_device(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(512))
    assert "takes no SCSI commands" in seen({"device": f"{tmp_path}/file"})["trouble"]
    assert "No such file" in seen({"device": f"{tmp_path}/none"})["trouble"]


def test_properties_that_are_no_disk() -> None:
    assert "colour: no such property" in seen({"image": "/x", "colour": "red"})["trouble"]
    assert "exactly one of" in seen({})["trouble"]


def test_another_question() -> None:
    with pytest.raises(UnknownControl):
        PhysicalDisk.examine("colours", b"{}")
