"""Are claims of former users ended when asked for, and never one of an owner of this cluster that may still run?"""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient
from asking import apply, get, post
from pretend_cluster import PretendCluster

from clusterd.database import Draft
from clusterd.model.errors import UnknownOutcome
from clusterd.model.ids import GroupId, NodeId, ResourceId
from clusterd.model.records import GroupRecord, ResourceRecord
from clusterd.model.states import MembershipState, ResourceState, Wanted
from resource_types.physical_disk.image import Image
from resource_types.physical_disk.keys import key_of, shown, trial_key
from resource_types.physical_disk.lease import Lease, decode, encode
from resource_types.physical_disk.resource import PhysicalDisk
from resource_types.physical_disk.session import BootClock

PATH = "/v1/resources/disk/clear-claim"
FORMER = key_of("c-1", "n1", 7).value
STRANGER = key_of("elsewhere", "m1", 2).value


class Disk:
    """An image that every node reaches. `when` does something before a node is asked."""

    def __init__(self, cluster: PretendCluster, image: Path) -> None:
        self.cluster, self.image = cluster, image
        self.when: dict[tuple[str, str], Callable[[], object]] = {}
        self.asked: list[tuple[str, str]] = []
        image.write_bytes(bytes(4096))
        cluster.type_answers = self.answer
        self.put(ResourceRecord(ResourceId("disk"), GroupId("web"), "physical_disk", Wanted.OFFLINE,
                                private={"image": str(image)}))  # fmt: skip

    def put(self, record: ResourceRecord | GroupRecord) -> None:
        self.cluster.write(Draft(self.cluster.view()).put(record))
        self.cluster.act()

    def answer(self, node: NodeId, type_name: str, question: str, body: bytes) -> bytes:
        self.asked.append((node, question))
        self.when.pop((node, question), lambda: None)()
        return PhysicalDisk.examine(question, body)

    def claim(self, key: int) -> None:
        Path(f"{self.image}.lease").write_bytes(encode(Lease(key, "n1", 5)))

    @property
    def holder(self) -> int:
        return decode(Path(f"{self.image}.lease").read_bytes()).key

    def change(self, **changed: Any) -> None:
        record = self.cluster.view().resource("disk")
        assert record is not None
        self.put(replace(record, **changed))

    def floor(self) -> int:
        group = self.cluster.view().group("web")
        assert group is not None
        return group.generation_floor

    def events(self) -> list[str]:
        return [each.name for _, each in self.cluster.view().events() if each.name.startswith("claims.")]


@pytest.fixture
async def disk(client: TestClient, cluster: PretendCluster, tmp_path: Path) -> Disk:
    await apply(client)
    return Disk(cluster, tmp_path / "disk.img")


async def test_a_claim_of_a_former_cluster(client: TestClient, disk: Disk) -> None:
    disk.claim(FORMER)
    planned = await post(client, f"{PATH}?plan=1", {})
    assert planned["claims"][0]["key"] == shown(FORMER)
    assert "generation 7 of this cluster, of n1, holding it" in planned["claims"][0]["text"]
    assert (planned["changes"][0]["action"], planned["changes"][0]["kind"]) == ("end", "claim")
    assert (disk.holder, disk.floor(), disk.events()) == (FORMER, 0, [])
    done = await post(client, PATH, {"node": "n3", "keys": [shown(FORMER)]})
    assert (done["http"], done["ended"], done["node"]) == (200, [shown(FORMER)], "n3")
    assert (disk.holder, disk.floor()) == (0, 7)
    assert disk.events() == ["claims.clear-asked", "claims.cleared"]


async def test_a_claim_of_a_stranger_raises_no_floor(client: TestClient, disk: Disk) -> None:
    disk.claim(STRANGER)
    assert (await post(client, PATH, {}))["ended"] == [shown(STRANGER)]
    assert (disk.holder, disk.floor()) == (0, 0)


