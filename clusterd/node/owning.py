"""What does this node do with the groups it owns, its guard and its hosts? Pure. Feeds `owner.Owner` and the run lease."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

from clusterd.model import keys
from clusterd.model.events import (
    CONTAINMENT_WEAK,
    GUARD_CONNECTED,
    GUARD_LOST,
    INCARNATION_ENDED,
    LEASE_GAINED,
    LEASE_LOST,
    PROPOSAL_REFUSED,
    note,
)
from clusterd.model.ids import GroupId, Incarnation
from clusterd.model.records import ResourceRecord
from clusterd.model.states import MembershipState
from clusterd.node import events as happened
from clusterd.node.effects import Effect, EndIncarnation, Left, RenewLease
from clusterd.node.handing_over import HandingOver
from clusterd.node.proposals import ForOwner
from clusterd.node.publishing import Publishing
from clusterd.owner import HostEnd, Now, Owner, OwnerProposal

if TYPE_CHECKING:
    from clusterd.node.node import Node

WEAK_CONTAINMENT = "process-tree"
"""The guard's word for the kind that cannot hold everything (GuardState.containment)."""


@dataclass(frozen=True, slots=True)
class _Settled:
    """What came of a proposal of the owner's, and from which revision on that can be seen here."""

    revision: int
    proposal: OwnerProposal
    has_succeeded: bool
    refused: str


