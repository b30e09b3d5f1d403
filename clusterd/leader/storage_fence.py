"""Can a group be taken from a lost owner by way of its disks? Pure.

For groups that declare storage as their sole effect on the outside (`model/sole_effect.py`). While the owner is being
expelled and nothing proves yet that it has ended, another node is told to make the storage of every disk of the group refuse
the owner. When it has, that is evidence about this group, generation and run: the owner may still run, and affects nothing.
Which disks the owner writes to is what it came online with, and that only its own reports tell: where the group's records
say something else by now, or it has not said it yet, no storage is a proof.

    owner expelling ──► ordered to a node ──(every disk refuses)──► evidence: the group is taken over
                          ▲        └──(failed, silent, lost)──► the next node, with a higher number; given up after a few

The claim has a number, a generation between the owner's and the next one's. A record of the order stands until the group is
assigned anew, so no number is used twice. Whatever becomes of it, evidence about the owner's node remains the way out.
"""

from clusterd.database import DatabaseView, Draft
from clusterd.leader.pen import Pen
from clusterd.leader.proposal import Proposal
from clusterd.leader.standing import Standing
from clusterd.model import keys
from clusterd.model.counts import times
from clusterd.model.events import STORAGE_FENCE_FAILED, STORAGE_FENCE_ORDERED, Event
from clusterd.model.ids import NodeId, key_of
from clusterd.model.ran_as import difference
from clusterd.model.records import AssignmentRecord, EventRecord, MembershipRecord, ResourceTypeRecord
from clusterd.model.sole_effect import SoleEffect, sole_effect
from clusterd.model.states import MembershipState, StorageFenceState
from clusterd.model.storage_fences import StorageFenceRecord, StorageFenceReport

ATTEMPTS_MAX = 6
ANSWER_WITHIN_MS = 15_000
BACK_OFF_MS = 1000
"""Between two orders, for each that was given."""


