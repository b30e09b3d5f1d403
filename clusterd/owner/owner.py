"""What should this node do now about the groups that it owns? Pure.

`take` brings in what the cluster committed, `answered`, `happened`, `host_up` and `host_ended` what the hosts say; `plan`
compares and returns calls, reports, and when to look again. Planning twice without news plans nothing new.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from clusterd.database import DatabaseView
from clusterd.model.events import (
    HOST_ENDED,
    HOST_HUNG,
    HOST_STARTED,
    RESOURCE_STATE_CHANGED,
    STALE_REFUSED,
    Note,
    note,
)
from clusterd.model.ids import GroupId, Incarnation, NodeId, ResourceId, key_of
from clusterd.model.states import ResourceState
from clusterd.owner.adoption import Adoption, adopt_late, take_group
from clusterd.owner.commands import CallAnswer, CallOutcome, HostCall, Hosted, KillHost, StartHost, Verb
from clusterd.owner.group import OwnedGroup, intend, is_empty_here, is_mine
from clusterd.owner.hosts import Hosts
from clusterd.owner.machine import Happening, Held, advance
from clusterd.owner.plan import Now, OwnerPlan
from clusterd.owner.policy import after_failure, retry_only, with_restart
from clusterd.owner.reports import ReportProposal, propose_report, report_of

STOP_AGAIN_MS = 2000
NEVER_MS = 1 << 53


class Owner:
    """A node's own groups in its present incarnation."""

    def __init__(self, node: NodeId) -> None:
        self._node = node
        self._incarnation = Incarnation("")
        self._is_inherited = False
        self._groups: dict[str, OwnedGroup] = {}
        self._hosts = Hosts()
        self._adoption = Adoption()
        self._dirty: set[str] = set()
        self._look_again_ms: dict[str, int] = {}
        self._notes: list[Note] = []
        self._kills: list[KillHost] = []
        self._group_of: dict[str, OwnedGroup] = {}
        self._stop_again_ms: dict[str, int] = {}
        self._stale_count = 0
        self.is_node_stopping = False

    # ---- what the cluster committed ----

    def begin(self, incarnation: Incarnation, hosts: Iterable[str] = (), *, is_inherited: bool = False) -> None:
        """A new incarnation: whatever ran under the old one is proven gone. `hosts` run in the new one already.

        `is_inherited`: an earlier daemon has acted in it, and what that daemon reported may still be on its way.
        """
        if incarnation != self._incarnation:
            self._incarnation, self._is_inherited = incarnation, is_inherited
            self._groups, self._hosts, self._adoption = {}, Hosts(), Adoption()
            self._group_of, self._stop_again_ms = {}, {}
            self._dirty, self._look_again_ms = set(), {}
            self._hosts.expect(hosts)

    def take(self, view: DatabaseView, groups: Iterable[GroupId] | None = None) -> None:
        """Bring in committed changes of `groups` (None: of all). Call only with a view that is not older than any before."""
        names = [key_of(each) for each in groups] if groups is not None else None
        if names is None:
            names = sorted({key_of(group.name) for group in view.groups()} | set(self._groups))
        for name in names:
            self._take_one(view, name)

    def _take_one(self, view: DatabaseView, name: str) -> None:
        assignment, record = view.assignment(name), view.group(name)
        known = self._groups.get(name)
        if assignment is None or record is None or not is_mine(assignment, self._node, self._incarnation):
            if known is not None:
                known.is_given_up = True
                self._dirty.add(name)
            return
        if known is not None and known.assignment.generation != assignment.generation and not is_empty_here(known):
            known.is_given_up = True  # a new generation begins only when nothing of the old one is left
        else:
            group = self._groups[name] = take_group(view, known, assignment, record, self._adoption)
            if known is not group and self._is_inherited:
                group.is_confirmed = False
            self._group_of.update(dict.fromkeys(group.held, group))
        self._dirty.add(name)

    def mark_all(self) -> None:
        """Look at every group at the next plan."""
        self._dirty.update(self._groups)

    # ---- what hosts say ----

    def host_up(self, host: str, pid: int, hosted: Sequence[Hosted]) -> None:
        self._notes.append(note(HOST_STARTED, host=host, pid=pid))
        self._hosts.came_up(host, tuple(hosted))
        self._adoption.found(hosted)
        for group in self._groups.values():
            adopt_late(group, self._adoption)
        self.mark_all()

    def host_ended(self, host: str, because: str, *, are_workloads_gone: bool, now: Now) -> None:
        """A host is gone. Its resources go through their failure policy; the one that hung gets a host of its own."""
        self._notes.append(note(HOST_ENDED, host=host, because=because))
        served, lost = self._hosts.ended(host)
        guilty = {call.resource for call in lost if because.startswith("killed: hung") and call.resource in because}
        if not guilty and len(lost) == 1:
            guilty = {lost[0].resource}
        for resource in guilty:
            self._hosts.set_apart(resource)
        for name in served:
            group, held = self._find(name)
            if group is None or held is None:
                continue
            if are_workloads_gone:
                group.held[name] = held = replace(held, may_run=False, pid=0)
            is_stopped = are_workloads_gone or held.state is not ResourceState.OFFLINE_PENDING
            what = Happening.HOST_LOST if is_stopped else Happening.STOP_FAILED
            self._apply(group, name, what, f"host {host}: {because}", now)
        self.mark_all()

    def host_silent(self, host: str, because: str) -> None:
        """A host does not answer at all: it is killed, and its resources with it."""
        kill = self._hosts.kill(host, because)
        if kill is not None:
            self._kills.append(kill)
            self._notes.append(note(HOST_HUNG, host=host, resource="", call="ping"))
            self.mark_all()

    def progressed(self, call_id: int, now: Now) -> None:
        self._hosts.progressed(call_id, now.now_ms)

    def answered(self, call_id: int, answer: CallAnswer, now: Now) -> None:
        """The answer to a call. An answer nobody waits for any more changes nothing."""
        call = self._hosts.answered(call_id)
        if call is None:
            return
        group, held = self._find(key_of(call.resource))
        if group is None or held is None or call.generation != group.assignment.generation:
            return
        if answer.outcome is CallOutcome.STALE:
            self._count_stale(f"{call.verb} of {call.resource}: {answer.message}")
        if call.verb is Verb.ONLINE:
            self._online_answered(group, key_of(call.resource), answer, now)
        else:
            self._stop_answered(group, key_of(call.resource), call, answer, now)
        self._dirty.add(key_of(call.group))

    def happened(self, resource: ResourceId, generation: int, what: Happening, message: str, now: Now) -> None:
        """A host reports by itself: a health check failed, a workload ended."""
        name = key_of(resource)
        group, held = self._find(name)
        if group is None or held is None or generation != group.assignment.generation:
            self._count_stale(f"event of {resource} for generation {generation}")
            return
        self._apply(group, name, what, message, now)

    def reported(self, group: GroupId, *, has_succeeded: bool, proposal: ReportProposal) -> None:
        """The outcome of a report's commit is known."""
        owned = self._groups.get(key_of(group))
        if owned is None or owned.assignment.generation != proposal.report.generation:
            return
        owned.is_reporting = False
        if has_succeeded:
            owned.last_report = proposal.report
            owned.is_confirmed = True
        self._dirty.add(key_of(group))

    # ---- what to do ----

    def plan(self, view: DatabaseView, now: Now, *, may_run: bool) -> OwnerPlan:
        """Everything to do now. `may_run`: the run lease is held and the database was read since this daemon's start."""
        plan = OwnerPlan()
        plan.notes, self._notes = self._notes, []
        plan.kills, self._kills = self._kills, []
        for kill, call in self._hosts.overdue(now.now_ms):
            plan.kills.append(kill)
            plan.notes.append(note(HOST_HUNG, host=kill.host, resource=call.resource, call=call.verb))
        may_act = may_run and self._hosts.are_all_known
        if may_act:
            for name in self._due(now):
                self._plan_group(view, self._groups[name], now, plan)
            plan.calls.extend(self._adoption.orphan_calls(self._groups, self._hosts, self._incarnation, now.now_ms))
        look_again = self._look_again_ms.values() if may_act else ()
        for at_ms in (self._hosts.next_deadline_ms(), *look_again):
            if at_ms is not None:
                plan.look_at(at_ms)
        return plan

    def ensure_shared_host(self) -> StartHost | None:
        """The shared host runs before anything needs it: a move should not wait for an interpreter."""
        return self._hosts.start("shared") if self._incarnation else None

    @property
    def is_empty(self) -> bool:
        """Whether it is certain that nothing runs here."""
        return all(is_empty_here(group) for group in self._groups.values())

    @property
    def is_everything_reported(self) -> bool:
        return all(
            group.is_given_up or (group.last_report is not None and group.last_report.is_released)
            for group in self._groups.values()
        )

    def group(self, name: str) -> OwnedGroup | None:
        return self._groups.get(key_of(name))

    def host_of(self, resource: str) -> str | None:
        """The host that serves a resource which this node owns."""
        group, held = self._find(key_of(resource))
        if group is None or held is None:
            return None
        return self._hosts.ensure(held.name, group.settings[key_of(resource)])[0]

    def _due(self, now: Now) -> list[str]:
        for name, at_ms in list(self._look_again_ms.items()):
            if at_ms <= now.now_ms:
                del self._look_again_ms[name]
                self._dirty.add(name)
        due, self._dirty = sorted(self._dirty & set(self._groups)), set()
        return due

    def _plan_group(self, view: DatabaseView, group: OwnedGroup, now: Now, plan: OwnerPlan) -> None:
        self._obey_operator(group, now)
        intent = intend(group, is_node_stopping=self.is_node_stopping)
        for name in sorted(intent.unwanted):
            self._settle_unwanted(group, name, now, plan)
        for name, reason in intent.to_take_offline.items():
            self._apply(group, name, Happening.OFFLINE_ASKED, _REASON_TEXT[reason], now)
            self._call(group, name, Verb.OFFLINE, reason, now, plan)
        for name in intent.to_bring_online:
            self._bring_online(group, name, now, plan)
        for name, held in group.held.items():
            if held.state in (ResourceState.FAILED, ResourceState.OFFLINE) and held.may_run:
                self._stop_rest(group, name, now, plan)
            elif held.state is ResourceState.OFFLINE_PENDING and not self._hosts.is_busy(name, is_terminating=True):
                self._call(group, name, Verb.OFFLINE, "user-requested", now, plan)
        self._drop_removed(group)
        if group.is_given_up:
            self._forget_if_empty(view, group)
            return
        is_leaving = self.is_node_stopping or group.assignment.order == "release"
        if is_leaving and is_empty_here(group):
            group.is_released = True
        self._report(view, group, now, plan)

    def _stop_rest(self, group: OwnedGroup, name: str, now: Now, plan: OwnerPlan) -> None:
        """What failed or ended is stopped at once, and again after a pause when that did not work."""
        again_ms = self._stop_again_ms.get(name, 0)
        if now.now_ms < again_ms:
            self._look_at(name, group, again_ms)
        else:
            self._call(group, name, Verb.TERMINATE, "failed", now, plan)

    def _forget_if_empty(self, view: DatabaseView, group: OwnedGroup) -> None:
        if is_empty_here(group):
            name = key_of(group.record.name)
            del self._groups[name]
            for each in group.held:
                self._forget_resource(each, group)
            self._take_one(view, name)

    def _obey_operator(self, group: OwnedGroup, now: Now) -> None:
        """Requests that are facts in the database and are carried out once."""
        if group.reset_id != group.record.reset_id:
            group.reset_id = group.record.reset_id
            group.failed_over_by, group.failed_over_because = ResourceId(""), ""
            for name, held in group.held.items():
                group.held[name] = (
                    replace(held, restarts=(), next_action="restart", next_action_cluster_ms=1)
                    if held.state is ResourceState.FAILED
                    else replace(held, restarts=(), next_action="", next_action_cluster_ms=0)
                )
        for name, record in group.records.items():
            held = group.held[name]
            if record.fail_id != held.fail_id:
                group.held[name] = replace(held, fail_id=record.fail_id)
                self._apply(group, name, Happening.CHECK_FAILED, "an operator asked it to fail", now)

    def _settle_unwanted(self, group: OwnedGroup, name: str, now: Now, plan: OwnerPlan) -> None:
        held = group.held[name]
        if held.state is ResourceState.ONLINE_PENDING:
            self._hosts.supersede(held.name)
            self._apply(group, name, Happening.OFFLINE_ASKED, "", now)
            self._call(group, name, Verb.TERMINATE, "wanted no more", now, plan)
        elif held.state is ResourceState.FAILED and not held.may_run:
            self._apply(group, name, Happening.RECYCLED, "", now)
        elif held.state is ResourceState.OFFLINE and held.next_action:
            group.held[name] = replace(held, next_action="", next_action_cluster_ms=0)
        if group.failed_over_by == held.name and group.assignment.order == "run":
            group.failed_over_by, group.failed_over_because = ResourceId(""), ""

    def _bring_online(self, group: OwnedGroup, name: str, now: Now, plan: OwnerPlan) -> None:
        held = group.held[name]
        if not group.is_confirmed or held.may_run or self._hosts.is_busy(name, is_terminating=False):
            return
        if held.state is ResourceState.FAILED and not held.next_action:
            return
        if now.cluster_ms < held.next_action_cluster_ms:
            self._look_at(name, group, now.now_ms + held.next_action_cluster_ms - now.cluster_ms)
            return
        settings = group.settings[name]
        host, start = self._hosts.ensure(held.name, settings)
        if start is not None:
            plan.starts.append(start)
        if not self._hosts.is_up(host):
            return
        if held.next_action == "restart":
            held = replace(held, restarts=with_restart(held.restarts, self._node, now.cluster_ms))
        elif held.next_action == "retry":
            held = replace(held, restarts=())
            group.failed_over_by, group.failed_over_because = ResourceId(""), ""
        group.held[name] = replace(held, may_run=True, evidence="")
        self._apply(
            group, name, Happening.ONLINE_ASKED, group.assignment.because.text if not held.sequence else "", now
        )
        self._hosts.place(held.name, host)
        self._call(group, name, Verb.ONLINE, "", now, plan)

    def _call(self, group: OwnedGroup, name: str, verb: Verb, reason: str, now: Now, plan: OwnerPlan) -> None:
        """Send a call unless one of its kind is under way; what stops something waits between attempts."""
        held = group.held[name]
        if self._hosts.is_busy(name, is_terminating=verb is Verb.TERMINATE):
            return
        host, start = self._hosts.ensure(held.name, group.settings[name])
        if start is not None:
            plan.starts.append(start)
        if not self._hosts.is_up(host):
            return
        record = group.records.get(name)
        call = HostCall(
            self._hosts.next_call_id(),
            host,
            verb,
            held.name,
            record.type if record else "",
            group.record.name,
            group.assignment.generation,
            self._incarnation,
            record.private if record else {},
            group.settings[name],
            reason,
        )
        self._hosts.began(call, now.now_ms)
        plan.calls.append(call)

    # ---- consequences ----

    def _online_answered(self, group: OwnedGroup, name: str, answer: CallAnswer, now: Now) -> None:
        match answer.outcome:
            case CallOutcome.DONE:
                group.held[name] = replace(group.held[name], pid=answer.pid)
                self._apply(group, name, Happening.ONLINE_DONE, answer.message, now)
            case CallOutcome.NOT_ON_THIS_NODE:
                # What it began before it said so is stopped first: only a confirmed stop clears `may_run`.
                self._apply(group, name, Happening.NOT_ON_THIS_NODE, answer.message, now)
                retry = retry_only(group.settings[name], now.cluster_ms)
                group.held[name] = replace(
                    group.held[name], next_action=retry.action, next_action_cluster_ms=retry.at_cluster_ms
                )
                group.failed_over_by, group.failed_over_because = group.held[name].name, answer.message
            case CallOutcome.HUNG:
                self._apply(group, name, Happening.ONLINE_FAILED, answer.message, now)
                self._kill_host_of(name, f"hung call online of {group.held[name].name}")
            case _:
                self._apply(group, name, Happening.ONLINE_FAILED, answer.message, now)

    def _stop_answered(self, group: OwnedGroup, name: str, call: HostCall, answer: CallAnswer, now: Now) -> None:
        held = group.held[name]
        if answer.outcome is CallOutcome.DONE:
            group.held[name] = replace(held, may_run=False, pid=0, evidence="")
            self._hosts.displace(held.name)
            self._hosts.forget_calls(held.name)
            self._stop_again_ms.pop(name, None)
            self._apply(group, name, Happening.OFFLINE_DONE, answer.message, now)
        elif answer.outcome is CallOutcome.HUNG:
            self._kill_host_of(name, f"hung call {call.verb} of {held.name}")
        elif call.verb is Verb.OFFLINE:
            # What does not stop gracefully is terminated; FAILED is only what it is called until that is confirmed.
            self._apply(group, name, Happening.STOP_FAILED, answer.message, now)
        else:
            group.held[name] = replace(held, evidence=answer.message)
            self._apply(group, name, Happening.STOP_FAILED, answer.message, now)
            self._stop_again_ms[name] = now.now_ms + STOP_AGAIN_MS

    def _apply(self, group: OwnedGroup, name: str, what: Happening, because: str, now: Now) -> None:
        before = group.held[name]
        after = advance(before, what, because=because, wall_ms=now.wall_ms)
        if after is before:
            return
        if after.state is ResourceState.FAILED:
            after = self._judge(group, name, after, now)
        if after.state is ResourceState.ONLINE and group.failed_over_by == after.name:
            group.failed_over_by, group.failed_over_because = ResourceId(""), ""
        if what is Happening.STOPPED_ITSELF:
            # It rests until somebody asks for it: what ends by itself at once would otherwise start for ever.
            after = replace(after, may_run=True, next_action="rest", next_action_cluster_ms=NEVER_MS)
        group.held[name] = after
        self._dirty.add(key_of(group.record.name))
        self._notes.append(
            note(
                RESOURCE_STATE_CHANGED,
                group=group.record.name,
                resource=after.name,
                was=before.state,
                now=after.state,
                because=after.cause,
            )
        )

    def _judge(self, group: OwnedGroup, name: str, held: Held, now: Now) -> Held:
        """The failure policy; what is not wanted here now only has to be stopped, and comes back when it is wanted."""
        record = group.records.get(name)
        if not group.is_wanted_here or self.is_node_stopping or record is None or record.wanted != "online":
            return replace(held, next_action="resume", next_action_cluster_ms=1)
        verdict = after_failure(group.settings[name], held.restarts, self._node, now.cluster_ms)
        if verdict.asks_for_other_node:
            group.failed_over_by = held.name
            group.failed_over_because = f"{held.cause} ({verdict.text})"
        return replace(
            held,
            cause=f"{held.cause} ({verdict.text})",
            next_action=verdict.action,
            next_action_cluster_ms=verdict.at_cluster_ms,
        )

    def _kill_host_of(self, name: str, because: str) -> None:
        group, held = self._find(name)
        if group is not None and held is not None:
            host, _ = self._hosts.ensure(held.name, group.settings[name])
            kill = self._hosts.kill(host, because)
            if kill is not None:
                self._hosts.set_apart(held.name)
                self._kills.append(kill)
                self._notes.append(note(HOST_HUNG, host=host, resource=held.name, call=because))

    def _report(self, view: DatabaseView, group: OwnedGroup, now: Now, plan: OwnerPlan) -> None:
        if group.is_reporting:
            return
        if not group.is_confirmed:
            self._heed_predecessor(view, group)
        report = report_of(group, self._node, self._incarnation)
        if report != group.last_report or not group.is_confirmed:
            group.is_reporting = True
            plan.reports.append(propose_report(view, group, report, now.wall_ms))

    def _heed_predecessor(self, view: DatabaseView, group: OwnedGroup) -> None:
        """A release that an earlier daemon reported counts, also when it was committed after this one started."""
        report = view.report(group.record.name)
        if report is not None and report.generation == group.assignment.generation and report.is_released:
            group.is_released = True

    def _drop_removed(self, group: OwnedGroup) -> None:
        for name in [each for each, held in group.held.items() if each not in group.records]:
            held = group.held[name]
            if not held.may_run and held.state is ResourceState.OFFLINE:
                del group.held[name], group.settings[name]
                self._forget_resource(name, group)
                group.dependencies.pop(name, None)
                group.order = tuple(each for each in group.order if each != name)

    def _find(self, name: str) -> tuple[OwnedGroup | None, Held | None]:
        group = self._group_of.get(name)
        held = group.held.get(name) if group is not None else None
        return (group, held) if held is not None else (None, None)

    def _forget_resource(self, name: str, group: OwnedGroup) -> None:
        """Unless another group has a resource of that name by now."""
        if self._group_of.get(name) is group:
            del self._group_of[name]

    def _look_at(self, name: str, group: OwnedGroup, at_ms: int) -> None:
        key = key_of(group.record.name)
        self._look_again_ms[key] = min(at_ms, self._look_again_ms.get(key, at_ms))

    def _count_stale(self, what: str) -> None:
        self._stale_count += 1
        self._notes.append(note(STALE_REFUSED, what=what, count=self._stale_count))


_REASON_TEXT = {
    "shutting-down": "the node is being stopped",
    "provider-lost": "a resource that it depends on is not online",
    "moving": "the group leaves this node",
    "user-requested": "an operator asked for it",
}
