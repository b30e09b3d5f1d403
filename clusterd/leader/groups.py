"""Who should own each group? Pure.

Every group has an owner as soon as a node can take it. Ownership changes only with proof that the owner before runs nothing
of it: the owner released it, or the owner's incarnation is over (`members`). Each change raises the generation.
"""

from collections.abc import Iterable
from dataclasses import replace

from clusterd.database import DatabaseView, Draft
from clusterd.leader.placement import Placement, PlacementCause, place, why_not
from clusterd.leader.proposal import Proposal
from clusterd.leader.sight import Sight
from clusterd.model import keys
from clusterd.model.events import GROUP_ASSIGNED, GROUP_BLOCKED, GROUP_RELEASE_ORDERED, GROUP_UNPLACED, Event
from clusterd.model.ids import NodeId, ResourceId
from clusterd.model.records import (
    AssignmentRecord,
    Decision,
    EventRecord,
    FailoverStamp,
    GroupRecord,
    MembershipRecord,
    ReportRecord,
    Step,
)
from clusterd.model.settings import group_settings
from clusterd.model.states import MembershipState, Order, ReleaseCause

LIMIT_REACHED = "failover: given up, its limit is reached"
NO_OTHER_NODE = "failover: given up until another node can take it"


class GroupDecisions:
    """One pass over groups. Counts what it has placed, so that a hundred groups placed at once are spread."""

    def __init__(self, view: DatabaseView, sight: Sight) -> None:
        self._view = view
        self._sight = sight
        self._loads: dict[NodeId, int] | None = None

    def decide(self, groups: Iterable[GroupRecord]) -> list[Proposal]:
        found = (self._decide(group) for group in groups)
        return [proposal for proposal in found if proposal is not None]

    def _decide(self, group: GroupRecord) -> Proposal | None:
        assignment = self._view.assignment(group.name)
        if assignment is None:
            return self._assign(group, None, PlacementCause.FIRST, "it had no owner yet")
        member = self._view.membership(assignment.owner)
        if member is None or is_over(assignment, member):
            return self._take_over(group, assignment, member)
        report = self._view.report(group.name)
        if report is None or report.generation != assignment.generation:
            report = None
        if report is not None and report.is_released:
            return self._hand_over(group, assignment)
        if assignment.order is Order.RELEASE:
            return None
        return self._move(group, assignment) or self._fail_over(group, assignment, report)

    # ---- the owner is gone, or gave the group up ----

    def _take_over(
        self, group: GroupRecord, assignment: AssignmentRecord, member: MembershipRecord | None
    ) -> Proposal | None:
        steps = member.steps if member is not None and member.state is MembershipState.DOWN else ()
        why = f"its owner {assignment.owner} was lost"
        if member is not None and member.evidence is not None:
            why += f" ({member.evidence.kind}: {member.evidence.text})"
        return self._assign(group, assignment, PlacementCause.NODE_LOST, why, steps=steps)

    def _hand_over(self, group: GroupRecord, assignment: AssignmentRecord) -> Proposal | None:
        target = assignment.target or None
        steps = (*assignment.because.steps, Step(self._sight.wall_ms, f"{assignment.owner} released {group.name}"))
        if assignment.release_cause is ReleaseCause.MOVE:
            why = f"an operator moved it away from {assignment.owner}"
            return self._assign(group, assignment, PlacementCause.MOVE, why, target=target, steps=steps)
        if assignment.release_cause is ReleaseCause.FAILOVER:
            why = assignment.because.text
            return self._assign(group, assignment, PlacementCause.RESOURCE_FAILED, why, target=target, steps=steps)
        why = f"{assignment.owner} is being stopped"
        return self._assign(group, assignment, PlacementCause.NODE_LOST, why, steps=steps)

    def _assign(
        self,
        group: GroupRecord,
        before: AssignmentRecord | None,
        cause: PlacementCause,
        why: str,
        *,
        target: NodeId | None = None,
        steps: tuple[Step, ...] = (),
    ) -> Proposal | None:
        current = before.owner if before is not None and cause is not PlacementCause.FIRST else None
        placement = place(self._view, self._sight, group, cause, loads=self._load(), current=current, target=target)
        if placement.chosen is None:
            return self._unplaced(group, before, placement, why, steps)
        owner = placement.chosen
        member = self._view.membership(owner)
        if member is None:
            return None
        generation = before.generation + 1 if before is not None else 1
        text = f"{group.name} goes to {owner}: {why}"
        after = AssignmentRecord(
            group.name,
            owner,
            member.incarnation,
            generation,
            Order.RUN,
            Decision(
                f"placement: {cause}",
                text,
                (*steps, Step(self._sight.wall_ms, f"{self._sight.me} (leader) gave it to {owner}")),
                placement.candidates,
            ),
            failovers=before.failovers if before is not None else (),
            move_id=before.move_id if before is not None else (group.move.id if group.move else ""),
            since_wall_ms=self._sight.wall_ms,
            reset_id=group.reset_id,
        )
        self._load()[owner] = self._load().get(owner, 0) + 1
        draft = self._draft(group, after).expect(keys.membership(owner))
        if before is not None:
            draft.expect(keys.membership(before.owner))
        return self._propose(draft, group, GROUP_ASSIGNED, f"{group.name} is given to {owner}", why, node=owner)

    def _unplaced(
        self,
        group: GroupRecord,
        before: AssignmentRecord | None,
        placement: Placement,
        why: str,
        steps: tuple[Step, ...],
    ) -> Proposal | None:
        """Nothing can be done now; say so once, where the owner before is known."""
        rule = "placement: no node can take it"
        if before is None or (before.because.rule == rule and before.because.candidates == placement.candidates):
            return None
        decision = Decision(rule, f"{why}; {placement.refusal}", steps, placement.candidates)
        draft = self._draft(group, replace(before, because=decision))
        return self._propose(draft, group, GROUP_UNPLACED, f"{group.name} has no node", decision.text)

    # ---- the owner is well ----

    def _move(self, group: GroupRecord, assignment: AssignmentRecord) -> Proposal | None:
        move = group.move
        if move is None or move.id == assignment.move_id:
            return None
        sight = self._sight
        asked = Step(
            move.asked_wall_ms,
            f"{move.asked_by or 'an operator'} asked to move {group.name} to {move.target or 'the best node'}",
        )
        placement = place(
            self._view,
            sight,
            group,
            PlacementCause.MOVE,
            loads=self._load(),
            current=assignment.owner,
            target=move.target or None,
        )
        problem = why_not(self._view, sight, group, move.target) if move.target else None
        if problem is None and placement.chosen in (None, assignment.owner) and move.target != assignment.owner:
            problem = "no other node can take it"
        if problem is not None or move.target == assignment.owner:
            text = f"the move was given up: {move.target or 'best node'}: {problem or 'it is there already'}"
            decision = Decision("move: given up", text, (asked, Step(sight.wall_ms, text)), placement.candidates)
            after = replace(assignment, move_id=move.id, because=decision)
            return self._propose(self._draft(group, after), group, GROUP_RELEASE_ORDERED, text, "")
        target = placement.chosen or NodeId("")
        text = f"{group.name} leaves {assignment.owner} for {target}: an operator asked for it"
        decision = Decision("move", text, (asked, Step(sight.wall_ms, text)), placement.candidates)
        after = replace(
            assignment,
            order=Order.RELEASE,
            target=target,
            release_cause=ReleaseCause.MOVE,
            move_id=move.id,
            because=decision,
            since_wall_ms=sight.wall_ms,
        )
        draft = self._draft(group, after)
        return self._propose(draft, group, GROUP_RELEASE_ORDERED, text, asked.text, node=assignment.owner)

    def _fail_over(
        self, group: GroupRecord, assignment: AssignmentRecord, report: ReportRecord | None
    ) -> Proposal | None:
        failed = report.failed_over_by if report is not None else ResourceId("")
        if report is None or not failed:
            return self._unblock(group, assignment)
        is_blocked = bool(assignment.blocked_until_cluster_ms)
        if is_blocked and assignment.because.rule != NO_OTHER_NODE:
            return None
        sight = self._sight
        settings = group_settings(group, len(self._view.nodes()))
        stamps = assignment.failovers if group.reset_id == assignment.reset_id else ()
        window_ms = settings.failover_period_ms
        recent = tuple(each for each in stamps if sight.cluster_ms - each.cluster_ms < window_ms)
        placement = place(
            self._view, sight, group, PlacementCause.RESOURCE_FAILED, loads=self._load(), current=assignment.owner
        )
        because = report.failed_over_because
        steps = (Step(sight.wall_ms, f"{failed} failed on {assignment.owner} for good: {because}"),)
        if len(recent) >= settings.failover_threshold:
            why = f"{len(recent)} of {settings.failover_threshold} failovers are used up"
            return self._block(group, assignment, placement, LIMIT_REACHED, f"{failed}: {because}; {why}", steps)
        if placement.chosen in (None, assignment.owner):
            why = f"{failed}: {because}; no other node can take it"
            return None if is_blocked else self._block(group, assignment, placement, NO_OTHER_NODE, why, steps)
        text = f"{failed} failed on {assignment.owner}: {because}"
        after = replace(
            assignment,
            order=Order.RELEASE,
            target=placement.chosen,
            release_cause=ReleaseCause.FAILOVER,
            failovers=(*recent, FailoverStamp(sight.cluster_ms, failed, assignment.owner)),
            because=Decision("failover: a resource failed", text, steps, placement.candidates),
            since_wall_ms=sight.wall_ms,
            reset_id=group.reset_id,
            blocked_until_cluster_ms=0,
        )
        draft = self._draft(group, after).expect(keys.report(group.name))
        message = f"{group.name} fails over from {assignment.owner}"
        return self._propose(draft, group, GROUP_RELEASE_ORDERED, message, text, node=assignment.owner)

    def _block(
        self,
        group: GroupRecord,
        assignment: AssignmentRecord,
        placement: Placement,
        rule: str,
        why: str,
        steps: tuple[Step, ...],
    ) -> Proposal:
        """It rests where it is. The owner's own retry, an operator or a fresh report ends that."""
        decision = Decision(rule, why, steps, placement.candidates)
        after = replace(assignment, because=decision, blocked_until_cluster_ms=max(1, self._sight.cluster_ms))
        draft = self._draft(group, after).expect(keys.report(group.name))
        return self._propose(draft, group, GROUP_BLOCKED, f"{group.name} rests in failure", why, node=assignment.owner)

    def _unblock(self, group: GroupRecord, assignment: AssignmentRecord) -> Proposal | None:
        if not assignment.blocked_until_cluster_ms:
            return None
        after = replace(assignment, blocked_until_cluster_ms=0)
        return Proposal(f"group/{group.name}", self._draft(group, after))

    # ---- building blocks ----

    def _load(self) -> dict[NodeId, int]:
        if self._loads is None:
            self._loads = {}
            for _, assignment in self._view.items(AssignmentRecord):
                if self._view.group(assignment.group) is None:
                    continue  # a deleted group keeps its generation, and weighs nothing
                self._loads[assignment.owner] = self._loads.get(assignment.owner, 0) + 1
        return self._loads

    def _draft(self, group: GroupRecord, after: AssignmentRecord) -> Draft:
        return Draft(self._view).replace(after).expect(keys.group(group.name))

    def _propose(
        self, draft: Draft, group: GroupRecord, kind: Event, message: str, because: str, *, node: str = ""
    ) -> Proposal:
        draft.event(
            EventRecord(
                self._sight.wall_ms,
                kind.name,
                kind.level,
                node=node,
                group=group.name,
                message=message,
                because=because,
            )
        )
        return Proposal(f"group/{group.name}", draft)


def is_over(assignment: AssignmentRecord, member: MembershipRecord) -> bool:
    """Whether the incarnation that the assignment names is proven to run nothing any more.

    A membership record changes its incarnation, and becomes *down*, only together with evidence.
    """
    return member.incarnation != assignment.incarnation or member.state is MembershipState.DOWN
