"""How is a decision about a group written down? Pure. A transaction with its compares, and the event that explains it."""

from dataclasses import replace

from clusterd.database import DatabaseView, Draft
from clusterd.leader.crowd import Crowd
from clusterd.leader.proposal import Proposal
from clusterd.leader.sight import Sight
from clusterd.leader.standing import Standing
from clusterd.model import keys
from clusterd.model.events import GROUP_RELEASE_ORDERED, Event
from clusterd.model.ids import NodeId
from clusterd.model.records import AssignmentRecord, Candidate, Decision, EventRecord, Step
from clusterd.model.states import Order, ReleaseCause


class Pen:
    """Writes proposals of one pass. The crowd counts where those are bound for that are to leave."""

    def __init__(self, view: DatabaseView, sight: Sight, crowd: Crowd) -> None:
        self._view = view
        self._crowd = crowd
        self.sight = sight

    def step(self, text: str) -> Step:
        """Something that happens now."""
        return Step(self.sight.wall_ms, text)

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
            next_action="",
            next_action_cluster_ms=0,
            waits_since_cluster_ms=0,
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
