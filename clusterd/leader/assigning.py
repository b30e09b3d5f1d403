"""How does a group get an owner, or go without one? Pure. The last step of every way that leads to a node."""

from dataclasses import replace

from clusterd.database import DatabaseView
from clusterd.leader.crowd import Crowd
from clusterd.leader.gates import Gates, Wait
from clusterd.leader.migration import has_moved, is_expected_at
from clusterd.leader.pen import Pen
from clusterd.leader.placement import NOWHERE, Placement, PlacementCause, Request
from clusterd.leader.preempt import victims
from clusterd.leader.proposal import Proposal
from clusterd.leader.standing import Standing, runs_now, standing_of
from clusterd.leader.waiting import Waiting
from clusterd.model import keys
from clusterd.model.events import GROUP_ASSIGNED, GROUP_HELD, GROUP_PREEMPTED, GROUP_UNPLACED
from clusterd.model.ids import Incarnation, NodeId
from clusterd.model.records import AssignmentRecord, Decision, MembershipRecord, Step
from clusterd.model.states import DecisionCode, GroupStatus, Order, QueuedFor, ReleaseCause

_STAYS_OUT = frozenset({PlacementCause.MOVE, PlacementCause.DRAIN, PlacementCause.FAILBACK, PlacementCause.BALANCE})


