"""Who should own each group, and may it run now? Pure.

Every group has an owner as soon as a node can take it. Ownership changes only with proof that the owner before runs nothing
of it: the owner released it, or the owner's incarnation is over (`members`). Each change raises the generation. A group
starts only when every gate lets it (`gates`); one that is not wanted, or waits, is held.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from clusterd.database import DatabaseView
from clusterd.leader.assigning import Assigning, ran_on
from clusterd.leader.crowd import Crowd
from clusterd.leader.drains import drain_away
from clusterd.leader.failback import come_home, fail_back
from clusterd.leader.failover import fail_over
from clusterd.leader.gates import Gates
from clusterd.leader.group_sets import GroupSets
from clusterd.leader.in_flight import BUNDLE_BYTES, InFlight
from clusterd.leader.migration import attend, has_moved
from clusterd.leader.moves import carry_out, take_back
from clusterd.leader.pen import Pen
from clusterd.leader.placement import PlacementCause
from clusterd.leader.proposal import Proposal
from clusterd.leader.sight import Sight
from clusterd.leader.standing import Standing, is_left, standing_of
from clusterd.leader.storage_fence import StorageFences, evidence_text
from clusterd.leader.waiting import Waiting
from clusterd.model import keys
from clusterd.model.events import GROUP_HELD, GROUP_STARTED
from clusterd.model.ids import GroupId, NodeId, key_of
from clusterd.model.records import AssignmentRecord, Decision, GroupRecord, Step
from clusterd.model.states import EvidenceKind, GroupStatus, MembershipState, Order, ReleaseCause
from clusterd.model.storage_fences import StorageFenceReport

_CAUSE_OF_RELEASE = {
    ReleaseCause.NONE: PlacementCause.NODE_LOST,
    ReleaseCause.MOVE: PlacementCause.MOVE,
    ReleaseCause.FAILOVER: PlacementCause.RESOURCE_FAILED,
    ReleaseCause.FAILBACK: PlacementCause.FAILBACK,
    ReleaseCause.DRAIN: PlacementCause.DRAIN,
    ReleaseCause.RETURN: PlacementCause.RETURN,
    ReleaseCause.PREEMPT: PlacementCause.RETRY,
    ReleaseCause.BALANCE: PlacementCause.BALANCE,
    ReleaseCause.RULE: PlacementCause.RULE,
}


class GroupDecisions:
    """One pass over groups, most important first. What it places and starts counts for those that come after."""

    def __init__(
        self,
        view: DatabaseView,
        sight: Sight,
        crowd: Crowd,
        waiting: Waiting,
        sets: GroupSets,
        in_flight: InFlight,
    ) -> None:
        self._view = view
        self._sight = sight
        self._crowd = crowd
        self._pen = Pen(view, sight, crowd, waiting)
        self._node_count = len(view.nodes())
        self._gates = Gates(view, sight, crowd, sets)
        self._assigning = Assigning(view, crowd, self._gates, self._pen, waiting)
        self._fences = StorageFences(view, self._pen)
        self._deadlines_cluster_ms: list[int] = []
        self._in_flight = in_flight
        self.deferred: set[GroupId] = set()
        """Groups that constrain others, and for which the next transaction has no place left."""

    def decide(self, groups: Iterable[GroupRecord]) -> list[Proposal]:
        standings = [standing_of(self._view, group, self._node_count) for group in self._free(groups)]
        ordered = sorted(standings, key=lambda each: (-each.settings.priority, each.group.name))
        proposals: list[Proposal] = []
        decided: set[str] = set()
        busy = self._in_flight.subjects
        is_full, count, size_bytes = self._in_flight.is_guarded, 0, 0
        for standing in ordered:
            if f"group/{standing.group.name}" in decided:
                continue
            key = GroupId(key_of(standing.group.name))
            if is_full and self._crowd.is_constrained(key):
                self.deferred.add(key)
                continue
            for found in self._decide(standing):
                is_held_up = found.is_guarded and self._in_flight.is_guarded
                if is_held_up or not busy.isdisjoint(found.subjects):
                    self.deferred.add(key)
                    continue
                proposals.append(found)
                decided.update(found.subjects)
                if found.is_guarded:
                    count += len(found.subjects)
                    size_bytes += found.draft.size_bytes
                    is_full = count >= self._in_flight.bundle_max or size_bytes >= BUNDLE_BYTES
        return proposals

    def _free(self, groups: Iterable[GroupRecord]) -> Iterator[GroupRecord]:
        """Those that need not wait for the transaction that is under way about others that bind them."""
        for group in groups:
            key = GroupId(key_of(group.name))
            if self._in_flight.is_guarded and self._crowd.is_constrained(key):
                self.deferred.add(key)
            else:
                yield group

    def deadlines_cluster_ms(self) -> Iterator[int]:
        """When groups that wait must be looked at again."""
        yield from self._deadlines_cluster_ms
        yield from self._fences.look_again_ms

    def _decide(self, standing: Standing) -> Iterable[Proposal]:
        assignment = standing.assignment
        if standing.predecessor is not None and not is_left(self._view, standing.predecessor):
            return []  # its owner sees that the group is gone, stops what is left of it, and releases it
        if assignment is not None and assignment.next_action_cluster_ms > self._sight.cluster_ms:
            self._deadlines_cluster_ms.append(assignment.next_action_cluster_ms)
        if assignment is None:
            return self._first(standing)
        if not assignment.owner:
            return self._again(standing, assignment)
        if standing.is_lost:
            return self._take_over(standing, assignment)
        if standing.is_released:
            return self._hand_over(standing, assignment)
        fenced = self._fences.evidence(standing)
        if fenced is not None:
            return self._take_over(standing, assignment, fenced)
        if (found := self._fences.next_step(standing, assignment)) is not None:
            return [found]
        if assignment.order is Order.MIGRATE:
            found = attend(standing, assignment, self._view, self._crowd, self._pen)
        elif assignment.order is Order.RELEASE:
            found = take_back(standing, assignment, self._pen)
            if found is not None:  # what belongs with it must not follow it to where it no longer goes
                self._crowd.placed(standing.group.name, None)
                self._crowd.placed(standing.group.name, assignment.owner)
        else:
            found = self._owned(standing, assignment)
        return [found] if found is not None else []

    def _owned(self, standing: Standing, assignment: AssignmentRecord) -> Proposal | None:
        """The owner is well and keeps the group, unless one of these says otherwise; the first one wins."""
        view, crowd, pen = self._view, self._crowd, self._pen
        return (
            fail_over(standing, assignment, view, crowd, pen)
            or carry_out(standing, assignment, view, crowd, pen)
            or drain_away(standing, assignment, view, crowd, pen)
            or come_home(standing, assignment, view, crowd, pen)
            or self._start_or_hold(standing, assignment)
            or fail_back(standing, assignment, view, crowd, pen)
        )

    # ---- nobody has it ----

    def _first(self, standing: Standing) -> list[Proposal]:
        if standing.hands_off is not None:
            return []
        return self._assigning.assign(standing, PlacementCause.FIRST, "it had no owner yet")

    def _again(self, standing: Standing, assignment: AssignmentRecord) -> list[Proposal]:
        """It was held back without an owner; perhaps a node can take it now."""
        if standing.hands_off is not None:
            return []
        since = f"it waited ({', '.join(assignment.status) or 'no node'})"
        steps = assignment.because.steps
        move = standing.group.move
        if move is not None and move.id != assignment.move_id:
            since += f", and {move.asked_by or 'an operator'} asked for a move"
            before, target = replace(assignment, move_id=move.id), move.target or None
            cause = PlacementCause.RETRY if assignment.generation else PlacementCause.FIRST
            return self._assigning.assign(standing, cause, since, before=before, target=target, steps=steps)
        if assignment.generation and self._is_cold(standing, assignment):
            return self._start_cold(standing, assignment, since, steps)
        cause = PlacementCause.RETRY if assignment.generation else PlacementCause.FIRST
        kept_for = assignment.last_owner if standing.has_status(GroupStatus.HANDS_OFF) else None
        return self._assigning.assign(standing, cause, since, target=kept_for, steps=steps)

    # ---- the owner is gone, or gave the group up ----

    def _take_over(
        self, standing: Standing, assignment: AssignmentRecord, fenced: StorageFenceReport | None = None
    ) -> list[Proposal]:
        """`fenced`: its owner was not proven to have ended, but the storage refuses it."""
        member = standing.member
        steps = member.steps if member is not None and (fenced or member.state is MembershipState.DOWN) else ()
        why = f"its owner {assignment.owner} was lost"
        if fenced is not None:
            why += f" ({EvidenceKind.FENCED}: {evidence_text(fenced)})"
            told = f"evidence ({EvidenceKind.FENCED}): {evidence_text(fenced)}"
            steps += (self._pen.step(told, wall_ms=fenced.since_wall_ms),)
        elif member is not None and member.evidence is not None:
            why += f" ({member.evidence.kind}: {member.evidence.text})"
        if standing.is_hands_off or (standing.hands_off is not None and standing.has_status(GroupStatus.HANDS_OFF)):
            return self._keep_hands_off(standing, assignment, why, steps)
        if standing.has_status(GroupStatus.HANDS_OFF):
            steps = assignment.because.steps
            why += "" if member is not None and member.evidence is not None else " during maintenance, which is over"
        if assignment.release_cause is ReleaseCause.PREEMPT:
            return [self._assigning.set_aside(standing, assignment, steps)]
        if self._is_cold(standing, assignment):
            return self._start_cold(standing, assignment, why, steps)
        before = replace(assignment, moved_from=NodeId(""))
        # What nobody was to touch while its node was away goes on there, if the node has come back.
        target = assignment.owner if standing.has_status(GroupStatus.HANDS_OFF) else None
        cause = PlacementCause.NODE_LOST
        return self._assigning.assign(standing, cause, why, before=before, target=target, steps=steps)

    def _keep_hands_off(
        self, standing: Standing, assignment: AssignmentRecord, why: str, steps: tuple[Step, ...]
    ) -> list[Proposal]:
        if standing.has_status(GroupStatus.HANDS_OFF) or standing.hands_off is None:
            return []
        text = f"{why}; {standing.hands_off.text}: it stays down until that ends"
        after = replace(
            assignment,
            status=(GroupStatus.HANDS_OFF,),
            because=Decision("maintenance", text, (*steps, self._pen.step(text))),
            next_action="another node gets it when the maintenance ends",
        )
        also = (keys.membership(assignment.owner), keys.report(standing.group.name))
        return [self._pen.write(standing, after, GROUP_HELD, f"{standing.group.name} stays down", text, also=also)]

    def _is_cold(self, standing: Standing, assignment: AssignmentRecord) -> bool:
        """Nothing was decided about it since the cluster came up with nothing running."""
        formed = self._view.revision_of(keys.FORMATION)
        decided = self._view.revision_of(keys.assignment(standing.group.name))
        return decided < formed or standing.has_status(GroupStatus.WAITING_FOR_NODE)

    def _start_cold(
        self, standing: Standing, assignment: AssignmentRecord, why: str, steps: tuple[Step, ...]
    ) -> list[Proposal]:
        """Wait a while for the node that it would rather be on, or was on last."""
        home = self._home(standing, assignment)
        formation = self._view.formation()
        until = formation.began_cluster_ms + self._sight.settings.group_wait_delay_ms
        why = f"the whole cluster was down; {why}"
        room = self._crowd.rooms.get(key_of(home))
        is_over = room is None or not room.refusal or self._sight.cluster_ms >= until
        if not standing.is_wanted or is_over:
            return self._assigning.assign(standing, PlacementCause.COLD_START, why, target=home, steps=steps)
        self._deadlines_cluster_ms.append(until)
        if standing.has_status(GroupStatus.WAITING_FOR_NODE):
            return []
        text = f"cold start: it waits for {home} ({room.refusal if room is not None else ''})"
        after = replace(
            assignment,
            status=(GroupStatus.WAITING_FOR_NODE,),
            because=Decision("cold start: wait for a node", text, (*steps, self._pen.step(text))),
            waits_since_cluster_ms=max(1, self._sight.cluster_ms),
            next_action="start elsewhere",
            next_action_cluster_ms=until,
        )
        return [self._pen.write(standing, after, GROUP_HELD, f"{standing.group.name} waits for {home}", text)]

    def _home(self, standing: Standing, assignment: AssignmentRecord) -> NodeId:
        """Where it starts after the whole cluster was down: the node that it likes best, else the one that had it."""
        preferred = standing.group.preferred_owners
        return preferred[0] if preferred else ran_on(standing, assignment) or assignment.last_owner

    def _hand_over(self, standing: Standing, assignment: AssignmentRecord) -> list[Proposal]:
        cause = assignment.release_cause
        owner = assignment.owner
        released = f"{owner} released {standing.group.name}"
        if has_moved(standing, assignment):
            released += f", which is whole at {assignment.target}"
        steps = (*assignment.because.steps, self._pen.step(released))
        if cause is ReleaseCause.PREEMPT:
            return [self._assigning.set_aside(standing, assignment, steps)]
        if cause is ReleaseCause.NONE and standing.hands_off is not None:
            why = f"{owner} is being stopped; {standing.hands_off.text}"
            return [self._assigning.lay_down(standing, assignment, why, steps)]
        before = replace(
            assignment,
            moved_from=owner if cause in (ReleaseCause.MOVE, ReleaseCause.BALANCE) else NodeId(""),
        )
        whys = {
            ReleaseCause.NONE: f"{owner} is being stopped",
            ReleaseCause.MOVE: f"an operator moved it away from {owner}",
        }
        why = whys.get(cause, assignment.because.text)
        target = assignment.target or None
        return self._assigning.assign(
            standing, _CAUSE_OF_RELEASE[cause], why, before=before, target=target, steps=steps
        )

    # ---- the owner keeps it ----

    def _start_or_hold(self, standing: Standing, assignment: AssignmentRecord) -> Proposal | None:
        if assignment.order is Order.RUN:
            return self._hold(standing, assignment)
        if not standing.is_wanted:
            return self._wait_no_more(standing, assignment)
        if standing.hands_off is not None:
            return None
        disabled = self._gates.start_disabled(standing, None)
        if disabled is not None:
            return self._assigning.keep_waiting(standing, assignment, disabled)
        excluded = self._crowd.why_not(standing.group, assignment.owner)
        if excluded is not None:  # it may leave once its owner has said that nothing of it runs
            return self._leave_for_room(standing, assignment, excluded.reason) if standing.is_at_rest else None
        wait = self._gates.wait(standing, assignment.owner, None)
        if wait is not None:
            return self._assigning.keep_waiting(standing, assignment, wait)
        waits = [each for each in assignment.status if each not in standing.queue_words]
        waited = f"after it was {', '.join(waits)}" if waits else "it is wanted online"
        text = f"{standing.group.name} starts on {assignment.owner}: {waited}"
        after = replace(
            assignment,
            order=Order.RUN,
            status=standing.queue_words,
            start_id=standing.group.start_id,
            waits_since_cluster_ms=0,
            next_action="",
            next_action_cluster_ms=0,
            because=Decision("start", text, (*assignment.because.steps[-8:], self._pen.step(text))),
        )
        self._crowd.placed(standing.group.name, assignment.owner, is_starting=True)
        kind = GROUP_STARTED if waits else None
        message = f"{standing.group.name} starts on {assignment.owner}"
        also = (keys.membership(assignment.owner), keys.node(assignment.owner))
        return self._pen.write(standing, after, kind, message, waited, node=assignment.owner, also=also)

    def _hold(self, standing: Standing, assignment: AssignmentRecord) -> Proposal | None:
        """What is wanted no more and is at rest starts only through the gates again."""
        if standing.is_wanted and standing.group.start_id != assignment.start_id:
            # It runs already: what was asked for is done, and must not count as a wish for the time after its loss.
            return self._pen.write(standing, replace(assignment, start_id=standing.group.start_id), None, "", "")
        if standing.is_wanted or not standing.is_at_rest or not standing.resources:
            return None
        also = (keys.report(standing.group.name),)
        return self._pen.write(standing, replace(assignment, order=Order.HOLD), None, "", "", also=also)

    def _wait_no_more(self, standing: Standing, assignment: AssignmentRecord) -> Proposal | None:
        if not assignment.waits_since_cluster_ms:
            return None
        after = replace(
            assignment,
            status=standing.queue_words,
            waits_since_cluster_ms=0,
            next_action="",
            next_action_cluster_ms=0,
        )
        return self._pen.write(standing, after, None, "", "")

    def _leave_for_room(self, standing: Standing, assignment: AssignmentRecord, reason: str) -> Proposal | None:
        """It is to start, and its node cannot have it: look for another one while nothing of it runs."""
        text = f"{standing.group.name} cannot start on {assignment.owner}: {reason}"
        return self._pen.release(
            standing,
            assignment,
            ReleaseCause.RULE,
            rule="start: its node cannot take it",
            text=text,
            message=text,
            rests_on_report=True,
        )
