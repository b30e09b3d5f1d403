"""How is a host asked for something? Pure. Calls with everything that a host must know, one of a kind at a time."""

from clusterd.model.ids import GroupId, ResourceId
from clusterd.model.records import ResourceRecord
from clusterd.model.settings import ResourceSettings
from clusterd.model.states import MoveKind
from clusterd.owner.commands import CallReason, HostCall, Verb, host_times
from clusterd.owner.desk import Desk
from clusterd.owner.group import OwnedGroup
from clusterd.owner.now import Now
from clusterd.owner.plan import OwnerPlan


def ask(
    desk: Desk,
    group: OwnedGroup,
    name: str,
    verb: Verb,
    reason: CallReason,
    now: Now,
    plan: OwnerPlan,
    *,
    is_urgent: bool = False,
    prepared: str = "",
) -> bool:
    """Send a call unless one of its kind is under way (an urgent one takes its place). False: not yet."""
    held = group.held[name]
    if desk.hosts.is_busy(name, is_terminating=verb is Verb.TERMINATE) and not is_urgent:
        return False
    host = host_for(desk, held.name, group.settings[name])
    if host is None:
        return False
    call = call_of(desk, group, name, host, verb, reason, prepared=prepared)
    desk.hosts.began(call, now.now_ms)
    plan.calls.append(call)
    if verb is Verb.ONLINE:
        desk.told[name] = host_times(group.settings[name])
    return True


def tell(desk: Desk, group: OwnedGroup, name: str, verb: Verb, plan: OwnerPlan) -> bool:
    """Send what nobody waits for the answer of, beside whatever is under way. False: its host is not up."""
    host = desk.hosts.ensure(group.held[name].name, group.settings[name])
    if not desk.hosts.is_up(host):
        return False
    plan.calls.append(call_of(desk, group, name, host, verb, CallReason.NONE))
    return True


def host_for(desk: Desk, resource: ResourceId, settings: ResourceSettings) -> str | None:
    """The host that serves a resource; None while it is not up, and then it will be started."""
    host = desk.hosts.ensure(resource, settings)
    return host if desk.hosts.is_up(host) else None


def call_of(
    desk: Desk, group: OwnedGroup, name: str, host: str, verb: Verb, reason: CallReason, *, prepared: str = ""
) -> HostCall:
    assignment = group.assignment
    return raw_call(
        desk,
        host,
        verb,
        group.records.get(name),
        group.held[name].name,
        group.record.name,
        assignment.generation,
        group.settings[name],
        reason,
        prepared=prepared,
        move_kind=assignment.move_kind if verb is Verb.OFFLINE and reason is CallReason.MOVING else MoveKind.UNSAID,
    )


def raw_call(
    desk: Desk,
    host: str,
    verb: Verb,
    record: ResourceRecord | None,
    resource: ResourceId,
    group: GroupId,
    generation: int,
    settings: ResourceSettings,
    reason: CallReason,
    *,
    prepared: str = "",
    move_kind: MoveKind = MoveKind.UNSAID,
) -> HostCall:
    return HostCall(
        desk.hosts.next_call_id(),
        host,
        verb,
        resource,
        record.type if record else "",
        group,
        generation,
        desk.incarnation,
        record.private if record else {},
        settings,
        reason,
        prepared,
        move_kind,
    )