class StorageFences:
    """The storage fences of one pass."""

    def __init__(self, view: DatabaseView, pen: Pen) -> None:
        self._view = view
        self._pen = pen
        self._now_ms = pen.sight.cluster_ms
        self.look_again_ms: list[int] = []
        """When those under way must be looked at again, by the cluster's clock."""

    def evidence(self, standing: Standing) -> StorageFenceReport | None:
        """That the storage of every disk which the group has now refuses its owner."""
        assignment, said = standing.assignment, self._view.storage_fenced(standing.group.name)
        order = self._present(assignment)
        if order is None or said is None or not _is_answer(said, order) or said.state is not StorageFenceState.DONE:
            return None
        found = self._sole_effect(standing, order.node)
        is_about_it = _is_whole(said, found) and not (found.obstacle or _doubt(standing)) and self._is_fresh(standing)
        return said if self._is_declared(standing) and is_about_it else None

    def next_step(self, standing: Standing, assignment: AssignmentRecord) -> Proposal | None:
        """Order the fence, give it to another node, or give it up."""
        owner = standing.member
        if owner is None or not self._is_declared(standing) or standing.is_hands_off or not standing.is_wanted:
            return None
        order = self._present(assignment)
        if order is None:
            because = f"{owner.node} is being expelled: {owner.because}"
            return self._order(standing, assignment, owner, (), because) if not _doubt(standing) else None
        if not order.node or _doubt(standing):
            return None
        problem, until_ms = self._problem(order)
        if until_ms > self._now_ms:
            self.look_again_ms.append(until_ms)
            return None
        if len(order.tried) >= ATTEMPTS_MAX:
            return self._give_up(standing, order, problem)
        return self._order(standing, assignment, owner, order.tried, problem)

    # ---- what stands ----

    def _present(self, assignment: AssignmentRecord | None) -> StorageFenceRecord | None:
        """The order that is about the present generation."""
        order = self._view.storage_fence(assignment.group) if assignment is not None else None
        if order is None or assignment is None:
            return None
        is_present = (order.generation, order.incarnation) == (assignment.generation, assignment.incarnation)
        return order if is_present else None

    def _is_declared(self, standing: Standing) -> bool:
        member = standing.member
        is_expelling = member is not None and member.state is MembershipState.EXPELLING
        return is_expelling and standing.settings.storage_is_sole_effect

    def _is_fresh(self, standing: Standing) -> bool:
        """Whether it was said of the group as it is now."""
        view = self._view
        said_at = view.revision_of(keys.storage_fenced(standing.group.name))
        about = (keys.group(standing.group.name), *(keys.resource(each.name) for each in standing.resources))
        return all(view.revision_of(key) < said_at for key in about)

    def _problem(self, order: StorageFenceRecord) -> tuple[str, int]:
        """Why it is to be ordered again, and until when nothing is done about that."""
        said = self._view.storage_fenced(order.group)
        rest_ms = order.ordered_cluster_ms + BACK_OFF_MS * len(order.tried)
        if said is not None and _is_answer(said, order) and said.state is StorageFenceState.FAILED:
            return f"{order.node} failed: {said.because}", rest_ms
        member = self._view.membership(order.node)
        if member is None or member.incarnation != order.node_incarnation or member.state is not MembershipState.UP:
            return f"{order.node} was lost before it had done it", 0
        # One that did it for the group as it was does it again for the group as it is.
        return f"{order.node} did not answer within {ANSWER_WITHIN_MS} ms", order.ordered_cluster_ms + ANSWER_WITHIN_MS

    def _sole_effect(self, standing: Standing, node: NodeId) -> SoleEffect:
        """As the resource types on `node` say."""

        def abilities_of(type_name: str) -> tuple[str, ...]:
            known = self._view.get(ResourceTypeRecord, keys.resource_type(type_name, node))
            return known.abilities if known is not None else ()

        return sole_effect(standing.resources, lambda each: abilities_of(each.type))

    # ---- what is written ----

    def _order(
        self,
        standing: Standing,
        assignment: AssignmentRecord,
        owner: MembershipRecord,
        tried: tuple[NodeId, ...],
        because: str,
    ) -> Proposal | None:
        member = self._choose(standing, assignment, tried)
        if member is None:
            return None
        before = self._view.storage_fence(assignment.group)
        # A migration that fell through may have prepared something under the next generation.
        least = max(assignment.generation + 2, standing.group.generation_floor + 1)
        number = max(least, before.number + 1 if before is not None else 0)
        order = StorageFenceRecord(
            assignment.group,
            assignment.generation,
            owner.node,
            owner.incarnation,
            number,
            member.node,
            member.incarnation,
            (*tried, member.node),
            self._now_ms,
            self._pen.sight.wall_ms,
            because,
        )
        message = f"{member.node} is to make the storage of {assignment.group} refuse {owner.node}"
        return self._write(standing, order, STORAGE_FENCE_ORDERED, message, because)

    def _choose(
        self, standing: Standing, assignment: AssignmentRecord, tried: tuple[NodeId, ...]
    ) -> MembershipRecord | None:
        """A node that reaches the disks: the least tried one, then as the group prefers its owners, then in join order."""
        ranked: list[tuple[int, int, int, MembershipRecord]] = []
        preferred = [key_of(each) for each in standing.group.preferred_owners]
        for at, node in enumerate(self._view.nodes()):
            member, key = self._view.membership(node.name), key_of(node.name)
            if member is None or member.state is not MembershipState.UP or key == key_of(assignment.owner):
                continue
            found = self._sole_effect(standing, node.name)
            owners = [{key_of(one) for one in each.possible_owners} for each in found.disks]
            if found.obstacle or any(each and key not in each for each in owners):
                continue
            liked = preferred.index(key) if key in preferred else len(preferred)
            ranked.append((sum(key_of(each) == key for each in tried), liked, at, member))
        return min(ranked, key=lambda each: each[:3])[3] if ranked else None

    def _give_up(self, standing: Standing, order: StorageFenceRecord, problem: str) -> Proposal:
        because = f"{problem}; it was tried {times(len(order.tried))}" if order.tried else problem
        after = StorageFenceRecord(
            order.group,
            order.generation,
            order.owner,
            order.incarnation,
            order.number,
            NodeId(""),
            tried=order.tried,
            ordered_cluster_ms=self._now_ms,
            since_wall_ms=self._pen.sight.wall_ms,
            because=because,
        )
        message = f"the storage of {order.group} cannot be made to refuse {order.owner}: its end is waited for"
        return self._write(standing, after, STORAGE_FENCE_FAILED, message, because)

    def _write(
        self, standing: Standing, order: StorageFenceRecord, kind: Event, message: str, because: str
    ) -> Proposal:
        group = standing.group.name
        draft = Draft(self._view).replace(order)
        about = (keys.group(group), keys.assignment(group), keys.storage_fenced(group), keys.membership(order.owner))
        for key in (*about, *((keys.membership(order.node),) if order.node else ())):
            draft.expect(key)
        wall_ms = self._pen.sight.wall_ms
        draft.event(
            EventRecord(wall_ms, kind.name, kind.level, node=order.node, group=group, message=message, because=because)
        )
        return Proposal(f"group/{group}", draft)


def evidence_text(said: StorageFenceReport) -> str:
    """What the fence proves, for people."""
    return f"{said.node} made the storage refuse it: " + "; ".join(f"{each.name}: {each.text}" for each in said.disks)


def _doubt(standing: Standing) -> str:
    """Why what the owner may run is not known to be what the group's records say; empty: it is."""
    return difference(standing.resources, standing.report, standing.owner)


def _is_whole(said: StorageFenceReport, found: SoleEffect) -> bool:
    """Whether it was said of every disk that the group has."""
    return {key_of(each.name) for each in said.disks} == {key_of(each.name) for each in found.disks}


def _is_answer(said: StorageFenceReport, order: StorageFenceRecord) -> bool:
    who = (key_of(order.node), order.node_incarnation, order.number)
    return (key_of(said.node), said.incarnation, said.number) == who