class Assigning:
    """Gives groups to nodes, within one pass."""

    def __init__(self, view: DatabaseView, crowd: Crowd, gates: Gates, pen: Pen, waiting: Waiting) -> None:
        self._view = view
        self._crowd = crowd
        self._gates = gates
        self._pen = pen
        self._waiting = waiting
        self._has_made_room = False

    def assign(
        self,
        standing: Standing,
        cause: PlacementCause,
        why: str,
        *,
        before: AssignmentRecord | None = None,
        target: NodeId | None = None,
        steps: tuple[Step, ...] = (),
    ) -> list[Proposal]:
        """Give the group to the best node, or say why none can take it. `before`: the present assignment, amended.

        Nothing of it runs anywhere: that is proven before this is called.
        """
        before = before or standing.assignment
        placement = self._place(standing, cause, before, target)
        if placement.chosen is None:
            return self._nowhere(standing, cause, before, placement, why, steps)
        owner = placement.chosen
        member = self._view.membership(owner)
        if member is None:
            return []
        fence = self._view.storage_fence(standing.group.name)
        arrives = fence is None and _arrives(standing, member)
        # What goes on as it ran does not start: it passes no gate.
        wait = self._gates.wait(standing, owner, cause) if standing.is_wanted and not arrives else None
        if cause is PlacementCause.RULE and before is not None and owner == before.owner:
            why = "it can have it again"
        text = f"{standing.group.name} goes to {owner}: {why}"
        sight = self._pen.sight
        because = Decision(
            f"placement: {cause}",
            text if wait is None else f"{text}; it does not start yet: {wait.text}",
            (*steps, self._pen.step(f"{sight.me} (leader of term {sight.term}) gave it to {owner}")),
            placement.candidates,
            DecisionCode.RETURNED if cause is PlacementCause.RETURN else DecisionCode.UNSAID,
        )
        after = self._given(standing, before, member, wait, cause, because)
        if fence is not None:  # its disks may be claimed under that number
            after = replace(after, generation=max(after.generation, fence.number + 1))
        if not arrives:  # what arrives was prepared under the next one
            after = replace(after, generation=max(after.generation, standing.group.generation_floor + 1))
        if arrives and standing.assignment is not None:
            after = replace(after, migration=standing.assignment.migration)
        if standing.owner:
            self._crowd.placed(standing.group.name, None)  # where it was it weighs no more: nothing of it runs
        self._crowd.placed(standing.group.name, owner, is_starting=after.order is Order.RUN)
        also = (keys.membership(owner), keys.node(owner), *_proof(before))
        message = f"{standing.group.name} is given to {owner}"
        proposal = self._pen.write(standing, after, GROUP_ASSIGNED, message, why, node=owner, also=also)
        return [self._begun(standing, proposal)]

    def keep_waiting(self, standing: Standing, assignment: AssignmentRecord, wait: Wait) -> Proposal | None:
        """It has an owner and does not start yet; say so when the reason is another one."""
        is_same = standing.has_status(wait.status)
        if is_same and assignment.next_action_cluster_ms == wait.until_cluster_ms:
            return None
        if standing.start_words and wait.status is not GroupStatus.NO_AUTO_START:
            self._crowd.placed(standing.group.name, assignment.owner)  # it is to start now: its room is taken
        text = f"{standing.group.name} does not start yet: {wait.text}"
        since = assignment.waits_since_cluster_ms if is_same else self._gates.since_cluster_ms(standing, None)
        after = replace(
            assignment,
            status=(wait.status, *standing.queue_words),
            because=Decision(f"start: {wait.status}", text, (*assignment.because.steps[-8:], self._pen.step(text))),
            waits_since_cluster_ms=since,
            next_action="start",
            next_action_cluster_ms=wait.until_cluster_ms,
            start_id=standing.group.start_id,
        )
        kind = None if is_same else GROUP_HELD
        return self._pen.write(standing, after, kind, f"{standing.group.name} waits", wait.text, node=assignment.owner)

    def set_aside(self, standing: Standing, assignment: AssignmentRecord, steps: tuple[Step, ...]) -> Proposal:
        """It made room for a more important group, and comes back when there is room again."""
        after = replace(
            _without_owner(standing, assignment),
            status=(GroupStatus.PREEMPTED,),
            because=Decision("pre-emption", assignment.because.text, steps),
            next_action="start again as soon as a node has room",
            waits_since_cluster_ms=max(1, self._pen.sight.cluster_ms),
            since_wall_ms=self._pen.sight.wall_ms,
        )
        message = f"{standing.group.name} has made room"
        because = assignment.because.text
        return self._pen.write(standing, after, GROUP_PREEMPTED, message, because, also=_proof(assignment))

    def lay_down(self, standing: Standing, assignment: AssignmentRecord, why: str, steps: tuple[Step, ...]) -> Proposal:
        """Its node stops while hands are kept off it: nobody takes it before that ends."""
        after = replace(
            _without_owner(standing, assignment),
            status=(GroupStatus.HANDS_OFF,),
            because=Decision("maintenance", why, (*steps, self._pen.step(why))),
            next_action="a node gets it when the maintenance ends",
            since_wall_ms=self._pen.sight.wall_ms,
        )
        message = f"{standing.group.name} stays down"
        return self._pen.write(standing, after, GROUP_HELD, message, why, also=_proof(assignment))

    # ---- where ----

    def _place(
        self, standing: Standing, cause: PlacementCause, before: AssignmentRecord | None, target: NodeId | None
    ) -> Placement:
        current = (before.owner or before.last_owner or None) if before is not None else None
        move = standing.group.move
        is_asked = before is not None and move is not None and move.id == before.move_id
        is_by_wish = cause in (PlacementCause.MOVE, PlacementCause.RETRY)
        ignores_rules = is_by_wish and is_asked and move is not None and move.ignores_rules
        request = Request(standing.group, cause, current, target, ignores_rules)
        homeless = self._crowd.homeless_with(standing.group) if standing.is_wanted else []
        placement = self._crowd.place(replace(request, together=homeless))
        if placement.chosen is None and homeless:  # no node has room for all: at least for this one
            placement = self._crowd.place(request)
        if placement.chosen is None and cause in _STAYS_OUT:
            # It has been released already: where it was is better than nowhere.
            placement = self._crowd.place(replace(request, cause=PlacementCause.RETRY))
        return placement

    def _given(
        self,
        standing: Standing,
        before: AssignmentRecord | None,
        member: MembershipRecord,
        wait: Wait | None,
        cause: PlacementCause,
        because: Decision,
    ) -> AssignmentRecord:
        sight, group = self._pen.sight, standing.group
        runs = standing.is_wanted and wait is None
        return AssignmentRecord(
            group.name,
            member.node,
            member.incarnation,
            (before.generation if before is not None else _last_generation(standing)) + 1,
            Order.RUN if runs else Order.HOLD,
            because,
            failovers=before.failovers if before is not None else (),
            move_id=before.move_id if before is not None else (group.move.id if group.move else ""),
            since_wall_ms=sight.wall_ms,
            reset_id=group.reset_id,
            status=(wait.status,) if wait is not None else (),
            last_owner=(before.owner or before.last_owner) if before is not None else NodeId(""),
            ran_on=ran_on(standing, before) if before is not None else NodeId(""),
            passed_over=runs_now(self._view, group),
            drained_from=before.drained_from if before is not None else NodeId(""),
            moved_from=before.moved_from if before is not None and before.moved_from != member.node else NodeId(""),
            start_id=group.start_id,
            next_action="start" if wait is not None else "",
            next_action_cluster_ms=wait.until_cluster_ms if wait is not None else 0,
            waits_since_cluster_ms=self._gates.since_cluster_ms(standing, cause) if wait is not None else 0,
            group_id=group.id,
        )

    # ---- nowhere ----

    def _nowhere(
        self,
        standing: Standing,
        cause: PlacementCause,
        before: AssignmentRecord | None,
        placement: Placement,
        why: str,
        steps: tuple[Step, ...],
    ) -> list[Proposal]:
        """No node can take it: a state with a reason, tried again whenever something changes, and said once."""
        is_disabled = self._gates.start_disabled(standing, cause) is not None
        proposals = [] if is_disabled else self._make_room(standing, placement)
        status = (placement.status, *((GroupStatus.NO_AUTO_START,) if is_disabled else ()))
        if before is not None and not before.owner and before.status == status:
            return proposals
        was_aside = before is not None and not before.owner and before.status == (GroupStatus.PREEMPTED,)
        if was_aside and placement.status is GroupStatus.PHYSICAL_RESOURCES_LACKING:
            return proposals
        text = f"{why}; {placement.refusal}"
        after = replace(
            _without_owner(standing, before) if before is not None else _empty(standing),
            status=status,
            because=Decision(
                "placement: no node can take it",
                text,
                (*steps, self._pen.step(placement.refusal)),
                placement.candidates,
                DecisionCode.NOWHERE,
                f"{why}; {NOWHERE}",
            ),
            next_action="give it to a node as soon as one can take it",
            waits_since_cluster_ms=max(1, self._pen.sight.cluster_ms),
            since_wall_ms=self._pen.sight.wall_ms,
        )
        message = f"{standing.group.name} has no node"
        proposal = self._pen.write(standing, after, GROUP_UNPLACED, message, text, also=_proof(before))
        return [*proposals, self._begun(standing, proposal)]

    def _begun(self, standing: Standing, proposal: Proposal) -> Proposal:
        """What takes the place of a deleted group inherits nothing but its generation: what that one left is forgotten."""
        predecessor = standing.predecessor
        if predecessor is None:
            return proposal
        name = predecessor.group
        if predecessor.owner:
            proposal.draft.expect(keys.membership(predecessor.owner))
        for key in (keys.report(name), keys.migration(name)):
            if self._view.revision_of(key):
                proposal.draft.delete(key)
        return proposal

    def _make_room(self, standing: Standing, placement: Placement) -> list[Proposal]:
        """Less important groups are taken offline for a more important one; one such change at a time.

        What becomes free is kept for it: two that took each other's place there would have to leave again, without end.
        """
        if placement.status is not GroupStatus.PHYSICAL_RESOURCES_LACKING or not standing.is_wanted:
            return []
        if self._has_made_room:
            return []
        if self._waiting.is_making_room:
            self._has_made_room = self._is_made_for(standing)
            return []
        found = victims(self._crowd, self._view, standing.group)
        if found is None:
            return []
        self._has_made_room = True
        node_count = len(self._view.nodes())
        proposals = []
        for name in found.groups:
            group = self._view.group(name)
            victim = standing_of(self._view, group, node_count) if group is not None else None
            if victim is None or victim.assignment is None:
                continue
            text = (
                f"{name} makes room on {found.node} for {standing.group.name}, whose priority is higher: {found.reason}"
            )
            proposals.append(
                self._pen.release(
                    victim,
                    victim.assignment,
                    ReleaseCause.PREEMPT,
                    rule="pre-emption",
                    text=text,
                    message=text,
                )
            )
        self._crowd.placed(standing.group.name, found.node)
        return proposals

    def _is_made_for(self, standing: Standing) -> bool:
        """Whether the room that is being made could be for this one: the first that lacks it is the most important."""
        victim = self._view.assignment(min(self._waiting.preempted))
        node = victim.owner if victim is not None else NodeId("")
        excluded = self._crowd.why_not(standing.group, node)
        if excluded is None or excluded.status is not GroupStatus.PHYSICAL_RESOURCES_LACKING:
            return False
        self._crowd.placed(standing.group.name, node)
        return True


