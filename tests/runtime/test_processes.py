"""The daemon's side of its guard and hosts, against pretended ones that speak the same protocol."""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from clusterd.adapters.frames import FrameBuffer, framed
from clusterd.adapters.host_link import LinkEnded
from clusterd.model.errors import Busy
from clusterd.model.ids import Incarnation
from clusterd.node import events as happened
from clusterd.runtime.processes import NodeProcesses
from clusterd.runtime.type_questions import Question
from clusterd.wire import host_pb2

WITHIN_S = 10.0
PEERS: list["Peer"] = []


class Peer:
    """A process that listens, as a guard or a host: every request is kept, and answered by `answer`."""

    def __init__(self, answer: Callable[["Peer", bytes], None]) -> None:
        self._answer = answer
        self._writers: list[asyncio.StreamWriter] = []
        self._server: asyncio.Server | None = None
        PEERS.append(self)
        self.requests: list[bytes] = []

    async def listen(self, path: str) -> None:
        Path(path).unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, path)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        buffer = FrameBuffer()
        while data := await reader.read(65536):
            for body in buffer.feed(data):
                self.requests.append(bytes(body))
                self._answer(self, bytes(body))
        writer.close()

    def say(self, message: host_pb2.GuardEvent | host_pb2.HostMessage) -> None:
        for writer in self._writers:
            writer.write(framed(message.SerializeToString()))

    async def end(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in self._writers:
            writer.close()
        self._writers = []


def guard(incarnation: str) -> Peer:
    def answer(peer: Peer, body: bytes) -> None:
        request = host_pb2.GuardRequest.FromString(body)
        if request.HasField("hello"):
            peer.say(host_pb2.GuardEvent(state=host_pb2.GuardState(incarnation=incarnation)))

    return Peer(answer)


def host(incarnation: str, *, pid: int, state: str = "online", is_silent: bool = False) -> Peer:
    def answer(peer: Peer, body: bytes) -> None:
        request = host_pb2.HostRequest.FromString(body)
        if is_silent or not request.HasField("hello"):
            return
        inventory = host_pb2.HostInventory(host_id="shared", pid=pid, incarnation=incarnation)
        inventory.resources.add(resource="r", type="t", group="g", generation=1, state=state)
        peer.say(host_pb2.HostMessage(answers=request.id, inventory=inventory))
        failed = host_pb2.ResourceEvent(resource="r", generation=1, kind=host_pb2.RESOURCE_EVENT_KIND_FAILED)
        peer.say(host_pb2.HostMessage(event=failed))

    return Peer(answer)


class Bench:
    """A daemon's processes in a folder of their own."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.events: list[happened.Event] = []
        self.broke: list[BaseException] = []
        self.processes = NodeProcesses(
            run_dir=folder, cluster="c", node="n1", daemon_run="d", noted=lambda text: None, cluster_id="c1"
        )

    def path(self, name: str) -> str:
        return os.path.join(self.folder, name)

    async def until(self, is_so: Callable[[], bool], what: str) -> None:
        async with asyncio.timeout(WITHIN_S):
            while not is_so():
                await asyncio.sleep(0.005)
        assert is_so(), what

    def heard(self, kind: type) -> list[happened.Event]:
        return [each for each in self.events if isinstance(each, kind)]

    def started(self, name: str, pid: int) -> host_pb2.GuardEvent:
        return host_pb2.GuardEvent(
            host_started=host_pb2.HostStarted(host_id="shared", pid=pid, socket_path=self.path(name))
        )

    async def begin(self, of: Peer) -> None:
        await of.listen(self.path("guard.sock"))
        self.processes.start(self.events.append, self.broke.append)
        await self.until(lambda: bool(self.heard(happened.GuardUp)), "the guard is there")


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    with tempfile.TemporaryDirectory(prefix="np-", dir="/tmp") as folder:
        bench = Bench(folder)
        yield bench
        await bench.processes.stop()
        for peer in PEERS:
            await peer.end()
        PEERS.clear()
        await asyncio.sleep(0.02)
        assert bench.broke == []


def kills(of: Peer) -> list[str]:
    requests = [host_pb2.GuardRequest.FromString(each) for each in of.requests]
    return [each.kill_host.because for each in requests if each.HasField("kill_host")]


async def test_the_last_word_of_every_guard_is_waited_for(bench: Bench) -> None:
    """As it was: after one guard was lost, a clean stop did not wait for the next one's evidence."""
    first, second = guard("i1"), guard("i2")
    await bench.begin(first)
    await first.end()
    await bench.until(lambda: bool(bench.heard(happened.GuardGone)), "the first guard is gone")
    await second.listen(bench.path("guard.sock"))
    await bench.until(lambda: len(bench.heard(happened.GuardUp)) == 2, "the second guard is there")
    stopping = asyncio.ensure_future(bench.processes.stop_guard("the node is stopped"))
    await bench.until(lambda: any(b"the node is stopped" in each for each in second.requests), "it was told")
    assert not stopping.done(), "nobody waited for its last word"
    second.say(host_pb2.GuardEvent(incarnation_ended=host_pb2.IncarnationEnded(ended="i2", because="stopped")))
    await second.end()
    await asyncio.wait_for(stopping, WITHIN_S)
    assert happened.IncarnationEnded(Incarnation("i2"), "stopped", Incarnation("")) in bench.events


async def test_a_host_of_an_incarnation_that_is_over_costs_the_next_one_nothing(bench: Bench) -> None:
    """It was being greeted when its incarnation ended, and another one had its name before the greeting failed."""
    of = guard("i1")
    await bench.begin(of)
    old, new = host("i1", pid=11, is_silent=True), host("i2", pid=22)
    await old.listen(bench.path("old.sock"))
    await new.listen(bench.path("new.sock"))
    of.say(bench.started("old.sock", 11))
    await bench.until(lambda: bool(old.requests), "it is being greeted")
    over = host_pb2.IncarnationEnded(ended="i1", because="its lease ran out", successor="i2")
    of.say(host_pb2.GuardEvent(incarnation_ended=over))
    of.say(bench.started("new.sock", 22))
    await bench.until(lambda: bool(bench.heard(happened.HostUp)), "the new host is known")
    await old.end()
    await asyncio.sleep(0.05)
    ups = bench.heard(happened.HostUp)
    assert [(each.pid, each.incarnation) for each in ups if isinstance(each, happened.HostUp)] == [(22, "i2")]
    assert kills(of) == []


async def test_what_a_host_says_right_after_its_inventory_comes_after_it(bench: Bench) -> None:
    of, one = guard("i1"), host("i1", pid=11)
    await bench.begin(of)
    await one.listen(bench.path("one.sock"))
    of.say(bench.started("one.sock", 11))
    await bench.until(lambda: bool(bench.heard(happened.ResourceHappened)), "it has told")
    kinds = [type(each) for each in bench.events]
    assert kinds.index(happened.HostUp) < kinds.index(happened.ResourceHappened)


async def test_a_host_that_says_nonsense_is_ended_and_not_the_daemon(bench: Bench) -> None:
    of, one = guard("i1"), host("i1", pid=11, state="on\nline")
    await bench.begin(of)
    await one.listen(bench.path("one.sock"))
    of.say(bench.started("one.sock", 11))
    await bench.until(lambda: bool(kills(of)), "it is ended")
    assert "its inventory cannot be read" in kills(of)[0]
    assert not bench.heard(happened.HostUp)


async def test_a_question_that_ended_its_host_is_not_put_to_the_next_one_at_once(bench: Bench) -> None:
    of = guard("n1/1")

    def host_that_dies(peer: Peer, body: bytes) -> None:
        request = host_pb2.HostRequest.FromString(body)
        if request.HasField("hello"):
            inventory = host_pb2.HostInventory(host_id="shared", pid=8, incarnation="n1/1")
            peer.say(host_pb2.HostMessage(answers=request.id, inventory=inventory))
        elif request.HasField("call"):
            gone = host_pb2.HostEnded(host_id="shared", because="signal 11", workloads_gone=True, has_calls=True)
            gone.calls.add(resource="", verb=f"examine {request.call.type}")
            of.say(host_pb2.GuardEvent(host_ended=gone))

    async def start_host(name: str, *, ups: int) -> None:
        await Peer(host_that_dies).listen(bench.path(name))
        of.say(bench.started(name, 8))
        await bench.until(lambda: len(bench.heard(happened.HostUp)) == ups, "the host is up")

    question = Question("physical_disk", "claims", "data")
    await bench.begin(of)
    await start_host("a.sock", ups=1)
    with pytest.raises(LinkEnded):
        await bench.processes.examine(question, b"{}")
    await start_host("b.sock", ups=2)
    with pytest.raises(Busy, match="about data ended this node's resource host once"):
        await bench.processes.examine(question, b"{}")
    assert len(bench.heard(happened.HostEnd)) == 1
    with pytest.raises(LinkEnded):
        await bench.processes.examine(question._replace(about="logs"), b"{}")
    assert not bench.broke


async def test_a_question_waits_for_the_host_that_is_being_started(bench: Bench) -> None:
    of = guard("n1/1")

    def answering(peer: Peer, body: bytes) -> None:
        request = host_pb2.HostRequest.FromString(body)
        if request.HasField("hello"):
            inventory = host_pb2.HostInventory(host_id="shared", pid=8, incarnation="n1/1")
            peer.say(host_pb2.HostMessage(answers=request.id, inventory=inventory))
        elif request.HasField("call"):
            result = host_pb2.CallResult(outcome=host_pb2.OUTCOME_DONE, control_body=b"{}")
            peer.say(host_pb2.HostMessage(answers=request.id, result=result))

    await bench.begin(of)
    asked = asyncio.create_task(bench.processes.examine(Question("physical_disk", "claims", "data"), b"{}"))
    await asyncio.sleep(0)
    assert not asked.done()
    await Peer(answering).listen(bench.path("a.sock"))
    of.say(bench.started("a.sock", 8))
    assert await asked == b"{}"


async def test_where_no_host_comes_the_question_is_told_so(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clusterd.runtime.processes.HOST_WAIT_S", 0.01)
    await bench.begin(guard("n1/1"))
    with pytest.raises(Busy, match="resource host was not there within"):
        await bench.processes.examine(Question("physical_disk", "claims", "data"), b"{}")
