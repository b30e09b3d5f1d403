"""How does a node's brain get its events, and who carries out what it wants? I/O.

One event loop owns the node. Everything that happens is posted to an inbox; `_pump` drains it, lets the node think once and
performs the effects. Nothing here waits: disk, peers, guard, hosts and fence agents answer by posting events.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from clusterd.adapters.boot_clock import now_ms
from clusterd.adapters.disk_errors import Refusal, hint_of, reason_of, refusal_of
from clusterd.adapters.link_cuts import LinkCuts
from clusterd.adapters.peer_links import PeerLinks
from clusterd.adapters.peers import PeerEvents
from clusterd.adapters.storage import Storage
from clusterd.membership.runs import Caller, Rival, Welcome
from clusterd.model.disk import DiskState
from clusterd.model.errors import StorageFailed
from clusterd.model.events import GUARD_LOST, QUORUM_GAINED, QUORUM_LOST, STORAGE_FAILED, Note, note
from clusterd.model.ids import NodeId
from clusterd.node import Node
from clusterd.node import effects as do
from clusterd.node import events as happened
from clusterd.node.questions import Questions
from clusterd.node.status import NodeStatus
from clusterd.owner import HostCall, KillHost, StartHost
from clusterd.runtime.clients import Clients
from clusterd.runtime.fencing import FenceDesk
from clusterd.runtime.machine import MEASURE_EVERY_S, Machine
from clusterd.runtime.probing import Prober
from clusterd.runtime.processes import NodeProcesses
from clusterd.wire.peer_pb2 import Envelope, Heartbeat

T = TypeVar("T")
EVENTS_A_STEP_MAX = 512
GUARD_FIRST_S = 0.5
"""Peers should hear at once which run of the guard this is: a daemon that restarted goes on with the one before."""
GUARD_STOP_WAIT_S = 10.0
FAREWELL_S = 0.3
FAILED_HINT = "see the log of the kernel (dmesg), then start the node again; it catches up from its peers"


class Daemon:
    """One node daemon, from its storage to its links. `run` ends when the node has left, or raises what stopped it."""

    def __init__(
        self,
        node: Node,
        storage: Storage,
        processes: NodeProcesses,
        make_links: Callable[[PeerEvents], PeerLinks],
        *,
        version: str,
        wall_ms: Callable[[], int],
        log: Callable[[Note], None],
        read_cuts: Callable[[], LinkCuts],
        probe: Sequence[str],
    ) -> None:
        self.node = node
        self._storage = storage
        self._processes = processes
        events = PeerEvents(
            self._opened,
            self._broken,
            self._received,
            self._received_datagram,
            log,
            self._called,
            lambda peer, rival: self.post(happened.RunRefused(peer, rival)),
            lambda: (node.presence.incarnation, tuple(node.presence.ended), node.memories.boots),
            lambda: node.settings.stream_silence_max_ms,
        )
        self._links = make_links(events)
        self._version = version
        self._wall_ms = wall_ms
        self._log = log
        self._read_cuts = read_cuts
        self._asked = Questions(node)
        self._fences = FenceDesk(self._asked.view, self.post)
        self.clients = Clients(
            self._asked, self.post, self._links.send, processes.control, processes.examine, self.ask_to_stop
        )
        self._prober = Prober(self.clients, self.status, probe, wall_ms)
        self._inbox: deque[happened.Event] = deque()
        self._is_pump_scheduled = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_ms = 0
        self._ended: asyncio.Future[str] | None = None
        self._farewell: asyncio.Task[None] | None = None
        self._quorum: tuple[bool, int] = (False, wall_ms())
        self._status: tuple[int, NodeStatus] | None = None

    # ---- life ----

    async def run(self, serve_api: Callable[[], Awaitable[Callable[[], Awaitable[None]]]]) -> str:
        """Start everything, and return why it ended. Raises what broke it."""
        loop = asyncio.get_running_loop()
        self._ended = loop.create_future()
        self._storage.start(
            lambda sequence: _post_soon(loop, self.post, happened.LogWritten(sequence)),
            lambda error: _post_soon(loop, self._storage_failed, error),
            lambda error: _post_soon(loop, self.post, disk_event(error)),
        )
        self.reload_cuts()
        self._tell_time()  # before anything is decided: a lone voter leads at once
        self._processes.start(self.post, self._fail)
        await self._processes.wait_for_guard(GUARD_FIRST_S)
        await self._links.start()
        stop_api = await serve_api()
        measuring = asyncio.create_task(self._keep_measuring(), name="measurements")
        try:
            return await self._ended
        finally:
            measuring.cancel()
            if self._timer is not None:
                self._timer.cancel()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(2.0):
                    await stop_api()
            await self._processes.stop()
            await self._links.stop()
            self._storage.mark(self.node.memories.marker(self._wall_ms()))
            self._storage.close()

    def ask_to_stop(self, because: str) -> None:
        """Leave in order: take everything offline, hand it over, end the guard."""
        self.post(happened.StopAsked(because))

    def reload_cuts(self) -> None:
        """Read again which links a lab has cut."""
        self._links.cuts = self._read_cuts()

    def status(self) -> NodeStatus:
        """One for all who ask in the same millisecond, until something happens."""
        at_ms = now_ms()
        if self._status is None or self._status[0] != at_ms:
            status = self._asked.status(at_ms, version=self._version, quorum_since_wall_ms=self._quorum[1])
            self._status = (at_ms, status)
        return self._status[1]

    async def _keep_measuring(self) -> None:
        """The wall clock, and how big and busy the machine is: one wake-up for both."""
        machine = Machine()
        while True:
            self._tell_time()
            self.post(machine.measure())
            await asyncio.sleep(MEASURE_EVERY_S)

    def _tell_time(self) -> None:
        local_offset_ms = (time.localtime().tm_gmtoff or 0) * 1000
        self.post(happened.WallClock(self._wall_ms() - now_ms(), local_offset_ms))

    def _fail(self, error: BaseException) -> None:
        if self._ended is not None and not self._ended.done():
            self._ended.set_exception(error)

    def _storage_failed(self, error: BaseException) -> None:
        """Tell the others why, and end: nobody knows what of the last write is on the disk."""
        if not isinstance(error, OSError):
            self._fail(error)
            return
        failed = happened.DiskRefused(DiskState.FAILED, reason_of(error), hint_of(error, otherwise=FAILED_HINT))
        self._log(note(STORAGE_FAILED, what=failed.text, hint=failed.hint))
        self.post(failed)
        ended = StorageFailed(f"the disk under the node's data failed: {failed.text}", hint=failed.hint)
        asyncio.get_running_loop().call_later(FAREWELL_S, self._fail, ended)

    # ---- events in ----

    def post(self, event: happened.Event) -> None:
        """Something happened. Call on the event loop. What may wait is looked at with the next event, or when time is."""
        self._inbox.append(event)
        if not self.node.may_wait(event, now_ms()):
            self._schedule_pump()

    def _schedule_pump(self) -> None:
        if not self._is_pump_scheduled:
            self._is_pump_scheduled = True
            asyncio.get_running_loop().call_soon(self._pump)

    def _pump(self) -> None:
        self._is_pump_scheduled, self._status = False, None
        if self._ended is None or self._ended.done():
            return
        if self.node.beating.is_due(now_ms()):
            self._links.take_datagrams()  # who was heard is not to be missed because this loop did not look
        events = [self._inbox.popleft() for _ in range(min(len(self._inbox), EVENTS_A_STEP_MAX))]
        if self._inbox:
            self._schedule_pump()
        try:
            effects = self.node.step_all(events or [happened.Tick()], now_ms())
            for effect in effects:
                self._perform(effect)
        except Exception as error:  # a bug: the node's brain cannot be trusted any more, so the process ends
            self._fail(error)
            return
        self._note_quorum()
        self._arm_timer()

    def _arm_timer(self) -> None:
        """One that goes off too early is set again then: most deadlines are put off before they come."""
        at_ms = self.node.next_deadline_ms()
        if self._timer is not None:
            if self._timer_ms <= at_ms:
                return
            self._timer.cancel()
        wait_s = max(0, at_ms - now_ms()) / 1000
        self._timer, self._timer_ms = asyncio.get_running_loop().call_later(wait_s, self._pump_for_time), at_ms

    def _pump_for_time(self) -> None:
        self._timer = None
        if now_ms() < self.node.next_deadline_ms():
            self._arm_timer()
            return
        self._inbox.append(happened.Tick())
        if not self._is_pump_scheduled:
            self._pump()

    def _opened(self, peer: NodeId) -> None:
        self.post(happened.LinkOpened(peer))

    def _broken(self, peer: NodeId) -> None:
        self.post(happened.LinkBroken(peer))

    def _called(self, peer: NodeId, caller: Caller) -> Rival | None:
        doubles = self.node.doubles
        is_let_in = doubles.welcome(peer, caller, now_ms()) is Welcome.YES
        self.post(happened.RunCalled(peer, caller))
        return None if is_let_in else doubles.rival_of(peer, caller)

    def _received(self, link: NodeId, envelope: Envelope) -> None:
        if self.clients.take_query(link, envelope):
            return
        self.post(happened.Received(link, envelope, now_ms()))

    def _received_datagram(self, peer: NodeId, heartbeat: Heartbeat, at_ms: int) -> None:
        self.post(happened.DatagramReceived(peer, heartbeat, at_ms))

    # ---- effects out ----

    def _perform(self, effect: do.Effect) -> None:
        match effect:
            case do.Send():
                self._links.send(effect.link, effect.envelope)
            case do.SendDatagram():
                self._links.send_datagram(effect.peer, effect.body)
            case do.KnowMembers():
                self._links.know_members(effect.nodes)
            case do.Attend():
                self._links.attend(is_attentive=effect.is_attentive)
            case do.Write():
                self._storage.write(effect.persist)
            case do.Mark():
                self._storage.mark(effect.marker)
            case do.RenewLease():
                self._processes.renew(effect.incarnation, effect.deadline_ms)
            case do.EndIncarnation():
                self._processes.end_incarnation(effect.incarnation, effect.because)
            case HostCall():
                self._processes.call(effect)
            case StartHost():
                self._processes.start_host(effect.host)
            case KillHost():
                self._processes.kill_host(effect.host, effect.because)
            case do.AskFence():
                self._fences.ask(effect.wish)
            case do.CommitDone():
                self.clients.commit_done(effect)
            case do.ReadDone():
                self.clients.read_done(effect)
            case do.Applied():
                self.clients.applied(effect.revision)
            case do.Noted():
                self._log(effect.note)
            case do.Left():
                self._leave(effect.because)

    def _leave(self, because: str) -> None:
        if self._farewell is None:
            self._farewell = asyncio.create_task(self._say_farewell(because), name="farewell")

    async def _say_farewell(self, because: str) -> None:
        """End the guard, let its last word reach the peers, and end."""
        try:
            async with asyncio.timeout(GUARD_STOP_WAIT_S):
                await self._processes.stop_guard(because)
        except TimeoutError:
            self._log(note(GUARD_LOST, because=f"it did not end within {GUARD_STOP_WAIT_S} s"))
        await asyncio.sleep(FAREWELL_S)
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(because)

    def _note_quorum(self) -> None:
        has_quorum = self._asked.is_quorate
        if has_quorum != self._quorum[0]:
            self._quorum = (has_quorum, self._wall_ms())
            status = self.status()
            kind = QUORUM_GAINED if has_quorum else QUORUM_LOST
            self._log(note(kind, reachable=status.voters_reachable, needed=status.voters_needed))


def disk_event(error: OSError | None) -> happened.Event:
    """What the node hears of a write that waits (None: that waited, and was made)."""
    if error is None:
        return happened.DiskTook()
    state = DiskState.FULL if refusal_of(error) is Refusal.FULL else DiskState.REFUSES
    return happened.DiskRefused(state, reason_of(error), hint_of(error))


def _post_soon(loop: asyncio.AbstractEventLoop, post: Callable[[T], None], value: T) -> None:
    """From another thread; a loop that is closed by now has nobody to tell."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(post, value)
