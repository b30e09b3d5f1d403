"""How do a resource host and its workloads behave, well or badly? Pure. A real implementation of the calls, with dials."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from clusterd.model.ids import Incarnation, NodeId, ResourceId
from clusterd.model.states import ResourceState
from clusterd.owner import CallAnswer, CallInHost, CallOutcome, Happening, HostCall, Hosted, Verb
from clusterd.owner.commands import CallReason
from clusterd.sim import migrating
from clusterd.sim.migrating import Move
from clusterd.sim.storage import Storage
from clusterd.sim.timeline import Timeline
from clusterd.sim.workloads import Ledger, Memory, Run


@dataclass(slots=True)
class Dials:
    """How a resource behaves. Everything at its default is a good one."""

    online_ms: int = 20
    offline_ms: int = 10
    fails_online: bool = False
    never_answers: bool = False
    ignores_stop: bool = False
    not_here_on: frozenset[str] = frozenset()
    is_out_of_reach: bool = False
    """What it needs does not answer, wherever it is tried."""
    dies_at_stop: bool = False
    """It does not stop in good order, but can be killed."""
    starts_late_ms: int = 0
    """A plug-in that starts its workload that long after it said it was done."""
    prepare_ms: int = 5
    migrate_ms: int = 50
    resume_ms: int = 1
    fails_prepare: bool = False
    fails_migrate: bool = False
    fails_late: bool = False
    """The source takes a move for failed, and goes on, although everything has arrived."""
    never_prepares: bool = False
    never_migrates: bool = False
    fence_ms: int = 15
    fails_fence_on: frozenset[str] = frozenset()
    never_fences: bool = False
    crashes_fence_on: frozenset[str] = frozenset()
    """Its plug-in ends the host that asks its storage to refuse somebody, on these nodes."""
    says: str = "it refuses to start"
    """What it says of an online that failed."""
    crashes_online: bool = False
    """Its plug-in ends the host that calls it to bring it online."""
    check_crash_ms: int = 0
    """…or in a check, that long after it came online."""
    forgets_claim: bool = False
    """Its storage does not keep the claim of a fence: only to see that somebody notices."""


DISK = "physical_disk"
UNIT = "unit"
"""The private property by which a disk names another unit than the one of its own name."""
LOSS_SEEN_MS = 300
"""How long it takes an owner to notice that its disk was claimed by another."""


@dataclass(slots=True)
class HostedWorkload:
    """What a host knows of one resource."""

    call: HostCall
    state: ResourceState
    asked_us: int
    run: Run | None = None
    starts: int = 0
    complaint: str = ""
    concern: str = ""
    doubt: str = ""
    is_well: bool = True
    """What a check says while it runs."""
    memory: Memory | None = None
    """It is prepared: where what runs elsewhere may go."""
    move: Move | None = None
    is_moved: bool = False
    goes_on_with: Memory | None = None


@dataclass(slots=True)
class SimHost:
    """One resource host of one incarnation. `say` delivers to whatever daemon listens now."""

    name: str
    node: NodeId
    incarnation: Incarnation
    timeline: Timeline
    ledger: Ledger
    storage: Storage
    dials: dict[str, Dials]
    rng: random.Random
    reply: Callable[[int, CallAnswer], None]
    happen: Callable[[ResourceId, int, Happening, str], None]
    is_past_deadline: Callable[[], bool]
    crash: Callable[[CallInHost], None]
    """Plug-in code ends this host, in the midst of that call."""
    is_frozen: bool = False
    is_alive: bool = True
    pid: int = 0
    times: dict[str, int] = field(default_factory=dict)
    """The check intervals that it was told to change."""
    hosted: dict[str, HostedWorkload] = field(default_factory=dict)
    _waiting: list[Callable[[], None]] = field(default_factory=list)
    _calls: dict[int, CallInHost] = field(default_factory=dict)

    def call(self, call: HostCall, asked_us: int) -> None:
        """A call arrives. A frozen host keeps it until it thaws; a dead one never answers."""
        if not self.is_alive:
            return
        if self.is_frozen:
            self._waiting.append(lambda: self.call(call, asked_us))
            return
        known = self.hosted.get(call.resource)
        is_stale = call.incarnation != self.incarnation or self.is_past_deadline()
        if is_stale or (known is not None and call.generation < known.call.generation):
            self.answer(call.call_id, CallAnswer(CallOutcome.STALE, "an older generation, or past the lease"))
            return
        if call.verb is not Verb.TIMES:
            self._calls[call.call_id] = CallInHost(call.resource, call.verb)
        match call.verb:
            case Verb.ONLINE:
                self._online(call, asked_us)
            case Verb.TIMES:
                self.times[call.resource] = call.settings.is_alive_poll_interval_ms
            case Verb.PREPARE:
                hosted = self.hosted.setdefault(call.resource, HostedWorkload(call, ResourceState.OFFLINE, asked_us))
                hosted.call, hosted.state = call, ResourceState.ONLINE_PENDING
                migrating.prepare(self, call, hosted)
            case Verb.MIGRATE:
                migrating.migrate(self, call)
            case Verb.CANCEL_MIGRATION:
                migrating.cancel(self, call)
            case Verb.RESUME:
                migrating.resume(self, call)
            case Verb.FENCE:
                self._fence(call)
            case _:
                self._stop(call)

    def answer(self, call_id: int, answer: CallAnswer) -> None:
        self._calls.pop(call_id, None)
        self.reply(call_id, answer)

    def in_midst(self) -> tuple[CallInHost, ...]:
        """What it would have written down, were it to end now."""
        return tuple(self._calls.values())

    def inventory(self) -> tuple[Hosted, ...]:
        return tuple(
            Hosted(
                ResourceId(name),
                each.call.group,
                each.call.type,
                each.call.generation,
                ResourceState.ONLINE if each.is_moved else each.state,
                1 if each.run else 0,
                each.complaint,
                each.concern,
                each.memory is not None,
                each.is_moved,
                each.doubt,
            )
            for name, each in sorted(self.hosted.items())
        )

    def later(self, delay_ms: float, do: Callable[[], None]) -> None:
        """Do it then, or when the host thaws."""

        def now() -> None:
            if self.is_frozen:
                self._waiting.append(now)
            else:
                do()

        self.timeline.after_ms(delay_ms, now)

    def dials_of(self, call: HostCall) -> Dials:
        return self.dials.get(call.resource, Dials())

    def thaw(self) -> None:
        self.is_frozen = False
        waiting, self._waiting = self._waiting, []
        for do in waiting:
            do()

    def fail_workload(self, resource: str) -> bool:
        """The workload dies by itself; a good host sees it at once. False: it does not run here."""
        hosted = self.hosted.get(resource)
        if hosted is not None and hosted.run is not None and hosted.run.ended_us is None:
            hosted.run.ended_us = self.timeline.now_us
            hosted.state = ResourceState.FAILED
            self.happen(ResourceId(resource), hosted.call.generation, Happening.CHECK_FAILED, "its process ended")
            return True
        return False

    def check(self, resource: str, *, is_well: bool) -> bool:
        """The next check of a running workload says no, or yes again after one that failed. False: it does not run here."""
        hosted = self.hosted.get(resource)
        if hosted is None or hosted.run is None or hosted.run.ended_us is not None or hosted.is_well is is_well:
            return False
        hosted.is_well = is_well
        hosted.state = ResourceState.ONLINE if is_well else ResourceState.FAILED
        what = Happening.CHECK_PASSED if is_well else Happening.CHECK_FAILED
        self.happen(ResourceId(resource), hosted.call.generation, what, "" if is_well else "it answers nothing")
        return True

    def doubt(self, resource: str, message: str) -> bool:
        """Its checks cannot tell, or (no message) they can again. False: it does not run here."""
        hosted = self.hosted.get(resource)
        if hosted is None or hosted.run is None:
            return False
        hosted.doubt = message
        self.happen(ResourceId(resource), hosted.call.generation, Happening.DOUBT, message)
        return True

    def warn(self, resource: str, message: str) -> bool:
        """Its resource type warns of something. False: it does not run here."""
        hosted = self.hosted.get(resource)
        if hosted is None:
            return False
        self.happen(ResourceId(resource), hosted.call.generation, Happening.WARNED, message)
        return True

    def crash_in_check(self, resource: str) -> bool:
        """Its plug-in ends this host in a check. False: it does not run here."""
        hosted = self.hosted.get(resource)
        if hosted is None or hosted.state is not ResourceState.ONLINE:
            return False
        self.crash(CallInHost(hosted.call.resource, "is_alive"))
        return True

    def complain(self, resource: str, message: str, *, is_concern: bool = False) -> bool:
        """The workload inside complains, or a person should know something of it; or (no message) that is over. False: it
        does not run here."""
        hosted = self.hosted.get(resource)
        if hosted is None or hosted.run is None or hosted.run.ended_us is not None:
            return False
        if is_concern:
            hosted.concern, what = message, Happening.CONCERN
        else:
            hosted.complaint, what = message, Happening.EMBEDDED_FAILED if message else Happening.EMBEDDED_WELL
        self.happen(ResourceId(resource), hosted.call.generation, what, message)
        return True

    def kill(self) -> None:
        """SIGKILL of the host and of everything in its containments. What would have started later is contained too."""
        self.is_alive = False
        for hosted in self.hosted.values():
            self._end(hosted)
        self.hosted = {}

    def _online(self, call: HostCall, asked_us: int) -> None:
        dials = self.dials.get(call.resource, Dials())
        known = self.hosted.get(call.resource)
        if known is not None and known.state is ResourceState.ONLINE and known.run is not None:
            self.answer(call.call_id, CallAnswer(CallOutcome.DONE, "it was online already", 1))
            return
        if dials.never_answers:
            return
        memory = migrating.arrived_memory(known)
        if known is not None:
            migrating.stopped(self, known)
        hosted = self.hosted[call.resource] = HostedWorkload(call, ResourceState.ONLINE_PENDING, asked_us)
        hosted.starts += 1
        hosted.goes_on_with = memory
        took_ms = dials.resume_ms if memory is not None else dials.online_ms
        self.timeline.after_ms(took_ms, lambda: self._online_done(hosted, dials))

    def _online_done(self, hosted: HostedWorkload, dials: Dials) -> None:
        if not self.is_alive:
            return
        if self.hosted.get(hosted.call.resource) is not hosted:
            self.answer(hosted.call.call_id, CallAnswer(CallOutcome.FAILED, "it was stopped while it came online"))
            return
        if self.is_frozen:
            self._waiting.append(lambda: self._online_done(hosted, dials))
            return
        call = hosted.call
        if dials.crashes_online:
            self.crash(CallInHost(call.resource, call.verb))
            return
        if self.node in dials.not_here_on:
            del self.hosted[call.resource]
            self.answer(call.call_id, CallAnswer(CallOutcome.NOT_ON_THIS_NODE, "it cannot run on this node"))
            return
        if dials.is_out_of_reach:
            del self.hosted[call.resource]
            words = "its storage does not answer"
            self.answer(call.call_id, CallAnswer(CallOutcome.NOT_ON_THIS_NODE, words, may_pass=True))
            return
        if dials.fails_online:
            hosted.state = ResourceState.FAILED
            self.answer(call.call_id, CallAnswer(CallOutcome.FAILED, dials.says))
            return
        if call.type == DISK and not self._claim(hosted):
            hosted.state = ResourceState.FAILED
            self.answer(call.call_id, CallAnswer(CallOutcome.FAILED, "somebody newer holds the disk"))
            return
        hosted.state = ResourceState.ONLINE
        if dials.starts_late_ms:
            self.timeline.after_ms(dials.starts_late_ms, lambda: self._start(hosted))
        else:
            self._start(hosted)
        self.answer(call.call_id, CallAnswer(CallOutcome.DONE, "", 1))
        if dials.check_crash_ms:
            self.later(dials.check_crash_ms, lambda: self._crash_in_check(hosted))

    def _crash_in_check(self, hosted: HostedWorkload) -> None:
        if self.is_alive and self.hosted.get(hosted.call.resource) is hosted:
            self.crash_in_check(hosted.call.resource)

    def _claim(self, hosted: HostedWorkload) -> bool:
        """Take the disk. It is lost, and a host that is not frozen sees it soon, when somebody newer does."""
        call = hosted.call

        def lost() -> None:
            if self.is_alive and self.hosted.get(call.resource) is hosted:
                self.fail_workload(call.resource)

        unit = _unit_of(call)
        if not self.storage.claim(unit, call.generation, self.timeline.now_us):
            return False
        self.storage.use(
            call.resource, unit, call.generation, self.timeline.now_us, lambda: self.later(LOSS_SEEN_MS, lost)
        )
        return True

    def _fence(self, call: HostCall) -> None:
        """Claim the disk for nobody's use, so that its storage refuses whoever is older."""
        dials = self.dials_of(call)

        def done() -> None:
            if not self.is_alive:
                return
            if self.node in dials.crashes_fence_on:
                self.crash(CallInHost(call.resource, call.verb))
            elif self.node in dials.fails_fence_on:
                self.answer(call.call_id, CallAnswer(CallOutcome.FAILED, "the storage does not answer"))
            elif not self.storage.claim(_unit_of(call), call.generation, self.timeline.now_us):
                self.answer(call.call_id, CallAnswer(CallOutcome.FAILED, "somebody newer holds the disk"))
            else:
                if dials.forgets_claim:
                    self.storage.forget(_unit_of(call), self.timeline.now_us)
                text = f"claimed under generation {call.generation}"
                self.answer(call.call_id, CallAnswer(CallOutcome.DONE, prepared=text))

        if not dials.never_fences:
            self.later(dials.fence_ms, done)

    def _start(self, hosted: HostedWorkload) -> None:
        if self.is_alive and self.hosted.get(hosted.call.resource) is hosted and hosted.run is None:
            call = hosted.call
            if hosted.goes_on_with is not None:
                self.ledger.goes_on(hosted.goes_on_with, self.node, self.timeline.now_us)
            hosted.run = self.ledger.start(
                call.group, call.resource, self.node, call.generation, self.timeline.now_us, hosted.asked_us
            )
            hosted.run.goes_on = hosted.goes_on_with is not None

    def _stop(self, call: HostCall) -> None:
        dials = self.dials.get(call.resource, Dials())
        hosted = self.hosted.get(call.resource)
        if hosted is not None:
            hosted.state = ResourceState.OFFLINE_PENDING
            if call.verb is Verb.OFFLINE and hosted.run is not None:
                hosted.run.stop_asked_us = hosted.run.stop_asked_us or self.timeline.now_us
        self.timeline.after_ms(dials.offline_ms, lambda: self._stopped(call, dials))

    def _stopped(self, call: HostCall, dials: Dials) -> None:
        if not self.is_alive:
            return
        if self.is_frozen:
            self._waiting.append(lambda: self._stopped(call, dials))
            return
        if (dials.ignores_stop or dials.dies_at_stop) and call.resource in self.hosted:
            self.hosted[call.resource].state = ResourceState.FAILED
        if dials.ignores_stop:
            self.answer(call.call_id, CallAnswer(CallOutcome.STILL_RUNNING, "pid 1 does not end"))
            return
        if dials.dies_at_stop and call.verb is Verb.OFFLINE:
            self.answer(call.call_id, CallAnswer(CallOutcome.FAILED, "its stop command ended with status 1"))
            return
        hosted = self.hosted.get(call.resource)
        if hosted is not None:
            self._end(hosted)
            hosted.state = ResourceState.OFFLINE
            if not (
                hosted.is_moved and call.reason is CallReason.MIGRATED
            ):  # a daemon that comes now must hear that it moved
                del self.hosted[call.resource]
        self.answer(call.call_id, CallAnswer(CallOutcome.DONE))

    def _end(self, hosted: HostedWorkload) -> None:
        migrating.stopped(self, hosted)
        if hosted.run is not None and hosted.run.ended_us is None:
            hosted.run.ended_us = self.timeline.now_us


def _unit_of(call: HostCall) -> str:
    return str(call.private.get(UNIT, call.resource))
