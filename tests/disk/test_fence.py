"""A disk is taken from an owner that nobody can reach: its storage refuses that one, with nobody left who took it."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from resource_types.physical_disk.places import places
from tests.disk.conftest import DISKS
from tests.disk.test_nbd import Client
from tests.disk.test_resource import DONE, FAILED, NOT_HERE, call, status
from tests.disk.tgt import Tgt
from tests.reshost.conftest import Bench

OWNER, OTHER = DISKS[:2]
"""Two resources that name one unit, as the same resource on two nodes does."""


@pytest.fixture
def unit(tgt: Tgt) -> dict[str, Any]:
    # An interval so long that nobody notices by himself: it is the storage that refuses.
    return {"iscsi": {"portal": tgt.portal, "target": tgt.new_unit(), "unit": 1}, "arb_interval": "60s"}


async def test_storage_refuses_the_writes_of_a_frozen_owner(bench: Bench, unit: dict[str, Any]) -> None:
    pid = (await call(bench, "online", OWNER, 1, **unit)).pid
    client = Client(places("trial", "n1", OWNER).nbd).shake_hands()
    assert client.ask(1, 0, 512, b"1" * 512) == (0, b"")
    os.kill(pid, signal.SIGSTOP)
    answer = await call(bench, "fence", OTHER, 3, **unit)
    assert answer.outcome == DONE, answer.message
    assert "00000001 was ended (preempt" in answer.prepared
    assert answer.prepared.endswith("00000003")
    os.kill(pid, signal.SIGCONT)
    assert client.ask(1, 0, 512, b"2" * 512)[0] != 0
    client.socket.close()
    assert (await call(bench, "terminate", OWNER, 1)).outcome == DONE


async def test_nothing_is_left_of_it_but_the_claim(bench: Bench, unit: dict[str, Any]) -> None:
    """The old owner comes back under its generation and is refused; the next generation gets the disk."""
    assert (await call(bench, "fence", OTHER, 3, **unit)).outcome == DONE
    assert OTHER not in await bench.inventory()
    with pytest.raises(OSError, match=r"refused|No such file"):
        Client(places("trial", "n1", OTHER).nbd)
    answer = await call(bench, "online", OWNER, 2, **unit)
    assert answer.outcome == FAILED
    assert "generation 3 of this cluster, is newer than our generation 2" in answer.message
    assert (await call(bench, "terminate", OWNER, 2)).outcome == DONE
    assert (await call(bench, "online", OWNER, 4, **unit)).outcome == DONE
    (preempted,) = (await status(bench, OWNER, "preempted"))["preempted"]
    assert preempted["generation"] == 3
    assert (await call(bench, "offline", OWNER, 4)).outcome == DONE


async def test_it_may_be_repeated_and_never_takes_it_from_somebody_newer(bench: Bench, unit: dict[str, Any]) -> None:
    for _ in range(2):
        assert (await call(bench, "fence", OTHER, 3, **unit)).outcome == DONE
    assert (await call(bench, "online", OWNER, 4, **unit)).outcome == DONE
    answer = await call(bench, "fence", OTHER, 3, **unit)
    assert answer.outcome == FAILED
    assert "generation 4 of this cluster, is newer than our generation 3" in answer.message
    assert (await status(bench, OWNER))["standing"] == "held"
    assert (await call(bench, "offline", OWNER, 4)).outcome == DONE


async def test_what_no_storage_refuses_is_not_fenced(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "image"
    path.write_bytes(bytes(4096))
    assert (await call(bench, "online", OWNER, 1, image=str(path))).outcome == DONE
    answer = await call(bench, "fence", OTHER, 3, image=str(path))
    assert answer.outcome == FAILED
    assert "its storage refuses nobody" in answer.message
    assert (await status(bench, OWNER))["standing"] == "held"
    assert (await call(bench, "offline", OWNER, 1)).outcome == DONE


async def test_storage_that_this_node_does_not_reach(bench: Bench) -> None:
    answer = await call(bench, "fence", OTHER, 3, iscsi={"portal": "127.0.0.1:9", "target": "iqn.x", "unit": 1})
    assert answer.outcome == NOT_HERE
    assert OTHER not in await bench.inventory()
