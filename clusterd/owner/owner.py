"""What should this node do now about the groups that it owns? Pure.

`take` brings in what the cluster committed, `answered`, `happened`, `host_up` and `host_ended` what the hosts say; `plan`
compares and returns calls, reports, and when to look again. Planning twice without news plans nothing new.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeAlias

from clusterd.database import DatabaseView
from clusterd.model import keys
from clusterd.model.events import HOST_ENDED, HOST_HUNG, HOST_STARTED, note
from clusterd.model.ids import GroupId, Incarnation, NodeId, ResourceId, key_of
from clusterd.model.records import AssignmentRecord
from clusterd.model.states import ResourceState
from clusterd.owner import arriving, fencing
from clusterd.owner.adoption import Adoption, adopt_late, take_group
from clusterd.owner.blame import Judge, end_words
from clusterd.owner.commands import SHARED_HOST, CallAnswer, CallOutcome, Hosted, HostEnd, Verb
from clusterd.owner.consequences import apply, complained, concerned, online_answered, set_apart, stop_answered
from clusterd.owner.departing import migrate_answered, progressed, resume_answered
from clusterd.owner.desk import Desk
from clusterd.owner.doubts import WARNINGS_MAX, doubted, warned
from clusterd.owner.group import OwnedGroup, is_empty_here, is_mine
from clusterd.owner.machine import Happening
from clusterd.owner.now import Now
from clusterd.owner.plan import OwnerPlan
from clusterd.owner.planning import plan_group
from clusterd.owner.reports import ReportProposal

REFUSED_AGAIN_MS = 30_000
OwnerProposal: TypeAlias = ReportProposal | arriving.MigrationProposal | fencing.FenceProposal


class Owner:
    """A node's own groups in its present incarnation."""

    def __init__(self, node: NodeId) -> None:
        self._desk = Desk(node)
        self._is_inherited = False
        self._adoption = Adoption()
        self._judge = Judge()

    # ---- what the cluster committed ----

    def begin(self, incarnation: Incarnation, hosts: Iterable[str] = (), *, is_inherited: bool = False) -> None:
        """A new incarnation: whatever ran under the old one is proven gone. `hosts` run in the new one already.

        `is_inherited`: an earlier daemon has acted in it, and what that daemon reported may still be on its way.
        """
        if incarnation != self._desk.incarnation:
            self._is_inherited = is_inherited
            self._adoption = Adoption()
            self._judge = Judge()
            self._desk.begin(incarnation)
            self._desk.hosts.expect(hosts)

    def stop(self, *, keeps_groups: bool = False) -> None:
        """The node is being stopped: everything is taken offline, and given up unless it is to wait for the node."""
        self._desk.is_node_stopping, self._desk.keeps_groups = True, keeps_groups
        self.mark_all()

    def take(self, view: DatabaseView, groups: Iterable[GroupId] | None = None) -> None:
        """Bring in committed changes of `groups` (None: of all). Call only with a view that is not older than any before."""
        names = [key_of(each) for each in groups] if groups is not None else None
        if names is None:
            assigned = (key.removeprefix(keys.ASSIGNMENT) for key, _ in view.items(AssignmentRecord))
            names = sorted({*assigned, *self._desk.groups, *self._desk.arrivals})
        for name in names:
            fencing.expect(self._desk, view, name)
            self._take_one(view, name)

    def _take_one(self, view: DatabaseView, name: str) -> None:
        desk = self._desk
        assignment = view.assignment(name)
        known = desk.groups.get(name)
        if assignment is None or not is_mine(assignment, desk.node, desk.incarnation):
            if known is not None:
                known.is_given_up = True
                desk.dirty.add(name)
            arriving.expect(desk, view, name, assignment if name not in desk.fences else None)
            return
        if name in desk.fences:
            return  # it is taken when what was asked of its disks is answered
        record = view.group_of(assignment)
        is_awaited = record is not None and arriving.is_awaited(desk, name, assignment)
        if name in desk.arrivals and not is_awaited:
            arriving.give_up(desk, name)  # it is taken when nothing of what was prepared is left
            return
        if known is not None and known.assignment.generation != assignment.generation and not is_empty_here(known):
            known.is_given_up = True  # a new generation begins only when nothing of the old one is left
        else:
            group = desk.groups[name] = take_group(view, desk.node, known, assignment, record, self._adoption)
            if known is not group and self._is_inherited:
                group.is_confirmed = False
            if is_awaited:
                arriving.welcome(desk, name, group)
            desk.group_of.update(dict.fromkeys(group.held, group))
            for held in group.held.values():
                if held.is_apart:
                    desk.hosts.set_apart(held.name)
        desk.dirty.add(name)

    def mark_all(self) -> None:
        """Look at every group at the next plan."""
        self._desk.dirty.update(self._desk.groups, self._desk.arrivals, self._desk.fences)

    # ---- what hosts say ----

    def host_up(self, host: str, pid: int, hosted: Sequence[Hosted], now: Now) -> None:
        self._desk.notes.append(note(HOST_STARTED, host=host, pid=pid))
        if self._desk.hosts.is_other_run(host, pid):
            # Its end was never told. Calls end with the host they were sent to, and what it ran has ended with it.
            self.host_ended(HostEnd(host, f"process {pid} took its place", are_workloads_gone=True), now)
        self._desk.hosts.came_up(host, pid, tuple(hosted), now.now_ms)
        self._adoption.found(hosted)
        for group in self._desk.groups.values():
            adopt_late(group, self._adoption)
            self._desk.group_of.update(dict.fromkeys(group.held, group))
        self.mark_all()

    def host_ended(self, end: HostEnd, now: Now) -> None:
        """A host is gone. Who ended it has failed; what only shared it comes back, and that does not count."""
        desk, host = self._desk, end.host
        desk.notes.append(note(HOST_ENDED, host=host, because=end.because))
        gone = desk.hosts.ended(host, end.kind, end.because, now.now_ms)
        self._adoption.host_ended(gone.served)
        arriving.host_ended(desk, gone.served, end.because)
        fencing.host_ended(desk, end, gone.lost)
        verdict = self._judge.judge(host, gone, end.calls, now.now_ms)
        desk.hosts.suspect(verdict.suspects)
        for name in verdict.guilty:
            set_apart(desk, ResourceId(name))
        for name in self._providers_first(gone.served):
            group, held = desk.find(name)
            if group is None or held is None:
                continue
            if end.are_workloads_gone:
                group.held[name] = held = replace(held, may_run=False, pid=0)
            is_stopped = end.are_workloads_gone or held.state is not ResourceState.OFFLINE_PENDING
            what = Happening.HOST_LOST if is_stopped else Happening.STOP_FAILED
            is_counted = what is Happening.HOST_LOST and name in verdict.counted
            apply(desk, group, name, what, end_words(end, verdict, name), now, is_counted=is_counted)
        self.mark_all()

    def host_silent(self, host: str, because: str) -> None:
        """A host does not answer at all: it is killed, and its resources with it."""
        kill = self._desk.hosts.kill(host, because)
        if kill is not None:
            self._desk.kills.append(kill)
            self._desk.notes.append(note(HOST_HUNG, host=host, resource="", call="ping"))
            self.mark_all()

    def progressed(self, call_id: int, message: str, now: Now) -> None:
        self._desk.hosts.progressed(call_id, now.now_ms)
        call = self._desk.hosts.call_under_way(call_id)
        group = self._desk.group_of.get(key_of(call.resource)) if call and call.verb is Verb.MIGRATE else None
        if group is not None:
            progressed(self._desk, group, message, now)

    def answered(self, call_id: int, answer: CallAnswer, now: Now) -> None:
        """The answer to a call. An answer nobody waits for any more changes nothing."""
        desk = self._desk
        call = desk.hosts.answered(call_id)
        if call is None:
            return
        if call.verb is Verb.FENCE:
            fencing.answered(desk, call, answer)
            return
        if fencing.ended(desk, call, answer):
            return
        arrival = desk.arrivals.get(key_of(call.group))
        if arrival is not None and call.generation == arrival.generation:
            arriving.answered(desk, arrival, call, answer)
            return
        if self._adoption.ended(call, answer, now.now_ms):
            return
        group, held = desk.find(key_of(call.resource))
        if group is None or held is None or call.generation != group.assignment.generation:
            return
        if answer.outcome is CallOutcome.STALE:
            desk.count_stale(f"{call.verb} of {call.resource}: {answer.message}")
        name = key_of(call.resource)
        match call.verb:
            case Verb.ONLINE:
                online_answered(desk, group, name, answer, now)
            case Verb.MIGRATE:
                migrate_answered(desk, group, name, answer, now)
            case Verb.RESUME:
                resume_answered(desk, group, name, answer, now)
            case _:
                stop_answered(desk, group, name, call, answer, now)
        desk.dirty.add(key_of(call.group))

    def happened(self, resource: ResourceId, generation: int, what: Happening, message: str, now: Now) -> None:
        """A host reports by itself: a health check failed or passes again, a workload ended or complains."""
        name = key_of(resource)
        group, held = self._desk.find(name)
        if group is None or held is None or generation != group.assignment.generation:
            if not self._adoption.happened(resource, generation, what, message):
                self._desk.count_stale(f"event of {resource} for generation {generation}")
            return
        if what in (Happening.EMBEDDED_FAILED, Happening.EMBEDDED_WELL):
            complained(self._desk, group, name, what, message, now)
        elif what is Happening.CONCERN:
            concerned(self._desk, group, name, message)
        elif what is Happening.DOUBT:
            doubted(self._desk, group, name, message, now)
        elif what is Happening.WARNED:
            warned(self._desk, group, name, message, now)
        elif what is not Happening.CHECK_PASSED or held.is_hands_off:
            apply(self._desk, group, name, what, message, now)

    def _providers_first(self, names: Sequence[str]) -> list[str]:
        """What fails with its provider has not failed by itself: the provider is looked at first."""
        place = {name: at for group in self._desk.groups.values() for at, name in enumerate(group.order)}
        return sorted(names, key=lambda name: (place.get(name, 0), name))

    def reported(
        self, group: GroupId, now: Now, *, has_succeeded: bool, proposal: OwnerProposal, refused: str = ""
    ) -> None:
        """The outcome of a report's commit is known. `refused`: why it can never be taken as it is."""
        if isinstance(proposal, arriving.MigrationProposal):
            arriving.said(self._desk, proposal, has_succeeded=has_succeeded, refused=refused)
            return
        if isinstance(proposal, fencing.FenceProposal):
            fencing.said(self._desk, proposal, has_succeeded=has_succeeded, refused=refused)
            return
        owned = self._desk.groups.get(key_of(group))
        if owned is None or owned.assignment.generation != proposal.report.generation:
            return
        owned.is_reporting = False
        if has_succeeded:
            owned.last_report = proposal.report
            owned.is_confirmed = True
        elif refused:
            tighter = owned.bounds.tighter()
            owned.bounds = tighter or owned.bounds
            owned.report_not_before_ms = now.now_ms + (REFUSED_AGAIN_MS if tighter is None else 0)
        else:
            owned.warnings = [*proposal.warnings, *owned.warnings][:WARNINGS_MAX]
        self._desk.dirty.add(key_of(group))

    # ---- what to do ----

    def plan(self, view: DatabaseView, now: Now, *, may_run: bool) -> OwnerPlan:
        """Everything to do now. `may_run`: the run lease is held and the database was read since this daemon's start."""
        desk, plan = self._desk, OwnerPlan()
        plan.notes, desk.notes = desk.notes, []
        plan.kills, desk.kills = desk.kills, []
        for kill, call in desk.hosts.overdue(now.now_ms):
            plan.kills.append(kill)
            plan.notes.append(note(HOST_HUNG, host=kill.host, resource=call.resource, call=call.verb))
        may_act = may_run and desk.hosts.are_all_known
        if may_act:
            due = desk.due(now.now_ms)
            for name in due:
                if fencing.has_ended(desk, name, now, plan):
                    self._take_one(view, name)
                if name in desk.arrivals:
                    self._plan_arrival(view, name, now, plan)
                if name not in desk.groups:
                    continue
                group = desk.groups[name]
                plan_group(desk, view, group, now, plan)
                if group.is_given_up:
                    self._forget_if_empty(view, group)
            for name in due:
                if name in desk.fences:
                    fencing.plan_fence(desk, view, name, now, plan)
            plan.calls.extend(self._adoption.orphan_calls(desk.groups, desk.hosts, desk.incarnation, now.now_ms))
        if desk.incarnation:
            desk.hosts.want(SHARED_HOST)  # before anything needs it: a move should not wait for an interpreter
        plan.starts.extend(desk.hosts.starts(now.now_ms))
        look_again = desk.look_again_ms.values() if may_act else ()
        for at_ms in (desk.hosts.next_deadline_ms(), self._adoption.next_look_ms(now.now_ms), *look_again):
            if at_ms is not None:
                plan.look_at(at_ms)
        return plan

    def _plan_arrival(self, view: DatabaseView, name: str, now: Now, plan: OwnerPlan) -> None:
        if arriving.plan_arrival(self._desk, view, name, self._adoption, now, plan):
            del self._desk.arrivals[name]
            self._take_one(view, name)

    def _forget_if_empty(self, view: DatabaseView, group: OwnedGroup) -> None:
        if is_empty_here(group):
            name = key_of(group.record.name)
            del self._desk.groups[name]
            for each in group.held:
                self._desk.forget_resource(each, group)
            self._take_one(view, name)

    # ---- what others ask ----

    @property
    def is_empty(self) -> bool:
        """Whether it is certain that nothing runs here."""
        is_left = any(each.touched for each in self._desk.arrivals.values())
        return not is_left and all(is_empty_here(group) for group in self._desk.groups.values())

    @property
    def is_everything_reported(self) -> bool:
        return all(
            group.is_given_up
            or (group.last_report is not None and (group.last_report.is_released or group.last_report.waits_for_node))
            for group in self._desk.groups.values()
        )

    def group(self, name: str) -> OwnedGroup | None:
        return self._desk.groups.get(key_of(name))

    def host_of(self, resource: str) -> str | None:
        """The host that serves a resource which this node owns; None when none does now."""
        _, held = self._desk.find(key_of(resource))
        return self._desk.hosts.host_of(held.name) if held is not None else None
