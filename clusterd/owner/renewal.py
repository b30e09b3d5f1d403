"""Does a resource that is online run with the properties that its record has now, and how does it get them? Pure.

What runs goes on with what it was told when it came online. Properties that were changed since are in force after a
restart: that is reported, with the values that are in force. A restart is a request in the record, like a simulated
failure: it counts as carried out when the resource has been stopped in good order, or was not online anyway, and then
it comes online as it is wanted.
"""

from dataclasses import replace

from clusterd.model.ran_as import ran_as
from clusterd.model.records import Properties, ResourceRecord, ResourceReport
from clusterd.model.states import PENDING_STATES, NextAction, ResourceState
from clusterd.owner.machine import Held


def outdated(held: Held, record: ResourceRecord | None) -> tuple[Properties, bool]:
    """Of the properties that were changed since it came online: the values in force; and whether there are any."""
    if record is None or held.state is not ResourceState.ONLINE:
        return {}, False
    if held.told is None:
        return {}, bool(held.ran_as) and held.ran_as != ran_as(record)
    told, wanted = held.told, record.private
    if told == wanted:
        return {}, False
    changed = sorted(name for name in told.keys() | wanted.keys() if told.get(name) != wanted.get(name))
    return {name: told.get(name) for name in changed}, bool(changed)


def recalled(held: Held, record: ResourceRecord, before: ResourceReport | None) -> Held:
    """What an earlier daemon told it, from what that reported."""
    if before is None or held.state is not ResourceState.ONLINE:
        return held
    if before.in_force:
        told = {**record.private, **before.in_force}
        return replace(held, told={name: value for name, value in told.items() if value is not None})
    is_same = not before.is_outdated and before.ran_as in ("", ran_as(record))
    return replace(held, told=record.private if is_same else None)


def is_to_restart(held: Held, record: ResourceRecord | None) -> bool:
    """Whether somebody wants it stopped and brought online again, and it has not been stopped since."""
    is_asked = record is not None and record.restart_id != held.restart_id
    return is_asked and not held.is_hands_off and held.state is ResourceState.ONLINE


def without_restart(held: Held, record: ResourceRecord) -> Held:
    """A request to restart what is not online is carried out already; what failed need not wait for its next try."""
    if record.restart_id == held.restart_id or held.state is ResourceState.ONLINE or held.state in PENDING_STATES:
        return held
    held = replace(held, restart_id=record.restart_id)
    if held.state is ResourceState.FAILED:
        return replace(held, next_action=NextAction.RESUME, next_action_cluster_ms=1)
    return held