async def test_what_a_trial_left(client: TestClient, disk: Disk) -> None:
    disk.claim(trial_key("c-1", 9).value)
    done = await post(client, PATH, {})
    assert "left by a trial" in done["claims"][0]["text"]
    assert disk.holder == 0


async def test_a_disk_without_claims(client: TestClient, disk: Disk) -> None:
    done = await post(client, PATH, {})
    assert (done["http"], done["changes"], done["ended"]) == (200, [], [])
    assert "finds no claim on disk" in done["notes"][0]


async def test_the_groups_own_claim_ends_by_itself(client: TestClient, disk: Disk) -> None:
    own = key_of("c-1", "n1", 1).value
    disk.claim(own)
    done = await post(client, PATH, {})
    assert (done["changes"], disk.holder) == ([], own)
    assert "the next owner does that by itself, clusterctl group online web" in done["notes"][0]


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({"state": ResourceState.ONLINE}, "it is online"),
        ({"state": ResourceState.OFFLINE_PENDING}, "it is offline-pending"),
        ({"state": ResourceState.FAILED, "may_run": True}, "something of it may still run"),
        ({"state": ResourceState.OFFLINE, "may_run": True}, "something of it may still run"),
    ],
)
async def test_a_disk_that_may_be_used_is_refused(
    client: TestClient, disk: Disk, state: dict[str, Any], words: str
) -> None:
    disk.claim(FORMER)
    disk.cluster.acts = False
    disk.cluster.report("web", "disk", **state)
    refused = await post(client, PATH, {})
    assert (refused["http"], refused["error"]["code"]) == (422, "refused")
    assert words in refused["error"]["message"]
    assert (disk.holder, disk.asked) == (FORMER, [])


async def test_a_disk_that_is_wanted_online_and_failed(client: TestClient, disk: Disk) -> None:
    """As it is when its start was refused because of the claim."""
    disk.claim(FORMER)
    disk.change(wanted=Wanted.ONLINE)
    disk.cluster.acts = False
    disk.cluster.report("web", "disk", state=ResourceState.OFFLINE)
    refused = await post(client, PATH, {})
    assert "it may come online at any moment" in refused["error"]["message"]
    disk.cluster.report("web", "disk", state=ResourceState.FAILED)
    assert (await post(client, PATH, {}))["ended"] == [shown(FORMER)]


async def test_an_owner_that_is_not_proven_gone(client: TestClient, disk: Disk) -> None:
    disk.claim(FORMER)
    disk.cluster.lose("n1", state=MembershipState.EXPELLING)
    refused = await post(client, PATH, {})
    assert "it is unknown" in refused["error"]["message"]
    assert disk.holder == FORMER


async def test_what_is_no_disk(client: TestClient, disk: Disk) -> None:
    refused = await post(client, "/v1/resources/web-server/clear-claim", {})
    assert "it is a generic_service, and only a physical_disk has claims" in refused["error"]["message"]
    assert (await post(client, "/v1/resources/none/clear-claim", {}))["http"] == 404
    assert (await post(client, PATH, {"keys": ["7"]}))["http"] == 400
    assert disk.asked == []


async def test_other_claims_than_those_that_were_shown(client: TestClient, disk: Disk) -> None:
    disk.claim(key_of("c-1", "n2", 9).value)
    refused = await post(client, PATH, {"keys": [shown(FORMER)]})
    assert (refused["http"], refused["error"]["code"]) == (409, "conflict")
    assert disk.holder == key_of("c-1", "n2", 9).value


# ---- owners of this cluster ----


def other_group(disk: Disk, generation: int = 7) -> None:
    """Group db, with a disk, runs on n1 under that generation."""
    disk.put(GroupRecord(GroupId("db"), preferred_owners=(NodeId("n1"),)))
    disk.put(ResourceRecord(ResourceId("db-disk"), GroupId("db"), "physical_disk", private={"image": str(disk.image)}))
    disk.cluster.decide("db", generation=generation)
    disk.cluster.acts = False


