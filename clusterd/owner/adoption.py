"""What did the hosts already run when this daemon came, and what of it may go on? Pure.

A restarted daemon finds its hosts and workloads alive. What belongs to a committed assignment of this incarnation, with the
same generation, is adopted as it is: same processes, nothing restarted. Everything else is stopped.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from clusterd.database import DatabaseView
from clusterd.model.dependencies import parse_dependency
from clusterd.model.ids import GroupId, Incarnation, ResourceId, key_of
from clusterd.model.records import AssignmentRecord, GroupRecord, ResourceRecord, ResourceReport
from clusterd.model.settings import resource_settings
from clusterd.model.states import ResourceState
from clusterd.owner.commands import HostCall, Hosted, Verb
from clusterd.owner.group import OwnedGroup, provider_order
from clusterd.owner.hosts import Hosts
from clusterd.owner.machine import Held

_DEFAULT_SETTINGS = resource_settings(ResourceRecord(ResourceId(""), GroupId(""), ""))


@dataclass(slots=True)
class Adoption:
    """What hosts said they run, until an assignment claims it or it is stopped."""

    _found: dict[str, Hosted] = field(default_factory=dict)

    def found(self, hosted: Iterable[Hosted]) -> None:
        for each in hosted:
            self._found[key_of(each.resource)] = each

    def claim(self, resource: str, generation: int) -> Hosted | None:
        """The running thing for this resource and generation, once."""
        hosted = self._found.get(resource)
        if hosted is None or hosted.generation != generation:
            return None
        return self._found.pop(resource)

    def orphan_calls(
        self, groups: Mapping[str, OwnedGroup], hosts: Hosts, incarnation: Incarnation, now_ms: int
    ) -> list[HostCall]:
        """Stop what no assignment claims. Call only after the first linearizable read of this daemon."""
        claimed = {name for group in groups.values() for name in group.held}
        calls = []
        for name, hosted in list(self._found.items()):
            host, _ = hosts.ensure(hosted.resource, _DEFAULT_SETTINGS)
            if not hosts.is_up(host) or hosts.is_busy(name, is_terminating=True):
                continue
            del self._found[name]
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
                "no assignment claims it",
            )
            hosts.began(call, now_ms)
            calls.append(call)
        return calls


def groups_generation(groups: Mapping[str, OwnedGroup], resource: str) -> int | None:
    """The generation of the owned group that holds a resource."""
    return next((group.assignment.generation for group in groups.values() if resource in group.held), None)


def take_group(
    view: DatabaseView,
    known: OwnedGroup | None,
    assignment: AssignmentRecord,
    record: GroupRecord,
    adoption: Adoption,
) -> OwnedGroup:
    """The group as committed now, with what is known of its resources carried over."""
    records = {key_of(each.name): each for each in view.resources_of(record.name)}
    is_same = known is not None and known.assignment.generation == assignment.generation
    if known is not None and is_same:
        group = known
        group.assignment, group.record = assignment, record
    else:
        group = OwnedGroup(assignment, record, reset_id=record.reset_id)
    reports = _last_reports(view, record)
    report = view.report(record.name)
    if not is_same and report is not None and report.generation == assignment.generation:
        group.last_report = report
        group.is_released = report.is_released
        group.failed_over_by, group.failed_over_because = report.failed_over_by, report.failed_over_because
        group.reset_id = report.reset_id
    group.records = records
    for name, resource in records.items():
        group.settings[name] = resource_settings(resource)
        group.dependencies[name] = parse_dependency(resource.depends_on)
        if name not in group.held:
            held = _first_held(resource.name, reports.get(name))
            hosted = adoption.claim(name, assignment.generation)
            group.held[name] = _adopted(held, hosted) if hosted else _restored(held, reports.get(name), group)
            if name not in reports:
                group.held[name] = replace(group.held[name], fail_id=resource.fail_id)
    dependencies = {name: group.dependencies[name] for name in group.held if name in group.dependencies}
    group.order = provider_order(dependencies)
    return group


def adopt_late(group: OwnedGroup, adoption: Adoption) -> None:
    """A host told what it runs only after its group was taken: what is believed to be offline is not."""
    for name, held in group.held.items():
        if held.may_run or held.state not in (ResourceState.OFFLINE, ResourceState.FAILED):
            continue
        hosted = adoption.claim(name, group.assignment.generation)
        if hosted is not None:
            group.held[name] = _adopted(held, hosted)


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
        since_wall_ms=before.since_wall_ms,
    )


def _adopted(held: Held, hosted: Hosted) -> Held:
    if hosted.state is not ResourceState.ONLINE:
        return replace(
            held,
            state=ResourceState.FAILED,
            sequence=held.sequence + 1,
            may_run=True,
            cause="it was between two states when this node's daemon restarted; it is stopped and started afresh",
            next_action="resume",
            next_action_cluster_ms=1,
        )
    return replace(
        held,
        state=hosted.state,
        sequence=held.sequence + 1,
        may_run=True,
        pid=hosted.pid,
        cause="it went on running while this node's daemon restarted",
    )


def _restored(held: Held, before: ResourceReport | None, group: OwnedGroup) -> Held:
    """A restarted daemon goes on with the failure policy where its predecessor reported it."""
    if before is None or group.last_report is None or before.state is not ResourceState.FAILED:
        return held
    return replace(
        held,
        state=before.state,
        since_wall_ms=before.since_wall_ms,
        cause=before.cause,
        next_action=before.next_action,
        next_action_cluster_ms=before.next_action_cluster_ms,
    )
