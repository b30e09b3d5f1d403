"""What did the hosts already run when this daemon came, and what of it may go on? Pure.

A restarted daemon finds its hosts and workloads alive. What belongs to a committed assignment of this incarnation, with the
same generation, is adopted as it is: same processes, nothing restarted. Everything else is stopped.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from clusterd.database import DatabaseView
from clusterd.model import keys
from clusterd.model.dependencies import parse_dependency
from clusterd.model.ids import GroupId, Incarnation, NodeId, ResourceId, key_of
from clusterd.model.records import AssignmentRecord, GroupRecord, ResourceRecord, ResourceReport, ResourceTypeRecord
from clusterd.model.settings import ResourceSettings, TypeSettings, resource_settings, type_settings
from clusterd.model.states import MigrationState, NextAction, Order, ResourceState, Wanted
from clusterd.model.type_times import own_times
from clusterd.owner.commands import CallAnswer, CallOutcome, CallReason, HostCall, Hosted, Verb
from clusterd.owner.group import Departure, OwnedGroup, provider_order
from clusterd.owner.hands_off import note_wishes
from clusterd.owner.hosts import Hosts
from clusterd.owner.journeys import restored_departure
from clusterd.owner.machine import Happening, Held
from clusterd.owner.renewal import recalled

ORPHAN_AGAIN_MS = 2000
RUNS_NOTHING = "runs-nothing"
_DEFAULT_SETTINGS = resource_settings(ResourceRecord(ResourceId(""), GroupId(""), ""))


@dataclass(slots=True)
class Adoption:
    """What hosts said they run, until an assignment claims it or it is stopped."""

    _found: dict[str, Hosted] = field(default_factory=dict)
    _ending: dict[int, Hosted] = field(default_factory=dict)
    """By call: what is being stopped because nothing claims it."""
    _again_ms: dict[str, int] = field(default_factory=dict)
    """What did not stop is stopped again after a pause."""

    def found(self, hosted: Iterable[Hosted]) -> None:
        for each in hosted:
            self._found[key_of(each.resource)] = each

    def happened(self, resource: ResourceId, generation: int, what: Happening, message: str) -> bool:
        """Something befell what nobody has claimed yet. False: that is not known here."""
        hosted = self._found.get(key_of(resource))
        if hosted is None or hosted.generation != generation:
            return False
        state = _STATE_AFTER.get(what, hosted.state)
        says = {Happening.EMBEDDED_FAILED: message, Happening.EMBEDDED_WELL: ""}.get(what, hosted.embedded_failure)
        concern = message if what is Happening.CONCERN else hosted.concern
        doubt = message if what is Happening.DOUBT else hosted.doubt
        self._found[key_of(resource)] = replace(
            hosted, state=state, embedded_failure=says, concern=concern, doubt=doubt
        )
        return True

    def host_ended(self, served: Collection[str]) -> None:
        """A host ended before anybody claimed what it ran: that has failed, and is to be stopped like anything that did."""
        self._ending = {number: each for number, each in self._ending.items() if key_of(each.resource) not in served}
        for name in served:
            self._again_ms.pop(name, None)
            if name in self._found:
                self._found[name] = replace(self._found[name], state=ResourceState.FAILED, pid=0)

    def claim(self, resource: str, generation: int) -> Hosted | None:
        """The running thing for this resource and generation, once."""
        hosted = self._found.get(resource)
        if hosted is None or hosted.generation != generation:
            return None
        return self._found.pop(resource)

    def claim_rest(self, group: GroupId, generation: int, but_for: Collection[str]) -> dict[str, Hosted]:
        """Everything of a group under this generation that nobody has claimed, once; nothing of those in `but_for`."""
        found = {
            name: hosted
            for name, hosted in self._found.items()
            if name not in but_for and key_of(hosted.group) == key_of(group) and hosted.generation == generation
        }
        for name in found:
            del self._found[name]
        return found

    def orphan_calls(
        self, groups: Mapping[str, OwnedGroup], hosts: Hosts, incarnation: Incarnation, now_ms: int
    ) -> list[HostCall]:
        """Stop what no assignment claims. Call only after the first linearizable read of this daemon."""
        claimed = {name for group in groups.values() for name in group.held}
        calls = []
        for name, hosted in list(self._found.items()):
            host = hosts.ensure(hosted.resource, _DEFAULT_SETTINGS)
            is_too_early = now_ms < self._again_ms.get(name, 0)
            if is_too_early or not hosts.is_up(host) or hosts.is_busy(name, is_terminating=True):
                continue
            del self._found[name]
            self._again_ms.pop(name, None)
            if name in claimed and groups_generation(groups, name) == hosted.generation:
                continue
            call = HostCall(
                hosts.next_call_id(),
                host,
                Verb.TERMINATE,
                hosted.resource,
                hosted.type,
                hosted.group,
                hosted.generation,
                incarnation,
                {},
                _DEFAULT_SETTINGS,
                CallReason.ORPHANED,
            )
            hosts.began(call, now_ms)
            self._ending[call.call_id] = hosted
            calls.append(call)
        return calls

    def ended(self, call: HostCall, answer: CallAnswer, now_ms: int) -> bool:
        """Take the answer to a call of `orphan_calls`. False: it is about something else."""
        hosted = self._ending.pop(call.call_id, None)
        if hosted is None:
            return False
        name = key_of(hosted.resource)
        if answer.outcome not in (CallOutcome.DONE, CallOutcome.STALE):
            self._found.setdefault(name, hosted)
            self._again_ms[name] = now_ms + ORPHAN_AGAIN_MS
        return True

    def next_look_ms(self, now_ms: int) -> int | None:
        """When something is to be stopped again. What was due already waits for its host, whose coming is heard."""
        due = (at_ms for name, at_ms in self._again_ms.items() if name in self._found and at_ms > now_ms)
        return min(due, default=None)


def groups_generation(groups: Mapping[str, OwnedGroup], resource: str) -> int | None:
    """The generation of the owned group that holds a resource."""
    return next((group.assignment.generation for group in groups.values() if resource in group.held), None)


def take_group(
    view: DatabaseView,
    node: NodeId,
    known: OwnedGroup | None,
    assignment: AssignmentRecord,
    record: GroupRecord | None,
    adoption: Adoption,
) -> OwnedGroup:
    """The group as committed now, with what is known of its resources carried over. Without a record it was deleted."""
    is_deleted = record is None
    record = record or GroupRecord(assignment.group, wanted=Wanted.OFFLINE, id=assignment.group_id)
    records = {} if is_deleted else {key_of(each.name): each for each in view.resources_of(record.name)}
    is_same = known is not None and known.assignment.generation == assignment.generation
    if known is not None and is_same:
        group = known
        group.assignment, group.record = assignment, record
    else:
        group = OwnedGroup(assignment, record, reset_id=record.reset_id)
    group.is_deleted = is_deleted
    reports = _last_reports(view, record)
    report = view.report(record.name)
    if not is_same:
        group.may_continue = _is_expected(view, assignment)
        if report is not None and report.migration is not None:
            is_from_source = report.generation + 1 == assignment.generation and report.is_released
            is_mine = report.generation == assignment.generation
            if is_mine or (is_from_source and report.migration.number == assignment.migration):
                group.arrived = report.migration
            if is_mine and (report.migration.failed or assignment.order is Order.MIGRATE):
                group.departure = restored_departure(report.migration)
    if not is_same and report is not None and report.generation == assignment.generation:
        group.last_report = report
        group.is_released = report.is_released
        group.failed_over_by, group.failed_over_because = report.failed_over_by, report.failed_over_because
        group.reset_id = report.reset_id
        group.was_online, group.steps, group.waits_for_node = report.was_online, report.steps, report.waits_for_node
    group.records = records
    note_wishes(view, node, group)
    for name, resource in records.items():
        group.settings[name] = settings_on(view, node, resource)
        group.dependencies[name] = parse_dependency(resource.depends_on)
        if name not in group.held:
            held = _first_held(resource.name, reports.get(name))
            hosted = adoption.claim(name, assignment.generation)
            before = reports.get(name) if group.last_report is not None else None
            held = replace(held, ran_as=before.ran_as) if before is not None else held
            group.held[name] = _adopted(group, held, hosted, before) if hosted else _restored(held, before)
            group.held[name] = recalled(group.held[name], resource, before)
            if name not in reports:
                group.held[name] = replace(
                    group.held[name],
                    fail_id=resource.fail_id,
                    kill_id=resource.kill_id,
                    restart_id=resource.restart_id,
                )
    adopt_leftovers(group, adoption)
    group.idle = frozenset(name for name, each in records.items() if _runs_nothing(view, node, each))
    dependencies = {name: group.dependencies[name] for name in group.held if name in group.dependencies}
    group.order = provider_order(dependencies)
    return group


def adopt_leftovers(group: OwnedGroup, adoption: Adoption) -> None:
    """What a host runs of a deleted group or resource is its owner's to stop, and to say so; only the host knows of it.

    The report goes on naming it until nothing of it is left: by that the others know when its name is free.
    """
    present = {*group.held, *group.records}
    for name, hosted in adoption.claim_rest(group.record.name, group.assignment.generation, present).items():
        state = ResourceState.ONLINE if hosted.state is ResourceState.ONLINE else ResourceState.FAILED
        group.held[name] = Held(name=hosted.resource, state=state, may_run=True, pid=hosted.pid)
        group.settings[name] = _DEFAULT_SETTINGS
        group.dependencies[name] = parse_dependency("")
        group.order = (*group.order, name)


def adopt_late(group: OwnedGroup, adoption: Adoption) -> None:
    """A host told what it runs only after its group was taken: what is believed to be offline is not."""
    adopt_leftovers(group, adoption)
    for name, held in group.held.items():
        if held.may_run or held.is_prepared or held.state not in (ResourceState.OFFLINE, ResourceState.FAILED):
            continue
        hosted = adoption.claim(name, group.assignment.generation)
        if hosted is not None:
            group.held[name] = _adopted(group, held, hosted, _reported(group, name))


def _reported(group: OwnedGroup, name: str) -> ResourceReport | None:
    resources = group.last_report.resources if group.last_report is not None else ()
    return next((each for each in resources if key_of(each.name) == name), None)


def settings_on(view: DatabaseView, node: NodeId, resource: ResourceRecord) -> ResourceSettings:
    """The resource's own settings over its type's: what operators set for it, and what the type says itself."""
    known = view.get(ResourceTypeRecord, keys.resource_type(resource.type, node))
    own = own_times(known.schema) if known is not None else TypeSettings()
    return resource_settings(resource, type_settings(view.type_settings(resource.type), own))


def _runs_nothing(view: DatabaseView, node: NodeId, resource: ResourceRecord) -> bool:
    known = view.get(ResourceTypeRecord, keys.resource_type(resource.type, node))
    return known is not None and RUNS_NOTHING in known.abilities


def _last_reports(view: DatabaseView, record: GroupRecord) -> dict[str, ResourceReport]:
    report = view.report(record.name)
    return {key_of(each.name): each for each in report.resources} if report else {}


def _first_held(shown: ResourceId, before: ResourceReport | None) -> Held:
    """Counters, sequence numbers and carried-out requests survive a change of owner; states do not."""
    if before is None:
        return Held(name=shown)
    return Held(
        name=shown,
        sequence=before.sequence,
        restarts=before.restarts,
        fail_id=before.fail_id,
        kill_id=before.kill_id,
        restart_id=before.restart_id,
        since_wall_ms=before.since_wall_ms,
        is_apart=before.is_apart,
    )


def _is_expected(view: DatabaseView, assignment: AssignmentRecord) -> bool:
    """Whether what this node prepared last for the group is what the group came by."""
    said = view.migration(assignment.group)
    return (
        said is not None
        and said.state is MigrationState.READY
        and (said.number, said.incarnation) == (assignment.migration, assignment.incarnation)
    )


def _adopted(group: OwnedGroup, held: Held, hosted: Hosted, before: ResourceReport | None) -> Held:
    """What a host runs goes on. What maintenance was in force for stays what it was."""
    if hosted.is_prepared and group.may_continue:
        return replace(held, is_prepared=True)
    if hosted.is_moved:
        group.departure = group.departure or Departure(group.assignment.migration)
        group.departure.moved.add(key_of(held.name))
    is_hands_off = before is not None and before.is_hands_off
    held = replace(held, may_run=True, pid=hosted.pid, is_hands_off=is_hands_off)
    if hosted.state is ResourceState.ONLINE:
        return replace(
            held,
            state=ResourceState.ONLINE,
            sequence=held.sequence + 1,
            embedded_failure=hosted.embedded_failure,
            concern=hosted.concern,
            doubt=hosted.doubt,
            doubt_since_wall_ms=before.doubt_since_wall_ms if before is not None and hosted.doubt else 0,
            doubt_since_cluster_ms=before.doubt_since_cluster_ms if before is not None and hosted.doubt else 0,
            cause="it went on running while this node's daemon restarted",
        )
    if before is not None and is_hands_off and before.state is ResourceState.OFFLINE:
        return replace(held, state=before.state, cause=before.cause, left_alone=before.left_alone)
    if hosted.state is ResourceState.FAILED and (before is None or before.state is ResourceState.ONLINE):
        return replace(held, state=ResourceState.ONLINE, sequence=held.sequence + 1, failed_meanwhile=True)
    if before is not None and before.state is ResourceState.FAILED:
        return replace(
            held,
            state=before.state,
            cause=before.cause,
            left_alone=before.left_alone,
            evidence=before.evidence,
            next_action=before.next_action,
            next_action_cluster_ms=before.next_action_cluster_ms,
        )
    if hosted.state is ResourceState.OFFLINE_PENDING:
        cause = "it was going offline when this node's daemon restarted"
        return replace(held, state=ResourceState.OFFLINE_PENDING, sequence=held.sequence + 1, cause=cause)
    return replace(
        held,
        state=ResourceState.FAILED,
        sequence=held.sequence + 1,
        cause=_BETWEEN_STATES,
        next_action=NextAction.RESUME,
        next_action_cluster_ms=1,
    )


def _restored(held: Held, before: ResourceReport | None) -> Held:
    """A restarted daemon goes on with the failure policy, and with maintenance, where its predecessor reported it."""
    if before is None:
        return held
    held = replace(held, is_hands_off=before.is_hands_off, evidence=before.evidence if before.may_run else "")
    if before.is_hands_off and before.state is ResourceState.ONLINE:
        # No host runs it any more, and nobody may start it: that is said, and judged when maintenance ends.
        failed = replace(held, state=ResourceState.FAILED, sequence=held.sequence + 1, cause=_FAILED_MEANWHILE)
        return replace(failed, left_alone=_LEFT_ALONE)
    if before.state is not ResourceState.FAILED and not before.is_hands_off:
        return held
    return replace(
        held,
        state=before.state,
        cause=before.cause,
        left_alone=before.left_alone,
        next_action=before.next_action,
        next_action_cluster_ms=before.next_action_cluster_ms,
    )


_STATE_AFTER = {
    Happening.CHECK_FAILED: ResourceState.FAILED,
    Happening.STOPPED_ITSELF: ResourceState.FAILED,
    Happening.CHECK_PASSED: ResourceState.ONLINE,
}
_BETWEEN_STATES = "it was between two states when this node's daemon restarted; it is stopped and started afresh"
_FAILED_MEANWHILE = "it failed while this node's daemon restarted"
_LEFT_ALONE = "hands off: nothing is touched"
