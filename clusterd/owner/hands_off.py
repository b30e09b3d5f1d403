"""For what is maintenance in force, and what follows when it begins and ends? Pure.

It is in force for a resource once nothing is under way for it, and for all of a group at once when it was asked for the
group, its node or the cluster. Nothing of it is touched then: what fails stays as it is, and is said. It ends when nobody
asks for it any more; what is still failed is judged then, as if it had failed at that moment. A group of which something
must not be touched cannot go elsewhere: who failed beside it and would have failed the group over is judged again, too.

An order of the leader that crossed the beginning wins as long as no committed report says that maintenance is in force.
"""

from dataclasses import replace

from clusterd.database import DatabaseView
from clusterd.model.ids import NodeId
from clusterd.model.maintenance import HandsOff, Level, group_hands_off
from clusterd.model.states import EmbeddedFailureAction, NextAction, Order, ResourceState, RestartAction
from clusterd.owner.consequences import apply, judge, left_alone
from clusterd.owner.desk import Desk
from clusterd.owner.group import Intent, OwnedGroup, under_way
from clusterd.owner.machine import Happening, Held
from clusterd.owner.now import Now

_LEAVING = (Order.RELEASE, Order.MIGRATE)


def note_wishes(view: DatabaseView, node: NodeId, group: OwnedGroup) -> None:
    """Bring in who asks to keep hands off the group and its resources."""
    covering = group_hands_off(view.cluster(), view.node(node), group.record)
    group.hands_off = covering.text if covering is not None else ""
    group.hands_off_resources = {}
    for name, record in group.records.items():
        if record.maintenance is not None:
            group.hands_off_resources[name] = HandsOff(Level.RESOURCE, record.name, record.maintenance).text


def asked_for(group: OwnedGroup, name: str) -> str:
    """Who asks to keep hands off a resource; empty: nobody."""
    return group.hands_off or group.hands_off_resources.get(name, "")


def end_hands_off(desk: Desk, group: OwnedGroup, now: Now) -> None:
    """What nobody asks for any more is over, and so is what an order or the end of the node overrides."""
    before = left_alone(group)
    is_overridden = desk.is_node_stopping or group.is_given_up or group.is_deleted or _crossed(group)
    for name, held in list(group.held.items()):
        if held.is_hands_off and (is_overridden or not asked_for(group, name)):
            group.held[name] = replace(held, is_hands_off=False)
            desk.mark(group)
            _judge_late(desk, group, name, now)
    if before and not left_alone(group) and not group.failed_over_by:
        for name, held in list(group.held.items()):
            is_resting = held.state is ResourceState.FAILED and held.next_action in (NextAction.NONE, NextAction.RETRY)
            if is_resting and group.settings[name].restart_action is RestartAction.RESTART_THEN_FAIL_OVER:
                group.held[name] = judge(desk, group, name, held, now)


def begin_hands_off(desk: Desk, group: OwnedGroup, intent: Intent) -> bool:
    """Maintenance that was asked for comes into force where nothing is under way. True when it did for anything."""
    is_going = group.is_given_up or group.is_deleted or group.is_released or group.assignment.order in _LEAVING
    if desk.is_node_stopping or is_going:
        return False
    names = [name for name, held in group.held.items() if not held.is_hands_off and asked_for(group, name)]
    moving = under_way(group, intent) | {name for name in names if desk.hosts.is_busy(name, is_terminating=False)}
    if group.hands_off and moving:
        names = []
    began = [name for name in names if name not in moving]
    for name in began:
        held = group.held[name]
        is_resting = held.state is ResourceState.FAILED
        left = asked_for(group, name) if is_resting else held.left_alone
        action = (NextAction.NONE, 0) if is_resting else (held.next_action, held.next_action_cluster_ms)
        group.held[name] = replace(
            held, is_hands_off=True, left_alone=left, next_action=action[0], next_action_cluster_ms=action[1]
        )
    return bool(began)


def _crossed(group: OwnedGroup) -> bool:
    """Whether the group was ordered away before the cluster knew that maintenance is in force."""
    said = group.last_report is not None and group.last_report.is_hands_off
    return group.assignment.order is Order.RELEASE and not said and group.is_hands_off


def _judge_late(desk: Desk, group: OwnedGroup, name: str, now: Now) -> None:
    held = group.held[name]
    if held.state is ResourceState.FAILED:
        group.held[name] = judge(desk, group, name, replace(held, left_alone=""), now)
    elif _is_to_be_recovered(group, name, held):
        apply(desk, group, name, Happening.CHECK_FAILED, f"the workload inside: {held.embedded_failure}", now)


def _is_to_be_recovered(group: OwnedGroup, name: str, held: Held) -> bool:
    return bool(held.embedded_failure) and group.settings[name].embedded_failure_action is EmbeddedFailureAction.RECOVER
