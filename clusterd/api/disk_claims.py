"""Whose claims are on a disk, and which of them may be ended at an operator's wish? Pure.

Never one of an owner of this cluster that may still run, or may begin to. A claim of this cluster has the generation of its
owner. One up to the group's own is ended by the next owner anyway. One above it was made by nobody who has the group now: by
a former cluster of the same name, say. So that nobody is given that generation while the claim is being ended, the group's
floor is raised over it, in a transaction that compares all that this rests on. Whoever is given the group from then on has
another key, however late the node that ends the claim comes to do so. (A live migration goes to the generation after the
owner's; the group would have to come online before, and the node that ends the claim gives up long before that.)
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from clusterd.api.checks import refuse
from clusterd.api.disk_use import observed_disk, why_not_offline
from clusterd.api.finding import find_group, find_resource
from clusterd.api.plans import Asked, Plan, Planner
from clusterd.api.seen_disks import DISK_TYPE
from clusterd.database import DatabaseView, Draft
from clusterd.leader.standing import is_over
from clusterd.model import keys
from clusterd.model.errors import Conflict
from clusterd.model.events import CLAIMS_CLEAR_ASKED, CLAIMS_CLEARED, CLAIMS_KEPT, Event
from clusterd.model.ids import NodeId, key_of
from clusterd.model.records import AssignmentRecord, Json, ResourceRecord
from clusterd.model.states import Order, ResourceState

FLOOR_MAX = 1 << 31
"""Above it generations could run out."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A key that is registered at a disk. `nodes` are those that could have made it, if it is of this cluster."""

    key: str
    is_holder: bool = False
    is_ours: bool = False
    generation: int = 0
    nodes: tuple[str, ...] = ()
    owner: str = ""

    def __str__(self) -> str:
        of = "of no node of this cluster"
        if self.is_ours:
            of = f"generation {self.generation} of this cluster" if self.generation else "left by a trial"
        who = f", of {self.owner}" if self.owner else ""
        return f"{self.key} ({of}{who}{', holding it' if self.is_holder else ''})"


@dataclass(frozen=True, slots=True)
class ClaimsSeen:
    """What one node finds on the disk of these properties, and when, by its own boot-time clock."""

    node: NodeId
    properties: Mapping[str, Json]
    claims: tuple[Claim, ...]
    at_ms: int


def claims_of(told: Sequence[Mapping[str, Any]]) -> tuple[Claim, ...]:
    """From a node's answer. Raises KeyError, TypeError for what is none."""
    return tuple(
        Claim(
            str(each["key"]),
            bool(each["is_holder"]),
            bool(each["is_ours"]),
            int(each["generation"]),
            tuple(each["nodes"]),
            str(each["owner"]),
        )
        for each in told
    )


def clear_claims(name: str, seen: ClaimsSeen, wanted: Collection[str] | None) -> Planner:
    """Say that claims are to be ended, and see to it that nobody else can have them. `wanted`: the keys that a person was
    shown; None: whatever is there and may be ended."""

    def plan(view: DatabaseView, asked: Asked) -> Plan:
        record = find_resource(view, name)
        expect_clearable(view, record, is_quorate=asked.status.is_quorate)
        chosen = [each for each in seen.claims if wanted is None or each.key in wanted]
        is_other = record.private != seen.properties
        if is_other or (wanted is not None and len(chosen) < len(wanted)):
            what = "is another disk than the one" if is_other else "has other claims than those"
            raise Conflict(f"{record.name} {what} that was looked at", hint="look again, and repeat the command")
        generation = _generation(view, record)
        ended = [each for each in chosen if not _ends_itself(each, generation)]
        refuse(
            [reason for each in ended if (reason := _why_kept(view, record, each))],
            f"claims on {record.name} are not ended",
            rule="claim-may-be-used",
        )
        made = Plan(Draft(view))
        made.notes += [
            f"claim {each} is not ended: the next owner does that by itself, clusterctl group online {record.group}"
            for each in chosen
            if each not in ended
        ]
        if not ended:
            made.notes += [] if chosen else [f"{seen.node} finds no claim on {record.name}"]
            return made
        _write(made, view, asked, record, ended, seen.node)
        return made

    return plan


def tell_outcome(name: str, ended: Sequence[str], because: str) -> Planner:
    """What became of it, for the timeline. `because`: why it was not done; empty: it was."""

    def plan(view: DatabaseView, asked: Asked) -> Plan:
        record = find_resource(view, name)
        made = Plan(Draft(view))
        kind: Event = CLAIMS_KEPT if because else CLAIMS_CLEARED
        done = (
            f"the claims {', '.join(ended)} on {record.name} were ended"
            if ended
            else f"{record.name} had no claim left"
        )
        text = f"the claims on {record.name} were not ended: {because}" if because else done
        made.event(asked, kind, text, group=record.group, resource=record.name)
        return made

    return plan


