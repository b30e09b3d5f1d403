"""How does a node take part in a trial: what it answers, whom it leaves alone, and what becomes of a trial left alone?"""

import fcntl
import json
import os
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from resource_types.physical_disk.image import Image
from resource_types.physical_disk.keys import key_of, shown, trial_key
from resource_types.physical_disk.lease import decode
from resource_types.physical_disk.resource import PhysicalDisk
from resource_types.physical_disk.scsi_disk import ScsiDisk
from tests.disk.storages import IscsiStorage, SteppedClock
from tests.disk.tgt import Tgt

FIRST, SECOND = 5, 6


def asked(verb: str, properties: dict[str, Any], number: int = FIRST, **more: Any) -> bytes:
    step = {"verb": verb, "trial": "t", "cluster": "c", "node": "n1", "disk": "disk", "properties": properties}
    return json.dumps({**step, "numbers": [FIRST, SECOND], "number": number, **more}).encode()


def part(verb: str, properties: dict[str, Any], number: int = FIRST, **more: Any) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(PhysicalDisk.examine("trial", asked(verb, properties, number, **more)))
    return answer


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "disk.img"
    path.write_bytes(bytes(1 << 20))
    return path


def holder(image: Path) -> int:
    return decode(Path(f"{image}.lease").read_bytes()).key


@pytest.mark.parametrize("mount", [{}, {"mount_point": "/mnt/nowhere"}], ids=["served", "mounted"])
def test_two_claims_hand_an_image_over(image: Path, mount: dict[str, str]) -> None:
    disk = {"image": str(image), **mount}
    for number in (FIRST, SECOND):
        assert part("open", disk, number)["done"] == {"size_bytes": 1 << 20, "ids": [], "claims": []}
    for verb, number, other in (
        ("claim", FIRST, 0),
        ("challenge", SECOND, FIRST),
        ("defend", FIRST, SECOND),
        ("take", SECOND, FIRST),
        ("late-write", FIRST, SECOND),
        ("write", SECOND, 0),
        ("release", FIRST, 0),
        ("release", SECOND, 0),
        ("release", SECOND, 0),
    ):
        assert "took_us" in part(verb, disk, number, other=other), verb
    assert holder(image) == 0
    assert part("write", disk) == {"trouble": "this node takes no part in the trial any more"}


def test_what_goes_wrong_is_said(image: Path, tmp_path: Path) -> None:
    disk = {"image": str(image)}
    assert "No such file" in part("open", {"image": str(tmp_path / "none")})["trouble"]
    assert "takes no SCSI commands" in part("open", {"device": str(image)}, number=SECOND)["trouble"]
    part("release", {"image": ""}, number=FIRST)
    part("release", {"image": ""}, number=SECOND)
    part("open", disk)
    assert "nobody holding" in part("write", disk)["unfit"] or "no claim is seen" in part("write", disk)["unfit"]
    assert "does not know the step" in part("dance", disk)["trouble"]
    part("release", disk)


def test_a_trial_that_nobody_goes_on_with_ends_by_itself(image: Path) -> None:
    disk = {"image": str(image)}
    part("open", disk, life_ms=100)
    part("claim", disk)
    assert holder(image) == trial_key("c", FIRST).value
    until = time.monotonic() + 10
    while holder(image) and time.monotonic() < until:
        time.sleep(0.01)
    assert holder(image) == 0


@pytest.mark.parametrize("kind", ["image", "iscsi"])
def test_a_host_that_is_killed_leaves_a_claim_that_the_next_owner_ends_at_once(
    kind: str, image: Path, request: pytest.FixtureRequest
) -> None:
    disk: dict[str, Any] = {"image": str(image)}
    if kind == "iscsi":
        tgt: Tgt = request.getfixturevalue("tgt")
        storage = IscsiStorage(tgt)
        disk = {"iscsi": {"portal": tgt.portal, "target": storage.unit, "unit": 1}}
    program = "import sys\nfrom resource_types.physical_disk.trial import take_part\n"
    program += "for each in sys.argv[1:]:\n    print(take_part(each.encode()).decode(), flush=True)\nsys.stdin.read()\n"
    words = [asked(verb, disk).decode() for verb in ("open", "claim")]
    host = subprocess.Popen(
        [sys.executable, "-c", program, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with host:
        assert host.stdout is not None
        assert all("done" in host.stdout.readline() for _ in words)
        os.kill(host.pid, signal.SIGKILL)
        host.wait()
    clock = SteppedClock()
    owner: Image | ScsiDisk = Image(str(image), "n2", clock)
    if kind == "iscsi":
        owner = storage.make("n2")  # type: ignore[assignment]
        clock = storage.clock
    owner.open()
    assert owner.status()["holder"] == shown(trial_key("c", FIRST).value), "it is left of the trial"
    began_ms = clock.ms
    owner.arbitrate(key_of("c", "n2", 1), 60_000, lambda _: None)
    assert clock.ms == began_ms
    owner.write(0, b"x" * 512)
    owner.release()
    owner.close()


def test_an_image_that_a_process_uses_by_hand_is_left_alone(image: Path) -> None:
    descriptor = os.open(image, os.O_RDWR)
    fcntl.fcntl(descriptor, 37, struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 100, 1, 0))
    assert part("open", {"image": str(image)})["done"] == {"user": f"{image} is locked by a process that uses it"}
    os.close(descriptor)
    assert part("open", {"image": str(image)})["done"]["claims"] == []
    part("release", {"image": str(image)})


@pytest.mark.skipif(os.geteuid() != 0, reason="loop devices need root")
def test_an_image_behind_a_loop_device_is_left_alone(image: Path) -> None:
    loop = subprocess.run(["losetup", "-f", "--show", image], capture_output=True, text=True, check=True).stdout.strip()
    try:
        assert loop in part("open", {"image": str(image)})["done"]["user"]
    finally:
        subprocess.run(["losetup", "-d", loop], check=True)
    assert not Path(f"{image}.lease").exists()