async def test_a_claim_that_may_be_another_groups_is_kept(client: TestClient, disk: Disk) -> None:
    """The disk was remade in this group, of lower generation, while the owner of the other one cannot be reached."""
    other_group(disk)
    disk.claim(FORMER)
    disk.cluster.lose("n1", state=MembershipState.EXPELLING)
    disk.cluster.decide("web", owner=NodeId(""))
    refused = await post(client, PATH, {})
    assert refused["error"]["code"] == "refused"
    assert "it may be that of group db, which n1 has under generation 7" in refused["error"]["message"]
    assert disk.holder == FORMER
    disk.cluster.lose("n1")
    assert (await post(client, PATH, {}))["ended"] == [shown(FORMER)], "it is proven that n1 runs nothing of it"


async def test_a_claim_of_another_generation_is_not_that_of_the_other_group(client: TestClient, disk: Disk) -> None:
    other_group(disk, generation=6)
    disk.claim(FORMER)
    assert (await post(client, PATH, {}))["ended"] == [shown(FORMER)]


async def test_a_group_that_is_given_to_a_node_meanwhile_is_judged_again(client: TestClient, disk: Disk) -> None:
    """Between the look and the commit the leader gives it the very generation of the claim."""
    disk.claim(FORMER)
    disk.when["n1", "claims"] = lambda: disk.cluster.decide("web", generation=7)
    refused = await post(client, PATH, {})
    assert "it is initializing" in refused["error"]["message"]
    assert (disk.holder, disk.floor()) == (FORMER, 0)


async def test_a_disk_that_is_another_one_meanwhile(client: TestClient, disk: Disk) -> None:
    disk.claim(FORMER)
    disk.when["n1", "claims"] = lambda: disk.change(private={"image": "/another.img"})
    refused = await post(client, PATH, {})
    assert "disk is another disk than the one that was looked at" in refused["error"]["message"]
    assert (disk.holder, disk.floor()) == (FORMER, 0)


async def test_an_owner_that_claims_it_just_before_keeps_it(client: TestClient, disk: Disk) -> None:
    disk.claim(FORMER)
    owner = key_of("c-1", "n2", 8)

    def claims() -> None:
        disk.claim(0)
        image = Image(str(disk.image), "n2", BootClock())
        image.open()
        image.arbitrate(owner, 1000, lambda _: None)
        image.close()

    disk.when["n1", "end-claims"] = claims
    done = await post(client, PATH, {})
    assert (done["http"], done["ended"]) == (200, [])
    assert disk.holder == owner.value


# ---- nodes ----


async def test_a_node_that_does_not_reach_it_is_passed_over(client: TestClient, disk: Disk) -> None:
    disk.claim(FORMER)

    def is_cut_off() -> None:
        raise UnknownOutcome("no way to the storage")

    disk.when["n1", "claims"] = is_cut_off
    assert (await post(client, PATH, {}))["node"] == "n2"


async def test_no_node_reaches_it(client: TestClient, disk: Disk) -> None:
    disk.image.unlink()
    refused = await post(client, PATH, {})
    assert "no node reaches disk: from n1:" in refused["error"]["message"]


async def test_a_node_that_does_not_say_whether_it_did(client: TestClient, disk: Disk) -> None:
    disk.claim(FORMER)

    def is_silent() -> None:
        raise UnknownOutcome("n1 did not answer in time")

    disk.when["n1", "end-claims"] = is_silent
    refused = await post(client, PATH, {})
    assert "n1 did not say whether it did" in refused["error"]["message"]
    assert disk.events() == ["claims.clear-asked", "claims.kept"]
    found = await get(client, "/v1/events")
    assert any("were not ended: n1 did not say" in each["message"] for each in found["events"])
    assert json.dumps(found)


async def test_a_live_session_keeps_its_image(client: TestClient, disk: Disk) -> None:
    image = Image(str(disk.image), "m1", BootClock())
    image.open()
    image.arbitrate(key_of("elsewhere", "m1", 2), 60_000, lambda _: None)
    refused = await post(client, PATH, {})
    assert "still runs, by its lock on the lease" in refused["error"]["message"]
    assert disk.holder == STRANGER
    image.close()
