"""How is a decision about a group written down? Pure. A transaction with its compares, and the event that explains it."""

from dataclasses import replace
from typing import TYPE_CHECKING

from clusterd.database import DatabaseView, Draft
from clusterd.leader.crowd import Crowd
from clusterd.leader.live import kind_of_own_move
from clusterd.leader.proposal import Proposal
from clusterd.leader.sight import Sight
from clusterd.leader.standing import Standing
from clusterd.model import keys
from clusterd.model.events import GROUP_RELEASE_ORDERED, MIGRATION_ORDERED, Event
from clusterd.model.ids import NodeId, key_of
from clusterd.model.records import AssignmentRecord, Candidate, Decision, EventRecord, MembershipRecord, Step
from clusterd.model.states import GroupStatus, MoveKind, Order, QueuedFor, ReleaseCause

if TYPE_CHECKING:
    from clusterd.leader.waiting import Waiting


class Pen:
    """Writes proposals of one pass. The crowd counts where those are bound for that are to leave."""

    def __init__(self, view: DatabaseView, sight: Sight, crowd: Crowd, waiting: "Waiting") -> None:
        self._view = view
        self._crowd = crowd
        self._migrations = dict(waiting.migrations)
        """By group: the two nodes that take part, also in what this pass orders."""
        self.sight = sight

    def step(self, text: str, *, wall_ms: int | None = None) -> Step:
        """Something that happens now; `wall_ms`: when, where that was noted."""
        return self.sight.step(text, wall_ms=wall_ms)

    def write(
        self,
        standing: Standing,
        after: AssignmentRecord,
        kind: Event | None,
        message: str,
        because: str,
        *,
        node: str = "",
        also: tuple[str, ...] = (),
        caused_by: str = "",
    ) -> Proposal:
        """`after` instead of what is assigned; it holds only while the group, `also` and the assignment are as they were."""
        group = standing.group.name
        draft = Draft(self._view).replace(after).expect(keys.group(group))
        for key in also:
            draft.expect(key)
        if self._crowd.weighs_more(self._view, after):
            self._guard(draft, after)
        self._end_storage_fence(draft, after)
        if kind is not None:
            draft.event(
                EventRecord(
                    self.sight.wall_ms,
                    kind.name,
                    kind.level,
                    node=node,
                    group=group,
                    message=message,
                    because=because,
                    caused_by=caused_by,
                )
            )
        return Proposal(f"group/{group}", draft)

    def _guard(self, draft: Draft, after: AssignmentRecord) -> None:
        """It takes a place: only under the rules and limits that were seen, and beside nothing else that they bind."""
        draft.expect(keys.GUARD_LIMITS).expect(keys.FORMATION)
        if after.order is Order.MIGRATE or self._crowd.is_constrained(key_of(after.group)):
            draft.expect(keys.GUARD_PLACEMENT).guard(keys.GUARD_PLACEMENT)

    def _end_storage_fence(self, draft: Draft, after: AssignmentRecord) -> None:
        """What was ordered about a generation that is over is forgotten with the next one, which is above its number."""
        fence = self._view.storage_fence(after.group)
        if fence is not None and after.generation > fence.number:
            for key in (keys.storage_fence(after.group), keys.storage_fenced(after.group)):
                if self._view.revision_of(key):
                    draft.delete(key)

    def release(
        self,
        standing: Standing,
        assignment: AssignmentRecord,
        cause: ReleaseCause,
        *,
        rule: str,
        text: str,
        message: str,
        target: NodeId | None = None,
        steps: tuple[Step, ...] = (),
        candidates: tuple[Candidate, ...] = (),
        because: str | None = None,
        caused_by: str = "",
        rests_on_report: bool = False,
        also: tuple[str, ...] = (),
        kind: MoveKind = MoveKind.UNSAID,
    ) -> Proposal:
        """Tell the owner to give the group up. `assignment` is the present one with what else changes.

        `because` is what the event says; without it, `text`. `also` are keys that it rests on besides.
        """
        decision = Decision(rule, text, (*steps, self.step(text)), candidates)
        after = replace(
            assignment,
            order=Order.RELEASE,
            target=target or NodeId(""),
            release_cause=cause,
            because=decision,
            since_wall_ms=self.sight.wall_ms,
            status=standing.start_words,
            queued_for=QueuedFor.NOTHING,
            next_action="",
            next_action_cluster_ms=0,
            waits_since_cluster_ms=0,
            move_kind=kind,
            migration_stop="",
        )
        if target:
            self._crowd.placed(standing.group.name, target)
        also += (keys.report(standing.group.name),) if rests_on_report else ()
        return self.write(
            standing,
            after,
            GROUP_RELEASE_ORDERED,
            message,
            because if because is not None else "" if message == text else text,
            node=assignment.owner,
            also=also,
            caused_by=caused_by,
        )

    # ---- leaving while it runs ----

    def too_many_migrations(self, source: NodeId, target: NodeId) -> str:
        """Why no other live migration may begin between these nodes now; empty: it may."""
        most = self.sight.settings.maximum_parallel_migrations
        for node in (source, target):
            under_way = sorted(group for group, ends in self._migrations.items() if key_of(node) in ends)
            if len(under_way) >= most:
                told = f"{node} takes part in {len(under_way)} live migrations already: {', '.join(under_way)}"
                return f"{told} (maximum_parallel_migrations {most})"
        return ""

    def leave(
        self,
        standing: Standing,
        assignment: AssignmentRecord,
        cause: ReleaseCause,
        *,
        rule: str,
        text: str,
        message: str,
        target: NodeId,
        steps: tuple[Step, ...] = (),
        candidates: tuple[Candidate, ...] = (),
        because: str | None = None,
        caused_by: str = "",
        also: tuple[str, ...] = (),
        kind: MoveKind | None = None,
    ) -> Proposal | None:
        """Have the group go to `target`, live where it can and should; None: it waits for other migrations to end.

        `kind` None: nobody said how, and the cluster chooses.
        """
        group, owner = standing.group.name, assignment.owner
        if kind is None:
            settings, priority = self.sight.settings, standing.settings.priority
            kind = kind_of_own_move(self._view, standing.resources, settings, priority, owner, target)
            if kind is MoveKind.LIVE and not standing.is_online:
                kind = MoveKind.QUICK
        member = self._view.membership(target) if target else None
        if kind is not MoveKind.LIVE or member is None:
            return self.release(
                standing,
                assignment,
                cause,
                rule=rule,
                text=text,
                message=message,
                target=target,
                steps=steps,
                candidates=candidates,
                because=because,
                caused_by=caused_by,
                also=also,
                kind=kind,
            )
        if self.too_many_migrations(owner, target):
            return None
        self._crowd.placed(group, target)
        self._migrations[key_of(group)] = (key_of(owner), key_of(target))
        live = Decision(rule, f"{text}, live", (*steps, self.step(f"{text}, live")), candidates)
        after = self._migrating(standing, assignment, cause, live, member)
        also += (keys.report(group), keys.membership(target), keys.node(target))
        message = f"{group} is to go from {owner} to {target} while it runs"
        return self.write(
            standing, after, MIGRATION_ORDERED, message, because or text, node=owner, also=also, caused_by=caused_by
        )

    def _migrating(
        self,
        standing: Standing,
        assignment: AssignmentRecord,
        cause: ReleaseCause,
        because: Decision,
        member: MembershipRecord,
    ) -> AssignmentRecord:
        """The revision is a number that no other migration of the group has: each begins with a commit about it."""
        return replace(
            assignment,
            order=Order.MIGRATE,
            target=member.node,
            target_incarnation=member.incarnation,
            migration=self._view.revision,
            migration_stop="",
            move_kind=MoveKind.LIVE,
            release_cause=cause,
            because=because,
            since_wall_ms=self.sight.wall_ms,
            status=(GroupStatus.MIGRATING, *standing.start_words),
            queued_for=QueuedFor.NOTHING,
            next_action="",
            next_action_cluster_ms=0,
            waits_since_cluster_ms=0,
        )