def expect_clearable(view: DatabaseView, record: ResourceRecord, *, is_quorate: bool) -> None:
    """Raises Refused for what is no disk, is not offline everywhere, or is to come online."""
    what = f"claims on {record.name} are not ended"
    if record.type != DISK_TYPE:
        refuse([f"it is a {record.type}, and only a {DISK_TYPE} has claims"], what, rule="no-disk")
    find_group(view, record.group)
    found = observed_disk(view, record, is_quorate=is_quorate)
    reason = "its group is gone" if found is None else why_not_offline(view, found)
    is_wanted = found is not None and found.wanted_state is ResourceState.ONLINE
    if not reason and is_wanted and found is not None and found.state is not ResourceState.FAILED:
        reason = "it is wanted online and has not failed: it may come online at any moment"
    hint = f"take it offline first: clusterctl group offline {record.group}"
    refuse([reason] if reason else [], what, hint=hint, rule="disk-in-use")


def _generation(view: DatabaseView, record: ResourceRecord) -> int:
    assignment = view.assignment(record.group)
    return assignment.generation if assignment is not None else 0


def _ends_itself(claim: Claim, generation: int) -> bool:
    return claim.is_ours and 0 < claim.generation <= generation


def _why_kept(view: DatabaseView, record: ResourceRecord, claim: Claim) -> str:
    """It may be that of another group's owner: of the group that had the disk before, say."""
    if not claim.is_ours or not claim.generation:
        return ""
    if claim.generation > FLOOR_MAX:
        return f"{claim}: no generation above it could be given any more; end it with the storage's own tools"
    for each in _possible_makers(view, claim):
        if key_of(each.group) != key_of(record.group):
            return (
                f"{claim}: it may be that of group {each.group}, which {each.owner} has under generation "
                f"{each.generation}; move that group, or prove that {each.owner} is gone"
            )
    return ""


def _possible_makers(view: DatabaseView, claim: Claim) -> list[AssignmentRecord]:
    """Groups with disks, and deleted ones, whose owner has that key and may still run."""
    names = {key_of(each) for each in claim.nodes}
    found = []
    for _, each in view.items(AssignmentRecord):
        claimed = _claimed(view, each)
        is_same = any(key_of(node) in names and number == claim.generation for node, number in claimed)
        if is_same and _has_disk(view, each.group) and not _is_given_up(view, each):
            found.append(each)
    return found


def _claimed(view: DatabaseView, assignment: AssignmentRecord) -> list[tuple[NodeId, int]]:
    """Which nodes may claim disks of a group, under which generations."""
    found = [(assignment.owner, assignment.generation)]
    if assignment.order is Order.MIGRATE:
        found.append((assignment.target, assignment.generation + 1))
    if (fence := view.storage_fence(assignment.group)) is not None:
        found.append((fence.node, fence.number))
    return [each for each in found if each[0]]


def _has_disk(view: DatabaseView, group: str) -> bool:
    """Of a deleted group nobody knows it."""
    return view.group(group) is None or any(each.type == DISK_TYPE for each in view.resources_of(group))


def _is_given_up(view: DatabaseView, assignment: AssignmentRecord) -> bool:
    """Whether it is proven that nothing of it runs, and nothing will under that generation."""
    if view.storage_fence(assignment.group) is not None:
        return False
    report = view.report_under(assignment)
    is_released = report is not None and report.is_released
    return is_released or is_over(assignment, view.membership(assignment.owner))


def _write(
    made: Plan, view: DatabaseView, asked: Asked, record: ResourceRecord, ended: Sequence[Claim], node: NodeId
) -> None:
    group = find_group(view, record.group)
    floor = max([group.generation_floor, *(each.generation for each in ended if each.is_ours)])
    if floor > group.generation_floor:
        made.draft.replace(replace(group, generation_floor=floor))
        made.notes.append(f"the next owner of {group.name} has a generation above {floor}")
    made.draft.expect(keys.group(group.name)).expect(keys.resource(record.name))
    made.draft.expect(keys.assignment(group.name)).expect(keys.report(group.name))
    made.draft.expect(keys.storage_fence(group.name))
    for each in ended:
        made.add("end", "claim", each.key, f"on {record.name}, by way of {node}", str(each))
    told = ", ".join(map(str, ended))
    text = f"claims on {record.name} are to be ended by {node}: {told}"
    made.event(asked, CLAIMS_CLEAR_ASKED, text, group=group.name, resource=record.name)
