"""Are exactly the claims ended that are named, on whatever the disk is made of?"""

import json
from pathlib import Path
from typing import Any

import pytest

from resource_types.physical_disk.back_end import BackEnd, PathLost, Refused
from resource_types.physical_disk.claims import _ScsiClaims
from resource_types.physical_disk.keys import key_of, shown, trial_key
from resource_types.physical_disk.resource import PhysicalDisk
from resource_types.physical_disk.scsi_disk import ScsiDisk
from resource_types.physical_disk.session import BootClock
from tests.disk.pretend_target import PretendTarget
from tests.disk.storages import ImageStorage, IscsiStorage, PretendStorage, SteppedClock, Storage
from tests.disk.tgt import Tgt

INTERVAL_MS = 1000
LATER_MS = SteppedClock().ms + 10_000
FORMER, OTHER = key_of("c", "n1", 7), key_of("elsewhere", "m1", 3)


class Disk:
    """A disk, and how a node of cluster c asks about it."""

    def __init__(self, storage: Storage, properties: dict[str, Any]) -> None:
        self.storage, self.properties = storage, properties

    def claim(self, cluster: str, node: str, generation: int) -> BackEnd:
        disk = self.storage.disk(node)
        disk.arbitrate(key_of(cluster, node, generation), INTERVAL_MS, lambda _: None)
        return disk

    def ask(self, question: str, *keys: int) -> dict[str, Any]:
        asked = {"cluster": "c", "node": "n2", "disk": "d", "properties": self.properties}
        asked |= {"nodes": ["n1", "n2", "n3"], "keys": [shown(each) for each in keys]}
        asked["until_ms"] = BootClock().now_ms() + 10_000
        told: dict[str, Any] = json.loads(PhysicalDisk.examine(question, json.dumps(asked).encode()))
        told.pop("now_ms", None)
        return told