class Owning:
    """The owner's half of a node. It acts only while the run lease is held and the database was read since the start."""

    def __init__(self, node: "Node") -> None:
        self._node = node
        self.owner = Owner(node.me)
        self.containment = ""
        self._guard_deadline_ms = 0
        self._asked_deadline_ms = 0
        self._had_lease = False
        self._told_to_end = Incarnation("")
        self._publishing = Publishing(node)
        self._settling: list[_Settled] = []
        self._leave_by_ms: int | None = None
        self._leave_because = ""
        self._has_left = False
        self._handing_over = HandingOver(node)
        self._had_read = False
        self._is_due = True
        self.next_look_ms: int | None = None

    # ---- news ----

    def take(
        self,
        event: happened.GuardUp
        | happened.GuardRenewed
        | happened.IncarnationEnded
        | happened.GuardGone
        | happened.HostUp
        | HostEnd
        | happened.HostSilent
        | happened.CallProgressed
        | happened.CallAnswered
        | happened.ResourceHappened
        | happened.StopAsked
        | happened.MachineMeasured,
        now_ms: int,
    ) -> None:
        if isinstance(event, happened.MachineMeasured):
            self._measured(event)
            return
        self._is_due = True
        now = self._node.now(now_ms)
        match event:
            case happened.GuardUp():
                self._guard_up(event, now_ms)
            case happened.GuardRenewed():
                if event.incarnation == self._node.presence.incarnation and not event.is_refused:
                    self._guard_deadline_ms = max(self._guard_deadline_ms, event.deadline_ms)
            case happened.IncarnationEnded():
                self._node.say(note(INCARNATION_ENDED, incarnation=event.ended, because=event.because))
                self._node.presence.end(event.ended)
                self._begin(event.successor, 0, now_ms)
            case happened.GuardGone():
                self._node.say(note(GUARD_LOST, because=event.because))
                self._begin(Incarnation(""), 0, now_ms)
            case happened.HostUp():
                self._host_up(event, now)
            case HostEnd():
                self._publishing.forget_host(event.host)
                self.owner.host_ended(event, now)
            case happened.HostSilent():
                self.owner.host_silent(event.host, event.because)
            case happened.CallProgressed():
                self.owner.progressed(event.call_id, event.message, now)
            case happened.CallAnswered():
                self.owner.answered(event.call_id, event.answer, now)
            case happened.ResourceHappened():
                self.owner.happened(event.resource, event.generation, event.what, event.message, now)
            case happened.StopAsked():
                self._leave(event.because, now_ms)
            case _:
                assert_never(event)

    def may_wait(self, event: happened.GuardRenewed, now_ms: int) -> bool:
        """Whether a guard's answer may be looked at with the next heartbeat: the lease that it prolongs lasts long yet."""
        is_plain = event.incarnation == self._node.presence.incarnation and not event.is_refused
        return is_plain and self._guard_deadline_ms - now_ms > self._node.settings.run_lease_ms // 2

    def database_changed(self, changed: set[str], *, is_restored: bool, now_ms: int) -> None:
        self._is_due = True
        view = self._node.replica.view
        touches_all = {keys.CLUSTER, keys.node(self._node.me)} & changed
        if is_restored or touches_all or any(self._is_of_types(key) for key in changed):
            self._take_groups()
        groups: set[GroupId] = set()
        for key in changed:
            prefix = keys.prefix_of(key)
            if prefix in (keys.GROUP, keys.ASSIGNMENT, keys.MIGRATION, keys.STORAGE_FENCE):
                groups.add(GroupId(key.removeprefix(prefix)))
            elif prefix == keys.RESOURCE:
                record = view.get(ResourceRecord, key)
                if record is None:
                    self._take_groups()
                else:
                    groups.add(record.group)
        if groups:
            self._take_groups(groups)
        if keys.membership(self._node.me) in changed or is_restored:
            self._obey_membership(now_ms)

    def _is_of_types(self, key: str) -> bool:
        """Whether the settings of resources may have changed with a record of their type."""
        prefix = keys.prefix_of(key)
        return prefix == keys.TYPE_SETTINGS or (
            prefix == keys.RESOURCE_TYPE and key.endswith(f"/{self._node.me.casefold()}")
        )

    def _take_groups(self, groups: Collection[GroupId] | None = None) -> None:
        """Nothing is taken from a database that may be older than what the hosts run."""
        if self._had_read:
            self.owner.take(self._node.replica.view, None if groups is None else sorted(groups))

    def reported(
        self, proposal: OwnerProposal, now_ms: int, *, has_succeeded: bool, revision: int, refused: str = ""
    ) -> None:
        """A report's outcome is known. The next one rests on it, so it waits until this node has applied that far.

        `refused`: why it can never be taken as it is.
        """
        if refused:
            self._node.say(note(PROPOSAL_REFUSED, what=f"a report about {proposal.group}", because=refused))
        self._settling.append(_Settled(revision, proposal, has_succeeded, refused))
        self._settle_reports(now_ms)

    def _settle_reports(self, now_ms: int) -> None:
        applied = self._node.replica.database.revision
        ready = [each for each in self._settling if each.revision <= applied]
        self._settling = [each for each in self._settling if each.revision > applied]
        for each in ready:
            self._is_due = True
            self.owner.reported(
                each.proposal.group,
                self._node.now(now_ms),
                has_succeeded=each.has_succeeded,
                proposal=each.proposal,
                refused=each.refused,
            )

    def _host_up(self, event: happened.HostUp, now: Now) -> None:
        """One of another incarnation was greeted before its end and answered after it: it is gone."""
        if event.incarnation != self._node.presence.incarnation:
            return
        self._publishing.know_types(event.host, event.types, event.plugin_troubles)
        self.owner.host_up(event.host, event.pid, event.hosted, now)

    def types_settled(self, refused: str, now_ms: int) -> None:
        self._publishing.settled(refused, now_ms)

    def _measured(self, event: happened.MachineMeasured) -> None:
        """The load rides on heartbeats; only another size of the machine is worth a look."""
        self._node.presence.measured(event.processor_percent, event.memory_percent)
        self._is_due |= self._publishing.know_machine(memory_mib=event.memory_mib, cores=event.cores)

    # ---- the lease ----

    def holds_lease(self, now_ms: int) -> bool:
        """Whether this node may run workloads: the guard has taken over a deadline that has not passed."""
        return bool(self._node.presence.incarnation) and now_ms < self._guard_deadline_ms

    def lease_ends_ms(self) -> int | None:
        """When the lease that is held runs out, unless it is renewed before."""
        return self._guard_deadline_ms if self._had_lease else None

    def lease_deadline_ms(self) -> int:
        return self._guard_deadline_ms

    def waits_for_lease(self, now_ms: int) -> bool:
        """Whether a heartbeat should ask for its answer at once."""
        return bool(self._node.presence.incarnation) and not self.holds_lease(now_ms)

    def _renew(self, now_ms: int) -> None:
        """Hand on a deadline that is worth it: each hand-over wakes the guard and every host."""
        start_ms = self._node.presence.lease_start_ms()
        if start_ms is None:
            return
        lease_ms = self._node.settings.run_lease_ms
        deadline_ms = start_ms + lease_ms
        is_urgent = self._asked_deadline_ms - now_ms < lease_ms // 2
        gain_min_ms = 1 if is_urgent else lease_ms // 4
        if deadline_ms > now_ms and deadline_ms >= self._asked_deadline_ms + gain_min_ms:
            self._asked_deadline_ms = deadline_ms
            self._node.do(RenewLease(self._node.presence.incarnation, deadline_ms))

    def _note_lease(self, now_ms: int) -> None:
        has_lease = self.holds_lease(now_ms)
        incarnation = self._node.presence.incarnation
        if has_lease and not self._had_lease:
            self._node.say(note(LEASE_GAINED, incarnation=incarnation, deadline_ms=self._guard_deadline_ms))
            self.owner.mark_all()
        elif self._had_lease and not has_lease and incarnation:
            self._node.say(note(LEASE_LOST, incarnation=incarnation))
            self._end(incarnation, "its run lease ran out")
        self._had_lease = has_lease

    # ---- incarnations ----

    def _guard_up(self, event: happened.GuardUp, now_ms: int) -> None:
        for ended in event.ended:
            self._node.presence.end(ended)
        self.containment = event.containment
        if event.incarnation != self._node.presence.incarnation:
            self._node.say(note(GUARD_CONNECTED, incarnation=event.incarnation, containment=event.containment))
            if event.containment == WEAK_CONTAINMENT:
                self._node.say(note(CONTAINMENT_WEAK, containment=event.containment))
            self._begin(event.incarnation, event.deadline_ms, now_ms, hosts=event.hosts)

    def _begin(self, incarnation: Incarnation, deadline_ms: int, now_ms: int, *, hosts: tuple[str, ...] = ()) -> None:
        self._node.presence.begin(incarnation)
        self._guard_deadline_ms = self._asked_deadline_ms = deadline_ms
        self._had_lease = self.holds_lease(now_ms)
        self._publishing.forget_hosts()
        self.owner.begin(incarnation, hosts, is_inherited=bool(deadline_ms))
        if incarnation:
            self._take_groups()
        self._node.beat(now_ms, wants_answer=bool(incarnation))

    def _obey_membership(self, now_ms: int) -> None:
        """The cluster agreed that this incarnation is over, or that it has begun."""
        record = self._node.replica.view.membership(self._node.me)
        incarnation = self._node.presence.incarnation
        if record is None or not incarnation or record.incarnation != incarnation:
            return
        if record.state in (MembershipState.EXPELLING, MembershipState.DOWN):
            self._end(incarnation, f"the cluster expelled it: {record.because}")
        elif record.state is MembershipState.UP and not self.holds_lease(now_ms):
            self._node.beat(now_ms, wants_answer=True)

    def _end(self, incarnation: Incarnation, because: str) -> None:
        if self._told_to_end != incarnation:
            self._told_to_end = incarnation
            self._node.presence.is_over = True
            self._node.do(EndIncarnation(incarnation, because))

    def _end_when_it_has_no_part(self, now_ms: int) -> None:
        """What this node knows, the others lost: by what they know, its groups may run elsewhere any moment. Or another
        daemon is this node."""
        if self._node.replica.raft.is_held and self.holds_lease(now_ms):
            self._end(self._node.presence.incarnation, "the others went back behind what is committed here")
        elif self._node.presence.is_double and self.holds_lease(now_ms):
            self._end(self._node.presence.incarnation, "another daemon is this node")

    # ---- thinking ----

    def think(self, now_ms: int) -> bool:
        """Do what is due. True when something was proposed."""
        self._end_when_it_has_no_part(now_ms)
        self._renew(now_ms)
        self._note_lease(now_ms)
        self._settle_reports(now_ms)
        if not self._had_read and self._node.reads.has_read:
            self._had_read, self._is_due = True, True
            self._take_groups()
        if not self._is_due and (self.next_look_ms is None or now_ms < self.next_look_ms):
            self._leave_if_done(now_ms)
            return False
        self._is_due = False
        may_run = self.holds_lease(now_ms) and self._had_read and self._told_to_end != self._node.presence.incarnation
        plan = self.owner.plan(self._node.replica.view, self._node.now(now_ms), may_run=may_run)
        self.next_look_ms = plan.next_look_ms
        self._node.say(*plan.notes)
        effects: list[Effect] = [*plan.starts, *plan.kills, *plan.calls]
        for effect in effects:
            self._node.do(effect)
        proposals: list[OwnerProposal] = [*plan.reports, *plan.migrations, *plan.fences]
        for proposal in proposals:
            transaction = proposal.draft.build(self._node.next_request_id())
            self._node.submit(ForOwner(proposal), transaction, now_ms)
        has_proposed = (self._had_read and self._publishing.publish(now_ms)) or bool(proposals)
        self._leave_if_done(now_ms)
        return has_proposed

    # ---- leaving ----

    def _leave(self, because: str, now_ms: int) -> None:
        if self._leave_by_ms is not None:
            return
        self._leave_by_ms = now_ms + self._node.settings.shutdown_timeout_ms
        self._leave_because = because
        self.owner.stop(keeps_groups=not self._node.settings.drain_on_shutdown)
        self._node.presence.is_leaving = True
        self._node.beat(now_ms)

    def _leave_if_done(self, now_ms: int) -> None:
        if self._leave_by_ms is None or self._has_left:
            return
        is_handed_over = self._handing_over.is_over(now_ms)
        is_done = self.owner.is_empty and self.owner.is_everything_reported and is_handed_over
        if is_done or not self.holds_lease(now_ms) or now_ms >= self._leave_by_ms:
            self._has_left = True
            self._node.do(Left(self._leave_because))
        elif self.next_look_ms is None or self.next_look_ms > self._leave_by_ms:
            self.next_look_ms = self._leave_by_ms