def _arrives(standing: Standing, member: MembershipRecord) -> bool:
    """Whether that run of that node has the group already, ready to go on."""
    before = standing.assignment
    return before is not None and has_moved(standing, before) and is_expected_at(before, member.incarnation)


def _proof(before: AssignmentRecord | None) -> tuple[str, ...]:
    """Where it is proven that nothing of the group runs; also where maintenance would say that it is not to be taken."""
    if before is None or not before.owner:
        return ()
    name = before.group
    return keys.membership(before.owner), keys.report(name), keys.storage_fence(name), keys.storage_fenced(name)


def _last_generation(standing: Standing) -> int:
    """The generation after which a group without a past begins: they never start again under one name."""
    return standing.predecessor.generation if standing.predecessor is not None else 0


def _empty(standing: Standing) -> AssignmentRecord:
    group, nobody = standing.group, NodeId("")
    generation = _last_generation(standing)
    return AssignmentRecord(
        group.name, nobody, Incarnation(""), generation, Order.HOLD, Decision("", ""), group_id=group.id
    )


def ran_on(standing: Standing, before: AssignmentRecord) -> NodeId:
    """Where it was online last: at the owner that it had, if it came so far there, else where it was before."""
    report = standing.report
    if not before.owner:
        return before.ran_on
    return before.owner if report is not None and report.was_online else before.ran_on or before.owner


def _without_owner(standing: Standing, before: AssignmentRecord) -> AssignmentRecord:
    """A request to start that was not heeded yet is heeded when a node has it."""
    return replace(
        before,
        owner=NodeId(""),
        incarnation=Incarnation(""),
        order=Order.HOLD,
        target=NodeId(""),
        release_cause=ReleaseCause.NONE,
        last_owner=before.owner or before.last_owner,
        ran_on=ran_on(standing, before),
        queued_for=QueuedFor.NOTHING,
        next_action_cluster_ms=0,
        blocked_until_cluster_ms=0,
    )
