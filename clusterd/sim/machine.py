"""How does one simulated machine run its daemon, guard, hosts and disk? Pure. Performs the effects of one `Node`."""

import random
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from clusterd.consensus import Persist
from clusterd.membership.runs import Caller, Welcome
from clusterd.model.disk import DiskState
from clusterd.model.ids import Incarnation, NodeId
from clusterd.model.records import ResourceTypeRecord
from clusterd.node import Node, NodeIdentity
from clusterd.node import effects as do
from clusterd.node import events as happened
from clusterd.owner import CallInHost, HostCall, HostEnd, HostEndKind, KillHost, StartHost
from clusterd.sim.disk import Disk
from clusterd.sim.guard import SimGuard
from clusterd.sim.host import DISK, SimHost

if TYPE_CHECKING:
    from clusterd.sim.cluster import SimCluster

DISK_MS = (0.1, 2.0)
LOCAL_MS = 0.2
ROOM_AGAIN_MS = 100
FAREWELL_MS = 300
GOODBYE_MS = 20


class Machine:
    """A node of a simulated cluster: what survives a restart of its daemon, and what runs now."""

    def __init__(
        self, cluster: "SimCluster", name: NodeId, disk: Disk, rng: random.Random, place: NodeId | None = None
    ) -> None:
        """`place`: what a second machine is called that is the same node."""
        self.cluster = cluster
        self.name = name
        self.place = place or name
        self.disk = disk
        self.rng = rng
        self.node: Node | None = None
        self.guard: SimGuard | None = None
        self.past: list[Incarnation] = []
        self.clock_offset_ms = rng.randrange(1_000, 100_000)
        self.clock_rate = 1.0 + rng.uniform(-0.004, 0.004)
        self._wall_jump_ms = 0
        self.run_number = 0
        self.daemon_number = 0
        self.types: dict[str, tuple[ResourceTypeRecord, ...]] = {}
        """What hosts of these names can run from their next start on."""
        self.is_daemon_frozen = False
        self._kept: list[happened.Event] = []
        self._waiting: list[happened.Event] = []
        """Heartbeats that are looked at with the next own one."""
        self._tick_at_ms: int | None = None
        self._writes: deque[tuple[Node | None, Disk, Persist, int]] = deque()
        """What the disk has still to do, with how long each takes."""
        self._refusing_node: Node | None = None
        """Who was told that the disk takes nothing."""
        self._writing_node: Node | None = None

    # ---- clocks ----

    def clock_ms(self) -> int:
        return self.clock_offset_ms + int(self.cluster.timeline.now_us / 1000 * self.clock_rate)

    def real_ms(self, duration_ms: int) -> float:
        return duration_ms / self.clock_rate

    @property
    def run_id(self) -> str:
        return f"{self.place}-run{self.run_number}"

    @property
    def is_up(self) -> bool:
        return self.node is not None

    # ---- processes ----

    def start(self) -> None:
        """Start what is missing: after a power loss everything, else only the daemon or the guard."""
        if self.guard is None and self.node is None:
            self.run_number += 1
        if self.guard is None:
            self._start_guard()
            if self.node is not None:
                self._guard_up()
        if self.node is None:
            self._start_daemon()

    def kill_daemon(self) -> None:
        self.node = None
        self.is_daemon_frozen, self._kept, self._waiting = False, [], []
        self._tick_at_ms = None
        self.cluster.network.node_gone(self.place)

    def kill_guard(self) -> None:
        """The hosts and workloads go with it. What ran is named as ended by the next guard of this machine."""
        if self.guard is not None:
            self.past = [*self.guard.past, self.guard.incarnation]
            self.guard.kill()
            self.guard = None
            self.feed(happened.GuardGone("killed"))

    def kill(self) -> None:
        """Power loss."""
        if self.guard is not None:
            self.past = [*self.guard.past, self.guard.incarnation]
            self.guard.kill()
            self.guard = None
        self.kill_daemon()

    def leave(self, because: str) -> None:
        """The guard kills what is left, proves it, and ends; the daemon says so to everybody and ends as well."""
        guard, self.guard = self.guard, None
        if guard is not None:
            self.past = [*guard.past, guard.incarnation]
            guard.kill()
            self.feed(happened.IncarnationEnded(guard.incarnation, because, Incarnation("")))
        node = self.node

        def end() -> None:
            if self.node is node:
                self.disk.marker = node.memories.marker(self.cluster.wall_ms()) if node else self.disk.marker
                self.cluster.ended_runs.add(self.run_id)
                self.kill_daemon()

        self.cluster.timeline.after_ms(GOODBYE_MS, end)

    def freeze_daemon(self) -> None:
        self.is_daemon_frozen = True

    def jump_wall_clock(self, jump_ms: int) -> None:
        """Only the clock that people read; the daemon hears of it as it does every few seconds."""
        self._wall_jump_ms += jump_ms
        self._tell_time()

    def _tell_time(self) -> None:
        self.feed(happened.WallClock(self.cluster.wall_ms() + self._wall_jump_ms - self.clock_ms()))

    def thaw_daemon(self) -> None:
        self.is_daemon_frozen = False
        kept, self._kept = self._kept, []
        if self.node is not None and kept:
            self._step(kept)
        self.feed(happened.Tick())

    def _start_guard(self) -> None:
        timeline = self.cluster.timeline
        self.guard = SimGuard(
            timeline,
            self.clock_ms,
            self.real_ms,
            self.cluster.new_incarnation,
            self._incarnation_ended,
            kill_ms=self.rng.randint(*self.cluster.kill_ms),
            past=list(self.past),
        )
        self.guard.start()

    def _start_daemon(self) -> None:
        self.daemon_number += 1
        identity = NodeIdentity("sim", self.name, f"{self.place}-d{self.daemon_number}", self.run_id)
        self.node = Node(
            identity,
            self.disk.restored(),
            rng=self.rng,
            now_ms=self.clock_ms(),
            members=[each for each in self.cluster.names if each != self.name],
            is_amnesiac=self.disk.is_amnesiac,
            marker=self.disk.started(),
        )
        self._writing_node = self.node
        self._tick_at_ms = None
        self._tell_time()
        self.cluster.network.node_started(self.place)
        self._guard_up()

    def _guard_up(self) -> None:
        guard = self.guard
        if guard is None:
            return
        ended = tuple(guard.past[-4:])
        hosts = tuple(name for name, host in guard.hosts.items() if host.is_alive)
        self.feed(happened.GuardUp(guard.incarnation, ended, guard.deadline_ms, "simulated", hosts))
        for name in hosts:
            self._host_up(guard.hosts[name])

    def _incarnation_ended(self, ended: Incarnation, because: str, successor: Incarnation) -> None:
        self.feed(happened.IncarnationEnded(ended, because, successor))

    # ---- who says hello ----

    def lets_in(self, caller: "Machine") -> bool:
        """Whether `caller` is taken for the node that it says it is; it is told when it is not."""
        node, presence = self.node, caller.node.presence if caller.node is not None else None
        if node is None or presence is None:
            return False
        ended, boots = tuple(presence.ended), caller.node.memories.boots if caller.node is not None else 0
        hello = Caller(presence.identity.daemon_run, presence.incarnation, ended, caller.place, boots)
        is_let_in = node.doubles.welcome(caller.name, hello, self.clock_ms()) is Welcome.YES
        rival = node.doubles.rival_of(caller.name, hello)
        self.feed(happened.RunCalled(caller.name, hello))
        if not is_let_in:
            caller.feed(happened.RunRefused(self.name, rival))
        return is_let_in

    # ---- events in, effects out ----

    def feed(self, event: happened.Event) -> None:
        """Something happened to the daemon. A frozen one finds it when it thaws."""
        if self.node is None:
            return
        if self.is_daemon_frozen:
            if not isinstance(event, happened.Tick):
                self._kept.append(event)
            return
        if isinstance(event, happened.DatagramReceived | happened.Received):
            event = replace(event, at_ms=self.clock_ms())
        if self.node.may_wait(event, self.clock_ms()):
            self._waiting.append(event)
            return
        self._step([event])

    def _step(self, events: list[happened.Event]) -> None:
        node = self.node
        if node is None:
            return
        waiting, self._waiting = self._waiting, []
        for effect in node.step_all([*waiting, *events], self.clock_ms()):
            self._perform(effect)
        if self.node is node:
            self._schedule_tick(node)

    def _schedule_tick(self, node: Node) -> None:
        at_ms = node.next_deadline_ms()
        if self._tick_at_ms is not None and self._tick_at_ms <= at_ms and self._tick_at_ms > self.clock_ms():
            return
        self._tick_at_ms = at_ms
        wait_ms = max(0.0, self.real_ms(at_ms - self.clock_ms()))

        def tick() -> None:
            if self.node is node and self._tick_at_ms == at_ms:
                self._tick_at_ms = None
                self.feed(happened.Tick())

        self.cluster.timeline.after_ms(wait_ms + 0.5, tick)

    def _perform(self, effect: do.Effect) -> None:
        match effect:
            case do.Send():
                self.cluster.disk_judge.sent(self.name, effect.envelope, self.disk)
                self.cluster.network.send(self.place, effect.link, effect.envelope)
            case do.SendDatagram():
                self.cluster.network.send_datagram(self.place, effect.peer, effect.body)
            case do.KnowMembers():
                self.cluster.network.members[self.place] = effect.nodes
            case do.Attend():
                pass  # what comes waits as `may_wait` says: nobody is woken by it here
            case do.Write():
                self._write(effect.persist)
            case do.Mark():
                self.disk.marker = effect.marker  # all that it says is durable
            case do.RenewLease():
                self._local(lambda: self._renew(effect))
            case do.EndIncarnation():
                self._local(lambda: self._end_incarnation(effect))
            case StartHost():
                self._local(lambda: self._start_host(effect.host))
            case KillHost():
                self._local(lambda: self._kill_host(effect))
            case HostCall():
                sender = self.node
                self.cluster.timeline.after_ms(LOCAL_MS, lambda: self._call(effect, sender))
            case do.AskFence():
                self.cluster.ask_fence(self, effect.wish)
            case do.Noted():
                self.cluster.noted(self.place, effect.note)
            case do.CommitDone():
                self.cluster.commit_done(self.name, effect)
            case do.ReadDone():
                self.cluster.read_done(self.name, effect)
            case do.Left():
                self.cluster.left(self, effect.because)
            case do.Applied():
                if self.node is not None:
                    self.cluster.applied(self.node.replica.view)

    def _local(self, act: Callable[[], None]) -> None:
        self.cluster.timeline.after_ms(LOCAL_MS, lambda: self._to_guard(act))

    def _to_guard(self, act: Callable[[], None]) -> None:
        """What is said to a frozen guard waits in its socket until it thaws, or is lost with it."""
        if self.guard is not None and self.guard.is_frozen:
            self.guard.waiting.append(act)
        else:
            act()

    def _write(self, persist: Persist) -> None:
        """Writes are made in order; one that is under way when the daemon is killed may or may not be durable."""
        took_us = int(self.rng.uniform(*DISK_MS) * 1000) + self.cluster.disks.slow_us(self.place)
        self._writes.append((self.node, self.disk, persist, took_us))
        if len(self._writes) == 1:
            self._next_write()

    def _next_write(self) -> None:
        took_us = self._writes[0][-1]
        self.cluster.timeline.at(self.cluster.timeline.now_us + took_us, self._written)

    def _written(self) -> None:
        node, disk, persist, _ = self._writes[0]
        is_living, is_full = self.node is node, self.cluster.disks.is_full(self.place)
        if is_living and self.cluster.disks.is_broken(self.place):
            self._disk_failed(node)
            return
        if is_living and is_full:
            if self._refusing_node is not node:
                self._refusing_node = node
                self.feed(happened.DiskRefused(DiskState.FULL, "simulated", "free-disk"))
            self.cluster.timeline.after_ms(ROOM_AGAIN_MS, self._written)
            return
        if is_living and self._refusing_node is node:
            self._refusing_node = None
            self.feed(happened.DiskTook())
        if is_living:
            disk.write(persist)
            self.feed(happened.LogWritten(persist.sequence))
        elif self.node is None and node is self._writing_node:
            # After the first write that a crash lost, none of that run's is durable either.
            if self.rng.random() < 0.5 and not is_full:
                disk.write(persist)
            else:
                self._writing_node = None
        self._writes.popleft()
        if self._writes:
            self._next_write()

    def _disk_failed(self, node: Node | None) -> None:
        """The daemon says why, and ends; what waits was promised to nobody."""
        self._writes.clear()
        self.feed(happened.DiskRefused(DiskState.FAILED, "simulated", "replace it"))

        def end() -> None:
            if self.node is node:
                self.kill_daemon()

        self.cluster.timeline.after_ms(FAREWELL_MS, end)

    def _renew(self, effect: do.RenewLease) -> None:
        guard = self.guard
        if guard is None or guard.is_frozen:
            return
        deadline_ms, is_refused = guard.renew(effect.incarnation, effect.deadline_ms)
        self.feed(happened.GuardRenewed(effect.incarnation, deadline_ms, is_refused))

    def _end_incarnation(self, effect: do.EndIncarnation) -> None:
        if self.guard is not None and self.guard.incarnation == effect.incarnation:
            self.guard.end(effect.because)

    def _start_host(self, name: str) -> None:
        guard = self.guard
        if guard is None or guard.is_frozen or name in guard.hosts:
            return
        incarnation = guard.incarnation
        host = SimHost(
            name,
            self.place,
            incarnation,
            self.cluster.timeline,
            self.cluster.ledger,
            self.cluster.storage,
            self.cluster.dials,
            self.rng,
            reply=lambda call_id, answer: self.feed(happened.CallAnswered(call_id, answer)),
            happen=lambda resource, generation, what, message: self.feed(
                happened.ResourceHappened(resource, generation, what, message)
            ),
            is_past_deadline=guard.is_past_deadline,
            pid=self.cluster.new_pid(),
            crash=lambda call: self._plug_in_crash(host, call),
        )
        guard.hosts[name] = host
        self._host_up(host)

    def _host_up(self, host: SimHost) -> None:
        types = self.types.get(host.name, self.usual_types())
        self.feed(happened.HostUp(host.name, host.incarnation, host.pid, host.inventory(), types))

    def usual_types(self) -> tuple[ResourceTypeRecord, ...]:
        """What every host can run unless `types` says otherwise."""
        plain = tuple(ResourceTypeRecord(name, self.name, "1") for name in ("generic_service", "generic_script"))
        able = ResourceTypeRecord("virtual_machine", self.name, "1", abilities=("live-migration",))
        disk = ResourceTypeRecord(DISK, self.name, "1", abilities=("storage-fence",))
        return (*plain, able, disk)

    def _kill_host(self, effect: KillHost) -> None:
        guard = self.guard
        if guard is None or guard.is_frozen:
            return
        host = guard.hosts.pop(effect.host, None)
        if host is not None:
            host.kill()
            self.feed(HostEnd(effect.host, f"killed: {effect.because}", True, HostEndKind.ON_REQUEST, ()))

    def _call(self, call: HostCall, sender: Node | None) -> None:
        """What a daemon sent before it died counts until its successor has asked what runs."""
        if self.node not in (None, sender):
            return
        host = self.guard.hosts.get(call.host) if self.guard is not None else None
        if host is not None:
            host.call(call, self.cluster.timeline.now_us)

    def _plug_in_crash(self, host: SimHost, call: CallInHost) -> None:
        """A guard that is frozen notices when it thaws; one that is gone has taken the host along."""
        guard = self.guard

        def crash() -> None:
            if self.guard is guard and guard is not None and guard.hosts.get(host.name) is host:
                self.crash_host(host.name, call)

        self._to_guard(crash)

    def crash_host(self, name: str, call: CallInHost | None = None) -> None:
        """SIGKILL of a host, from outside or by the plug-in code of `call`: the guard proves that its workloads are gone and
        says so, and what the host was in the midst of."""
        host = self.guard.hosts.pop(name, None) if self.guard is not None else None
        if host is not None:
            calls = tuple(dict.fromkeys((*host.in_midst(), *(() if call is None else (call,)))))
            host.kill()
            self.feed(HostEnd(name, "signal 9", True, HostEndKind.BY_ITSELF, calls))
