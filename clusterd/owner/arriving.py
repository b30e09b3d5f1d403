"""What does a node prepare for a group that is to migrate to it? Pure. The destination's half of a live migration.

Told by the assignment (order `migrate`, this run of this node as its target), it prepares what can be moved, providers
first, under the generation that the group will have here, and says what the source must know. What is prepared runs nothing
and takes no lock. It goes on only when the group is assigned here **by this very migration**; for anything else that becomes
of the group it is abandoned first, because the source may have run on since and what arrived is out of date.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from clusterd.database import DatabaseView, Draft
from clusterd.model import keys
from clusterd.model.dependencies import parse_dependency
from clusterd.model.events import MIGRATION_READY
from clusterd.model.ids import GroupId, key_of
from clusterd.model.migrations import MigrationRecord, PreparedResource
from clusterd.model.ran_as import ran_as
from clusterd.model.records import AssignmentRecord, EventRecord, ResourceRecord, ResourceTypeRecord
from clusterd.model.states import MigrationState, Order, ResourceState, Wanted
from clusterd.owner.adoption import Adoption, settings_on
from clusterd.owner.arrival import Arrival
from clusterd.owner.calling import host_for, raw_call
from clusterd.owner.commands import CallAnswer, CallOutcome, CallReason, HostCall, Verb
from clusterd.owner.desk import Desk
from clusterd.owner.group import OwnedGroup, provider_order
from clusterd.owner.now import Now
from clusterd.owner.plan import OwnerPlan

LIVE_MIGRATION = "live-migration"
PREPARED_SIZE_MAX = 4096
QUIET_MS = 1000
_TEXT_LENGTH_MAX = 300
_SMOOTH = (ResourceState.OFFLINE, ResourceState.ONLINE_PENDING, ResourceState.ONLINE)


@dataclass(frozen=True, slots=True)
class MigrationProposal:
    """What this node says as a destination. It holds only while the assignment that it is about stands."""

    group: GroupId
    record: MigrationRecord
    draft: Draft


def is_bound_here(desk: Desk, assignment: AssignmentRecord | None) -> bool:
    """Whether this run of this node is to prepare for it."""
    return (
        assignment is not None
        and assignment.order is Order.MIGRATE
        and bool(desk.incarnation)
        and key_of(assignment.target) == key_of(desk.node)
        and assignment.target_incarnation == desk.incarnation
    )


def expect(desk: Desk, view: DatabaseView, key: str, assignment: AssignmentRecord | None) -> None:
    """Bring in what the cluster committed about a group that this node does not own."""
    arrival = desk.arrivals.get(key)
    if assignment is None or not is_bound_here(desk, assignment) or view.group_of(assignment) is None:
        give_up(desk, key)
    elif arrival is None and key not in desk.groups:
        desk.arrivals[key] = _new_arrival(desk, view, assignment)
        desk.dirty.add(key)
    elif arrival is not None and arrival.assignment.migration != assignment.migration:
        give_up(desk, key)


def give_up(desk: Desk, key: str) -> None:
    """It comes no more, or not as it was prepared for."""
    arrival = desk.arrivals.get(key)
    if arrival is not None:
        arrival.is_over = True
        desk.dirty.add(key)


def is_awaited(desk: Desk, key: str, assignment: AssignmentRecord) -> bool:
    """Whether the group was given to this node by the migration that it prepared for."""
    arrival = desk.arrivals.get(key)
    return (
        arrival is not None
        and not arrival.is_over
        and arrival.is_ready
        and (arrival.assignment.migration, arrival.generation) == (assignment.migration, assignment.generation)
    )


def welcome(desk: Desk, key: str, group: OwnedGroup) -> None:
    """It is here: what was prepared belongs to the group now."""
    arrival = desk.arrivals.pop(key)
    for name in arrival.touched & group.held.keys():
        group.held[name] = replace(group.held[name], is_prepared=True, ran_as=ran_as(arrival.records[name]))


def _new_arrival(desk: Desk, view: DatabaseView, assignment: AssignmentRecord) -> Arrival:
    records = {key_of(each.name): each for each in view.resources_of(assignment.group)}
    order = provider_order({name: parse_dependency(each.depends_on) for name, each in records.items()})
    arrival = Arrival(assignment)
    report = view.report(assignment.group)
    for each in report.resources if report is not None else ():
        if each.is_apart:
            desk.hosts.set_apart(each.name)
    for name in order:
        if _can_migrate(desk, view, records[name]):
            arrival.records[name] = records[name]
            arrival.settings[name] = settings_on(view, desk.node, records[name])
    if not arrival.records:
        arrival.failed = "nothing of it can migrate to this node"
    return arrival


def _can_migrate(desk: Desk, view: DatabaseView, record: ResourceRecord) -> bool:
    known = view.get(ResourceTypeRecord, keys.resource_type(record.type, desk.node))
    return record.wanted is Wanted.ONLINE and known is not None and LIVE_MIGRATION in known.abilities


# ---- what to do ----


def plan_arrival(desk: Desk, view: DatabaseView, key: str, adoption: Adoption, now: Now, plan: OwnerPlan) -> bool:
    """Prepare, say so, or abandon. True: nothing of it is left, and it can be forgotten."""
    arrival = desk.arrivals[key]
    if not arrival.is_adopted:
        arrival.is_adopted = True
        _adopt(desk, view, arrival, adoption)
    if desk.is_node_stopping and not arrival.failed:
        arrival.failed = "the node is being stopped"
    if arrival.is_over or arrival.failed:
        for name in sorted(arrival.touched):
            _ask(desk, arrival, name, Verb.TERMINATE, CallReason.ABANDONED, now, plan, is_terminating=True)
    else:
        _prepare_next(desk, arrival, now, plan)
    if arrival.is_over:
        return not arrival.touched
    _say(desk, view, arrival, now, plan)
    return False


def _adopt(desk: Desk, view: DatabaseView, arrival: Arrival, adoption: Adoption) -> None:
    """An earlier daemon of this run may have prepared for it. What it has not said is prepared anew."""
    said = view.migration(arrival.assignment.group)
    if said is not None and (said.number, said.incarnation) != (arrival.assignment.migration, desk.incarnation):
        said = None
    texts = {key_of(each.name): each.text for each in said.prepared} if said is not None else {}
    for name in arrival.records:
        hosted = adoption.claim(name, arrival.generation)
        if hosted is None:
            continue
        arrival.touched.add(name)
        if hosted.is_prepared and name in texts:
            arrival.texts[name] = texts[name]
    arrival.said = said
    if said is not None and said.state is MigrationState.FAILED:
        arrival.failed = said.because
    elif said is not None and not arrival.is_ready:
        arrival.failed = "what was prepared was lost"


def _prepare_next(desk: Desk, arrival: Arrival, now: Now, plan: OwnerPlan) -> None:
    """One after the other: what comes later may need what comes first."""
    name = next((each for each in arrival.records if each not in arrival.texts), None)
    if name is not None and _ask(
        desk, arrival, name, Verb.PREPARE, CallReason.MIGRATING, now, plan, is_terminating=False
    ):
        arrival.touched.add(name)


def _ask(
    desk: Desk,
    arrival: Arrival,
    name: str,
    verb: Verb,
    reason: CallReason,
    now: Now,
    plan: OwnerPlan,
    *,
    is_terminating: bool,
) -> bool:
    record, settings = arrival.records[name], arrival.settings[name]
    if desk.hosts.is_busy(name, is_terminating=is_terminating):
        return False
    host = host_for(desk, record.name, settings)
    if host is None:
        return False
    desk.hosts.place(record.name, host)
    group, generation = arrival.assignment.group, arrival.generation
    call = raw_call(desk, host, verb, record, record.name, group, generation, settings, reason)
    desk.hosts.began(call, now.now_ms)
    plan.calls.append(call)
    return True


def _say(desk: Desk, view: DatabaseView, arrival: Arrival, now: Now, plan: OwnerPlan) -> None:
    if arrival.is_reporting or not (arrival.is_ready or arrival.failed):
        return
    state = MigrationState.FAILED if arrival.failed else MigrationState.READY
    if arrival.said is not None and arrival.said.state is state:
        return
    assignment = arrival.assignment
    record = MigrationRecord(
        assignment.group,
        desk.node,
        desk.incarnation,
        assignment.migration,
        state,
        () if arrival.failed else _prepared(arrival),
        arrival.failed,
        now.wall_ms,
    )
    draft = Draft(view).replace(record).expect(keys.assignment(assignment.group))
    if state is MigrationState.READY:
        text = f"{desk.node} is ready to take {assignment.group} over"
        kind = MIGRATION_READY
        draft.event(
            EventRecord(now.wall_ms, kind.name, kind.level, node=desk.node, group=assignment.group, message=text)
        )
    arrival.is_reporting = True
    plan.migrations.append(MigrationProposal(assignment.group, record, draft))


def _prepared(arrival: Arrival) -> tuple[PreparedResource, ...]:
    return tuple(PreparedResource(record.name, arrival.texts[name]) for name, record in arrival.records.items())


def is_quiet(desk: Desk, group: OwnedGroup, now: Now) -> bool:
    """Whether the next thing to report of a group that came is that it goes on, which follows at once: what is said before
    it only keeps everybody busy while it stands still."""
    is_coming = group.is_arriving and group.is_wanted_here and group.is_confirmed
    if not is_coming or any(held.state not in _SMOOTH or held.is_hands_off for held in group.held.values()):
        return False
    group.quiet_until_ms = group.quiet_until_ms or now.now_ms + QUIET_MS
    if now.now_ms >= group.quiet_until_ms:
        return False
    desk.look_at(group, group.quiet_until_ms)
    return True


# ---- what hosts and the cluster say ----


def answered(desk: Desk, arrival: Arrival, call: HostCall, answer: CallAnswer) -> None:
    name = key_of(call.resource)
    desk.dirty.add(key_of(call.group))
    if call.generation != arrival.generation:
        return
    if call.verb is Verb.TERMINATE:
        if answer.outcome in (CallOutcome.DONE, CallOutcome.STALE):
            arrival.touched.discard(name)
            desk.hosts.displace(call.resource)
            desk.hosts.forget_calls(call.resource)
        else:
            kill = desk.hosts.kill(call.host, f"hung call {call.verb} of {call.resource}", blamed=call.resource)
            desk.kills.extend([kill] if kill is not None else [])
        return
    if answer.outcome is CallOutcome.DONE and len(answer.prepared.encode()) <= PREPARED_SIZE_MAX:
        arrival.texts[name] = answer.prepared
        return
    too_long = f"it says more than {PREPARED_SIZE_MAX} bytes"
    arrival.failed = f"{call.resource}: {answer.message or too_long}"[:_TEXT_LENGTH_MAX]
    if answer.outcome is CallOutcome.HUNG:
        kill = desk.hosts.kill(call.host, f"hung call prepare of {call.resource}", blamed=call.resource)
        desk.kills.extend([kill] if kill is not None else [])


def host_ended(desk: Desk, served: Iterable[str], because: str) -> None:
    """What was prepared in a host is gone with it."""
    for name in served:
        arrival = desk.arrival_of(name)
        if arrival is not None and name in arrival.touched:
            arrival.touched.discard(name)
            arrival.texts.pop(name, None)
            arrival.failed = arrival.failed or f"its resource host ended: {because}"[:_TEXT_LENGTH_MAX]


def said(desk: Desk, proposal: MigrationProposal, *, has_succeeded: bool, refused: str = "") -> None:
    """The outcome of what this node wanted to say is known."""
    arrival = desk.arrivals.get(key_of(proposal.group))
    if arrival is None or arrival.assignment.migration != proposal.record.number:
        return
    arrival.is_reporting = False
    if has_succeeded:
        arrival.said = proposal.record
    elif refused:
        arrival.failed = arrival.failed or f"what was prepared cannot be told: {refused}"[:_TEXT_LENGTH_MAX]
    desk.dirty.add(key_of(proposal.group))
