"""A host that ends says nothing any more: what it was in the midst of stands in its record, and the guard tells it."""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from clusterd.adapters.call_record import LOADING, SLOT_COUNT, CallRecord, record_path, recorded_calls
from clusterd.adapters.configuration import socket_path_problem
from clusterd.model.ids import NAME_LENGTH_MAX
from clusterd.owner.hosts import own_host
from clusterd.reshost.trial import TrialNode, trial_node
from clusterd.wire import host_pb2

PLUGIN = """
import os, time
from clusterd.resource_api import Context, Health, ResourceType

class Crasher(ResourceType):
    name = "crasher"
    is_alive_interval_ms = 50

    def online(self, context: Context) -> None:
        if context.resource == "sleeper":
            time.sleep(5)

    def offline(self, context: Context) -> None:
        pass

    def looks_alive(self, context: Context) -> Health:
        return Health.YES

    def is_alive(self, context: Context) -> Health:
        os._exit(3)
"""


@pytest.fixture
async def node() -> AsyncIterator[TrialNode]:
    with tempfile.TemporaryDirectory(prefix="rt-", dir="/tmp") as folder:
        plugins = Path(folder, "plugins")
        plugins.mkdir()
        (plugins / "crasher.py").write_text(PLUGIN)
        async with trial_node(folder, plugin_dirs=[str(plugins)]) as node:
            yield node


async def test_the_guard_tells_what_a_host_was_in_the_midst_of(node: TrialNode) -> None:
    host = await node.start_host()
    sleeper = asyncio.ensure_future(host.link.call(node.call("online", "sleeper", "crasher")))
    assert (await host.link.call(node.call("online", "culprit", "crasher"))).outcome == host_pb2.OUTCOME_DONE
    gone = (await node.guard_said("host_ended")).host_ended
    assert gone.has_calls and gone.kind == host_pb2.HOST_END_KIND_BY_ITSELF
    assert {(each.resource, each.verb) for each in gone.calls} == {("sleeper", "online"), ("culprit", "is_alive")}
    await asyncio.gather(sleeper, return_exceptions=True)


async def test_a_host_that_is_killed_was_in_the_midst_of_nothing(node: TrialNode) -> None:
    host = await node.start_host()
    node.guard.kill_host("shared", "for a test")
    gone = (await node.guard_said("host_ended")).host_ended
    assert gone.has_calls and not gone.calls and gone.kind == host_pb2.HOST_END_KIND_ON_REQUEST
    assert host.started.pid


async def test_a_plug_in_that_ends_the_host_while_it_is_loaded_is_passed_over(node: TrialNode) -> None:
    bad = Path(node.run_dir, "plugins", "bad.py")
    bad.write_text("import os; os._exit(5)")
    node.guard.start_host("own-x")
    gone = (await node.guard_said("host_ended")).host_ended
    assert gone.kind == host_pb2.HOST_END_KIND_NEVER_UP
    assert [each.resource for each in gone.calls] == [LOADING]
    node.forget()
    host = await node.start_host("own-x")
    assert "crasher" in {each.name for each in host.inventory.types}
    node.forget()
    node.guard.kill_host("own-x", "for a test")
    await node.guard_said("host_ended")
    node.forget()
    bad.write_text(PLUGIN.replace("crasher", "mended"))
    host = await node.start_host("own-x")
    assert "mended" in {each.name for each in host.inventory.types}


def test_a_record_outlives_its_writer_and_is_bounded(tmp_path: Path) -> None:
    path = record_path(str(tmp_path), "shared")
    assert recorded_calls(path) is None
    record = CallRecord(path)
    slots = [record.began("r" * 63, f"verb {number}") for number in range(SLOT_COUNT + 5)]
    assert slots[-1] is None
    for slot in slots[1:]:
        record.ended(slot)
    assert recorded_calls(path) == (("r" * 63, "verb 0"),)
    with record.during("web", "open"):
        assert len(recorded_calls(path) or ()) == 2
    assert CallRecord(path).before == (("r" * 63, "verb 0"),)
    assert recorded_calls(path) == ()


@pytest.mark.parametrize("name", ["web", "a" * NAME_LENGTH_MAX], ids=["short", "the longest"])
async def test_every_name_has_a_host_in_the_deepest_folder(name: str) -> None:
    with tempfile.TemporaryDirectory(prefix="rt-", dir="/tmp") as folder:
        deep = os.path.join(folder, "d" * (74 - len(folder)))
        os.mkdir(deep)
        assert socket_path_problem(deep) is None and socket_path_problem(f"{deep}dd") is not None
        async with trial_node(deep) as node:
            host = await node.start_host(own_host(name))
            assert host.inventory.pid == host.started.pid
