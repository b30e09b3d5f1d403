"""What does this node say of itself when the cluster is validated? I/O.

Three things at once: the machine, asked in a process of its own, as its disk may hang; the other nodes, timed over the
peers' links; and the fence agents, asked for the runs of the others. Each is bounded, and a part that fails says so in its
own words without taking the rest along.
"""

import asyncio
import contextlib
import subprocess
import time
from collections.abc import Callable, Sequence

from clusterd.adapters.fence import agent_for
from clusterd.model.errors import ClusterError
from clusterd.model.ids import NodeId
from clusterd.model.records import FenceRecord
from clusterd.model.states import MembershipState
from clusterd.node.status import NodeStatus
from clusterd.runtime.clients import Clients
from clusterd.validation.facts import FenceFacts, MachineFacts, NodeAnswer, PeerFacts, decode_machine, encode

PROBE_WITHIN_S = 8.0
KILLED_WITHIN_S = 0.5
CLOCK_WITHIN_MS = 2500
CLOCK_QUESTIONS = 3


class Prober:
    """Answers `clock` and `facts` for one daemon."""

    def __init__(
        self, clients: Clients, status: Callable[[], NodeStatus], probe: Sequence[str], wall_ms: Callable[[], int]
    ) -> None:
        self._clients = clients
        self._status = status
        self._probe = probe
        self._wall_ms = wall_ms
        self._probing = asyncio.Lock()
        clients.offer("clock", self._clock)
        clients.offer("facts", self._facts)

    async def _clock(self, _: bytes) -> bytes:
        return str(self._wall_ms()).encode()

    async def _facts(self, _: bytes) -> bytes:
        view, me = self._clients.view(), self._clients.node
        others = [each.name for each in view.nodes() if each.name != me]
        machine, peers, fences = await asyncio.gather(
            self._machine(),
            asyncio.gather(*(self._peer(each) for each in others)),
            asyncio.gather(
                *(self._fence(each, node) for each in view.fences() for node in others if _serves(each, node))
            ),
        )
        facts, trouble = machine
        known = tuple(each for each in fences if each is not None)
        return encode(NodeAnswer(facts, trouble, self._status().containment, tuple(peers), known))

    async def _machine(self) -> tuple[MachineFacts, str]:
        """The facts, or why there are none. One process at a time, whoever asks."""
        async with self._probing:
            return await asyncio.to_thread(run_probe, self._probe)

    async def _peer(self, node: NodeId) -> PeerFacts:
        """The quickest of a few round trips says most about the link, and about the other's clock."""
        best: PeerFacts | None = None
        for _ in range(CLOCK_QUESTIONS):
            began_ns, began_wall_ms = time.monotonic_ns(), self._wall_ms()
            try:
                said = int(await self._clients.ask_node(node, "clock", b"", CLOCK_WITHIN_MS))
            except (ClusterError, ValueError) as error:
                return best or PeerFacts(node, trouble=str(error))
            took_us = (time.monotonic_ns() - began_ns) // 1000
            if best is None or best.round_trip_us is None or took_us < best.round_trip_us:
                best = PeerFacts(node, took_us, round(said - began_wall_ms - took_us / 2000))
        return best or PeerFacts(node)

    async def _fence(self, record: FenceRecord, node: NodeId) -> FenceFacts | None:
        """A node that is not up has no run to ask for."""
        member = self._clients.view().membership(node)
        if member is None or member.state is not MembershipState.UP:
            return None
        try:
            answer = await agent_for(record).status(node, member.run_id)
        except ClusterError as error:
            return FenceFacts(node, record.name, "unknown", error.message)
        return FenceFacts(node, record.name, answer.verdict.value, answer.text)


def _serves(record: FenceRecord, node: NodeId) -> bool:
    return not record.nodes or node in record.nodes


def run_probe(command: Sequence[str], within_s: float = PROBE_WITHIN_S) -> tuple[MachineFacts, str]:
    """The facts, or why there are none. In a thread. The child is started without any code of ours between fork and exec,
    so gRPC's threads do not matter."""
    try:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except OSError as error:
        return MachineFacts(), f"its probe could not be started: {error}"
    try:
        said, complained = child.communicate(timeout=within_s)
        if child.returncode == 0:
            return decode_machine(said), ""
    except subprocess.TimeoutExpired:
        child.kill()
        # What hangs in the kernel does not even die: it is not waited for any longer.
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.communicate(timeout=KILLED_WITHIN_S)
        return MachineFacts(), f"its probe did not end within {within_s:g} s: a disk or device may hang"
    except ValueError as error:
        return MachineFacts(), f"its probe said what is no answer: {error}"
    lines = complained.decode("utf-8", "replace").strip().splitlines()
    return MachineFacts(), f"its probe ended with {child.returncode}: {lines[-1] if lines else 'no word'}"