@pytest.fixture(params=["iscsi", "image"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Disk:
    if request.param == "image":
        images = ImageStorage(tmp_path)
        return Disk(images, {"image": str(images.path)})
    tgt: Tgt = request.getfixturevalue("tgt")
    units = IscsiStorage(tgt)
    return Disk(units, {"iscsi": {"portal": tgt.portal, "target": units.unit, "unit": 1}})


def test_a_disk_without_claims(disk: Disk) -> None:
    assert disk.ask("claims") == {"claims": []}
    assert disk.ask("end-claims", FORMER.value) == {"ended": [], "left": []}


def test_a_former_clusters_claim_is_told_and_ended(disk: Disk) -> None:
    disk.claim("c", "n1", 7).close()
    (told,) = disk.ask("claims")["claims"]
    assert (told["key"], told["is_holder"], told["is_ours"]) == (shown(FORMER.value), True, True)
    assert (told["generation"], told["nodes"]) == (7, ["n1"])
    with pytest.raises(Refused, match=r"newer than our generation 3; .* clusterctl resource clear-claim"):
        disk.claim("c", "n2", 3)
    assert disk.ask("end-claims", FORMER.value) == {"ended": [shown(FORMER.value)], "left": []}
    assert disk.ask("claims") == {"claims": []}
    began_ms = disk.storage.clock.ms
    disk.claim("c", "n2", 3).write(0, b"x" * 512)
    assert disk.storage.clock.ms == began_ms


def test_a_strangers_claim(disk: Disk) -> None:
    disk.claim("elsewhere", "m1", 3).close()
    (told,) = disk.ask("claims")["claims"]
    assert (told["is_ours"], told["nodes"]) == (False, [])
    assert disk.ask("end-claims", OTHER.value)["ended"] == [shown(OTHER.value)]
    assert disk.ask("claims") == {"claims": []}


def test_a_claim_that_is_not_named_stays(disk: Disk) -> None:
    owner = disk.claim("c", "n3", 8)
    key = shown(key_of("c", "n3", 8).value)
    assert disk.ask("end-claims", FORMER.value) == {"ended": [], "left": [key]}
    owner.defend()
    owner.write(0, b"x" * 512)
    assert [each["key"] for each in disk.ask("claims")["claims"]] == [key]


def test_what_a_trial_left(disk: Disk) -> None:
    key = trial_key("c", 9).value
    part = {"trial": "t", "cluster": "c", "node": "n1", "disk": "d", "properties": disk.properties}
    for verb in ("open", "claim"):
        PhysicalDisk.examine("trial", json.dumps({**part, "verb": verb, "numbers": [9], "number": 9}).encode())
    (told,) = disk.ask("claims")["claims"]
    assert (told["generation"], told["nodes"]) == (0, [])
    assert disk.ask("end-claims", key)["ended"] == [shown(key)]
    PhysicalDisk.examine("trial", json.dumps({**part, "verb": "release", "numbers": [9], "number": 9}).encode())


def test_the_session_of_an_image_that_lives_is_not_ended(tmp_path: Path) -> None:
    storage = ImageStorage(tmp_path)
    disk = Disk(storage, {"image": str(storage.path)})
    owner = disk.claim("elsewhere", "m1", 3)
    assert "still runs, by its lock on the lease" in disk.ask("end-claims", OTHER.value)["alive"]
    owner.defend()
    storage.close()


def test_what_is_not_there(tmp_path: Path) -> None:
    gone = Disk(ImageStorage(tmp_path), {"image": f"{tmp_path}/none"})
    assert "No such file" in gone.ask("claims")["trouble"]
    assert not (tmp_path / "none.lease").exists()
    assert (
        "nobody answers"
        in Disk(PretendStorage(), {"iscsi": {"portal": "127.0.0.1:9", "target": "iqn.x", "unit": 1}}).ask("claims")[
            "trouble"
        ]
    )


def test_many_claims_at_once_and_an_owner_among_them() -> None:
    """Strangers are registered, one of them holds it; the owner that came meanwhile keeps its key."""
    storage = PretendStorage()
    target = storage.target
    links = [target.connect() for _ in range(5)]
    target.keys.update({link: 100 + number for number, link in enumerate(links)})
    owner = key_of("c", "n3", 9).value
    target.keys[links[4]] = owner
    target.holder = links[0]
    before, after = _ScsiClaims(target.connect, trial_key("c", 1).value, SteppedClock()).end(
        {100, 101, 102, 103}, LATER_MS
    )
    assert (before, after) == ({100, 101, 102, 103, owner}, {owner})
    assert target.keys == {links[4]: owner} and target.holder is None


def test_an_owner_that_takes_it_in_the_middle_wins() -> None:
    storage = PretendStorage()
    target = storage.target
    stale = target.connect()
    target.keys[stale], target.holder = OTHER.value, stale
    owner = storage.disk("n3")
    # Just before the claim is preempted.
    target.meanwhile[0x5F] = lambda: target.meanwhile.update(
        {0x5F: lambda: owner.arbitrate(key_of("c", "n3", 9), INTERVAL_MS, lambda _: None)}
    )
    _ScsiClaims(target.connect, trial_key("c", 1).value, SteppedClock()).end({OTHER.value}, LATER_MS)
    owner.defend()
    owner.write(0, b"x" * 512)
    assert list(target.keys.values()) == [key_of("c", "n3", 9).value]


def test_a_claim_of_this_nodes_own_session_is_given_up() -> None:
    """Over a local device all that a node ever did is one session, a former cluster's claim included."""
    target = PretendTarget()
    link = target.connect()
    former = ScsiDisk(lambda: link, PretendStorage().clock)
    former.open()
    former.arbitrate(FORMER, INTERVAL_MS, lambda _: None)
    before, after = _ScsiClaims(lambda: link, trial_key("c", 1).value, SteppedClock()).end({FORMER.value}, LATER_MS)
    assert (before, after) == ({FORMER.value}, set())
    assert (target.keys, target.holder) == ({}, None)


def test_who_was_frozen_meanwhile_does_not_go_on() -> None:
    storage = PretendStorage()
    target = storage.target
    stale = target.connect()
    target.keys[stale], target.holder = OTHER.value, stale
    target.meanwhile[0x5F] = lambda: storage.clock.pause(60_000)
    with pytest.raises(PathLost, match="what was asked may be wrong by now"):
        _ScsiClaims(target.connect, trial_key("c", 1).value, storage.clock).end({OTHER.value}, LATER_MS)
    assert target.keys == {stale: OTHER.value}


def test_what_was_asked_long_ago_is_not_done_to_an_image(tmp_path: Path) -> None:
    storage = ImageStorage(tmp_path)
    Disk(storage, {}).claim("elsewhere", "m1", 3).close()
    disk = {"cluster": "c", "node": "n2", "disk": "d", "properties": {"image": str(storage.path)}}
    asked = {**disk, "keys": [shown(OTHER.value)], "until_ms": BootClock().now_ms() - 1}
    assert "no more is ended" in json.loads(PhysicalDisk.examine("end-claims", json.dumps(asked).encode()))["trouble"]
    assert storage.disk("n3").status()["holder"] == shown(OTHER.value)
    storage.close()
