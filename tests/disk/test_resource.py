"""The resource type on a real host: claimed, served and checked, without a mount."""

import contextlib
import fcntl
import json
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clusterd.reshost.conformance import conformance
from clusterd.resource_api import schema_of, validate
from clusterd.wire import host_pb2
from resource_types.physical_disk.keys import key_of
from resource_types.physical_disk.lease import Lease, encode
from resource_types.physical_disk.places import places
from resource_types.physical_disk.properties import DEFAULT_INITIATOR, kind_and_place
from resource_types.physical_disk.resource import PhysicalDisk
from tests.disk.conftest import DISKS
from tests.disk.test_nbd import Client
from tests.disk.tgt import Tgt
from tests.reshost.conftest import Bench

DONE, FAILED, NOT_HERE = host_pb2.OUTCOME_DONE, host_pb2.OUTCOME_FAILED, host_pb2.OUTCOME_NOT_ON_THIS_NODE
FIRST, SECOND = DISKS[:2]
Call = Callable[..., Any]


@pytest.fixture(params=["iscsi", "image"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Properties of one disk."""
    if request.param == "image":
        path = tmp_path / "image"
        path.write_bytes(b"")
        os.truncate(path, 64 << 20)
        yield {"image": str(path), "arb_interval": "1s"}
        return
    tgt: Tgt = request.getfixturevalue("tgt")
    yield {"iscsi": {"portal": tgt.portal, "target": tgt.new_unit(), "unit": 1}, "arb_interval": "1s"}


@contextlib.contextmanager
def one_at_a_time() -> Iterator[None]:
    """The suite's resource has one name, so its sockets have one place on this machine."""
    with open(
        os.path.join(tempfile.gettempdir(), f"clusterd-disk-conformance-{os.geteuid()}"), "w", encoding="utf-8"
    ) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


async def call(bench: Bench, verb: str, resource: str, generation: int, **properties: Any) -> host_pb2.CallResult:
    return await bench.call(verb, "physical_disk", resource, generation, **properties)


async def status(bench: Bench, resource: str, verb: str = "status", body: bytes = b"") -> dict[str, Any]:
    answer = await bench.control(verb, resource, body)
    assert answer.outcome == DONE, answer.message
    found: dict[str, Any] = json.loads(answer.control_body)
    return found


async def test_disk_is_served_while_it_is_online(bench: Bench, disk: dict[str, Any]) -> None:
    answer = await call(bench, "online", FIRST, 1, **disk)
    assert answer.outcome == DONE, answer.message
    place = places("trial", "n1", FIRST)
    client = Client(place.nbd).shake_hands()
    assert client.ask(1, 0, 512, b"x" * 512) == (0, b"")
    client.socket.close()
    for verb in ("looks_alive", "is_alive"):
        assert (await call(bench, verb, FIRST, 1)).health == host_pb2.HEALTH_YES
    seen = await status(bench, FIRST)
    assert seen["guarantee"] == ("storage" if "iscsi" in disk else "cooperative")
    assert seen["nbd"] == place.nbd_uri
    assert seen["holder"] == seen["key"] == seen["registrants"][0]
    assert seen["defended_age_ms"] < 2000
    assert (await call(bench, "offline", FIRST, 1)).outcome == DONE
    with pytest.raises(OSError, match="No such file"):
        Client(place.nbd)


async def test_next_generation_preempts_and_says_whom(bench: Bench, disk: dict[str, Any]) -> None:
    assert (await call(bench, "online", FIRST, 1, **disk)).outcome == DONE
    assert (await call(bench, "online", SECOND, 2, **disk)).outcome == DONE
    told = await bench.told(host_pb2.RESOURCE_EVENT_KIND_FAILED)
    assert told.resource == FIRST
    assert "was lost" in told.message
    (preempted,) = (await status(bench, SECOND, "preempted"))["preempted"]
    assert preempted["generation"] == 1
    assert preempted["at_ms"] > 0
    assert (await call(bench, "is_alive", SECOND, 2)).health == host_pb2.HEALTH_YES
    for resource, generation in ((FIRST, 1), (SECOND, 2)):
        assert (await call(bench, "offline", resource, generation)).outcome == DONE


async def test_older_generation_is_refused_and_told_why(bench: Bench, disk: dict[str, Any]) -> None:
    assert (await call(bench, "online", FIRST, 5, **disk)).outcome == DONE
    answer = await call(bench, "online", SECOND, 4, **disk)
    assert answer.outcome == FAILED
    assert "generation 5 of this cluster, is newer than our generation 4" in answer.message
    for resource, generation in ((SECOND, 4), (FIRST, 5)):
        assert (await call(bench, "terminate", resource, generation)).outcome == DONE


async def test_stranger_that_does_not_defend_is_waited_for(bench: Bench, disk: dict[str, Any], tmp_path: Path) -> None:
    """A foreign claim, no evidence: the call says what it waits for, and takes two intervals."""
    if "image" not in disk:
        pytest.skip("one back end shows it; the others are shown with stepped time")
    foreign = Lease(key_of("other", "m1", 9).value, "m1", 1)
    Path(disk["image"] + ".lease").write_bytes(encode(foreign))
    began = time.monotonic()
    bench.node.deadlines.pending_timeout_ms = 3000
    answer = await call(bench, "online", FIRST, 1, **disk)
    assert answer.outcome == DONE, answer.message
    assert 2.0 <= time.monotonic() - began < 8
    (preempted,) = (await status(bench, FIRST, "preempted"))["preempted"]
    assert "did not defend" in preempted["because"] or "no key of this cluster" in preempted["because"]
    assert (await call(bench, "offline", FIRST, 1)).outcome == DONE


async def test_another_cluster_of_the_same_name_does_not_take_a_disk_in_use(bench: Bench, disk: dict[str, Any]) -> None:
    """Its generations are counted for itself, so a higher one says nothing: the owner is challenged, and keeps the disk."""
    assert (await call(bench, "online", FIRST, 1, **disk)).outcome == DONE
    await bench.host.link.hello(cluster="trial", cluster_id="of another cluster", node="n1", daemon_run="theirs")
    bench.node.deadlines.pending_timeout_ms = 8000
    answer = await call(bench, "online", SECOND, 9, **disk)
    assert answer.outcome == FAILED, "it took the disk"
    assert "no key of this cluster" in answer.message and "holder" in answer.message
    assert (await call(bench, "terminate", SECOND, 9)).outcome == DONE
    await bench.host.link.hello(cluster="trial", cluster_id="trial", node="n1", daemon_run="ours")
    assert (await call(bench, "is_alive", FIRST, 1)).health == host_pb2.HEALTH_YES
    assert (await call(bench, "offline", FIRST, 1)).outcome == DONE


async def test_killed_session_is_a_failure_at_once(bench: Bench, disk: dict[str, Any]) -> None:
    bench.node.deadlines.looks_alive_interval_ms = bench.node.deadlines.is_alive_interval_ms = 60_000
    pid = (await call(bench, "online", FIRST, 1, **disk)).pid
    os.kill(pid, signal.SIGKILL)
    told = await bench.told(host_pb2.RESOURCE_EVENT_KIND_FAILED, within_ms=500)
    assert "ended by signal 9" in told.message
    assert (await call(bench, "terminate", FIRST, 1)).outcome == DONE
    assert (await call(bench, "online", FIRST, 1, **disk)).outcome == DONE
    assert (await call(bench, "offline", FIRST, 1)).outcome == DONE


async def test_frozen_session_is_seen_by_the_checks(bench: Bench, disk: dict[str, Any]) -> None:
    pid = (await call(bench, "online", FIRST, 1, **disk)).pid
    bench.node.deadlines.pending_timeout_ms = 500
    assert pid > 1
    os.kill(pid, signal.SIGSTOP)
    assert (await call(bench, "looks_alive", FIRST, 1)).health == host_pb2.HEALTH_NO
    assert (await call(bench, "terminate", FIRST, 1)).outcome == DONE


async def test_maintenance(bench: Bench, disk: dict[str, Any]) -> None:
    assert (await call(bench, "online", FIRST, 1, **disk)).outcome == DONE
    assert await status(bench, FIRST, "maintenance", b"3") == {"maintenance": 3}
    assert (await status(bench, FIRST))["holder"] is None
    for verb in ("looks_alive", "is_alive"):
        assert (await call(bench, verb, FIRST, 1)).health == host_pb2.HEALTH_YES
    assert await status(bench, FIRST, "maintenance", b"0") == {"maintenance": 0}
    assert (await status(bench, FIRST))["standing"] == "held"
    for body in (b"4", b"-1", b"x", b""):
        answer = await bench.control("maintenance", FIRST, body)
        assert "from 0 to 3" in answer.message
    assert (await call(bench, "offline", FIRST, 1)).outcome == DONE


async def test_wrong_device(bench: Bench, tgt: Tgt) -> None:
    properties = {"iscsi": {"portal": tgt.portal, "target": tgt.new_unit(), "unit": 1}, "volume_id": "naa.ffff"}
    answer = await call(bench, "online", FIRST, 1, **properties)
    assert answer.outcome == FAILED
    assert "not the volume naa.ffff: it is naa." in answer.message
    assert (await call(bench, "terminate", FIRST, 1)).outcome == DONE


async def test_storage_that_this_node_does_not_reach(bench: Bench, tmp_path: Path) -> None:
    for properties in (
        {"image": str(tmp_path / "none")},
        {"device": "/dev/no-such"},
        {"iscsi": {"portal": "127.0.0.1:9", "target": "iqn.x", "unit": 1}},
    ):
        answer = await call(bench, "online", FIRST, 1, **properties)
        assert answer.outcome == NOT_HERE, answer.message
        assert "cannot be used from n1" in answer.message
        assert (await call(bench, "terminate", FIRST, 1)).outcome == DONE


async def test_it_conforms(disk: dict[str, Any]) -> None:
    with one_at_a_time():
        results = await conformance("physical_disk", disk)
    assert [f"{each.name}: {each.message}" for each in results if not each.passed] == []


# ---- properties ----


@pytest.mark.parametrize(
    ("name", "properties", "words"),
    [
        ("none of the three", {}, "exactly one of iscsi, device, image"),
        ("two of the three", {"image": "/a", "device": "/dev/sda"}, "exactly one of iscsi, device, image"),
        ("half a unit", {"iscsi": {"portal": "h:1", "target": "iqn.x"}}, "iscsi.unit: is required"),
        ("interval of 999 ms", {"image": "/a", "arb_interval": "999ms"}, "at least 1000 ms"),
        ("interval of 1 s", {"image": "/a", "arb_interval": 1}, ""),
        ("interval under its old name", {"image": "/a", "DiskArbInterval": 3}, ""),
        ("interval of 61 s", {"image": "/a", "arb_interval": "61s"}, "at most 60000 ms"),
        ("check 6", {"image": "/a", "run_check": 6}, "at most 5"),
        ("check -1", {"image": "/a", "DiskRunChkDsk": -1}, "at least 0"),
        ("check 5", {"image": "/a", "run_check": 5}, ""),
        ("id under its old name", {"image": "/a", "DiskIdGuid": "x"}, ""),
        ("something else", {"image": "/a", "disk_reload": 1}, "no such property"),
    ],
)
def test_properties(name: str, properties: dict[str, Any], words: str) -> None:
    schema = schema_of(PhysicalDisk.properties, exactly_one=PhysicalDisk.exactly_one)
    problems = "; ".join(str(each) for each in validate(properties, schema))
    assert words in problems and bool(words) == bool(problems), f"{name}: {problems}"


def test_each_node_has_its_own_initiator() -> None:
    properties = {"iscsi": {"portal": "h:1", "target": "iqn.x", "unit": 0}, "device": None, "image": None}
    kind, where = kind_and_place(properties, node="Node_1", resource="d")
    assert (kind, where["initiator"]) == ("iscsi", DEFAULT_INITIATOR.replace("{node}", "node-1"))
    properties["iscsi"]["initiator"] = "iqn.mine:{node}"  # type: ignore[index]
    assert kind_and_place(properties, node="n2", resource="d")[1]["initiator"] == "iqn.mine:n2"
