"""What keeps an old owner of a group from harm, beyond the run lease? Pure. What its disks can do, and what is declared."""

from collections.abc import Collection
from typing import Any

from clusterd.database import DatabaseView
from clusterd.model.ids import key_of
from clusterd.model.ran_as import difference
from clusterd.model.records import GroupRecord, ResourceRecord
from clusterd.model.settings import group_settings
from clusterd.model.sole_effect import SoleEffect, refuses_old_owners, sole_effect
from clusterd.model.states import Order

SOLE_EFFECT = "storage_is_sole_effect"


def guarantee_view(view: DatabaseView, record: GroupRecord) -> dict[str, Any]:
    """`disks`: all of the group's; `refusing_disks`: those whose storage itself refuses an owner that is over."""
    found = _sole_effect(view, record)
    abilities = _abilities(view)
    refusing = [each.name for each in found.disks if refuses_old_owners(each, _of(abilities, each))]
    others = [each.name for each in found.disks if each.name not in refusing]
    is_declared = group_settings(record, 0).storage_is_sole_effect
    obstacle = found.obstacle or _difference(view, record)
    return {
        "disks": [each.name for each in found.disks],
        "refusing_disks": refusing,
        SOLE_EFFECT: is_declared,
        "counts_as_fenced": is_declared and not obstacle,
        "text": _text(refusing, others, is_declared=is_declared, obstacle=obstacle),
    }


def sole_effect_notes(view: DatabaseView, record: GroupRecord) -> list[str]:
    """Why the declaration is of no effect, as the group is now."""
    if not group_settings(record, 0).storage_is_sole_effect:
        return []
    obstacle = _sole_effect(view, record).obstacle or _difference(view, record)
    return [f"{SOLE_EFFECT} has no effect (rule sole-effect): {obstacle}"] if obstacle else []


def fence_lines(view: DatabaseView, record: GroupRecord) -> tuple[str, ...]:
    """How a storage fence stands that was ordered, or why none can be."""
    order = view.storage_fence(record.name)
    if order is None:
        return tuple(sole_effect_notes(view, record))
    if not order.node:
        return (
            f"its disks could not be taken from {order.owner}: {order.because}",
            f"its last run lease is waited for; what ends it sooner: clusterctl node fence {order.owner}",
        )
    return (f"{order.node} was told to make the storage refuse {order.owner}, under generation {order.number}",)


def _text(refusing: Collection[str], others: Collection[str], *, is_declared: bool, obstacle: str) -> str:
    frozen = "an owner whose whole machine froze"
    if refusing and not others:
        text = f"the storage refuses the writes of {frozen} ({', '.join(refusing)})"
    elif refusing:
        text = f"only {', '.join(refusing)} refuse the writes of {frozen}, not {', '.join(others)}"
    else:
        text = f"no storage refuses the writes of {frozen}: that needs a fence agent or a watchdog"
    if not is_declared:
        return text
    if obstacle:
        return f"{text}; {SOLE_EFFECT} has no effect: {obstacle}"
    return f"{text}; when it refuses those of a lost owner, that counts as fenced"


def _sole_effect(view: DatabaseView, record: GroupRecord) -> SoleEffect:
    abilities = _abilities(view)
    return sole_effect(view.resources_of(record.name), lambda each: _of(abilities, each))


def _difference(view: DatabaseView, record: GroupRecord) -> str:
    """Why what its owner runs is not known to be what is defined now; empty: it is, or nobody was told to run it."""
    assignment = view.assignment_of(record)
    if assignment is None or not assignment.owner or assignment.order is Order.HOLD:
        return ""
    return difference(view.resources_of(record.name), view.report_under(assignment), assignment.owner)


def _of(abilities: dict[str, tuple[str, ...]], resource: ResourceRecord) -> tuple[str, ...]:
    return abilities.get(key_of(resource.type), ())


def _abilities(view: DatabaseView) -> dict[str, tuple[str, ...]]:
    """By type, as any node says; the leader goes by those of the node that is to take the disks."""
    return {key_of(each.name): each.abilities for each in view.resource_types()}
