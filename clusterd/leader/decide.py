"""What should be committed now? Pure. The whole of a leader's thinking, in one pass."""

from collections.abc import Collection
from dataclasses import dataclass

from clusterd.database import DatabaseView
from clusterd.leader.groups import GroupDecisions
from clusterd.leader.members import decide_members, member_deadlines_ms
from clusterd.leader.proposal import FenceWish, Proposal
from clusterd.leader.sight import Sight
from clusterd.model.ids import GroupId


@dataclass(frozen=True, slots=True)
class Decisions:
    """Transactions to propose, fence agents to ask, and when to look again although nothing happened."""

    proposals: tuple[Proposal, ...]
    fence_wishes: tuple[FenceWish, ...]
    next_look_ms: int | None


def decide(view: DatabaseView, sight: Sight, *, groups: Collection[GroupId] | None = None) -> Decisions:
    """Compare what is with what should be. `groups` limits the pass to those that may have changed; None: all.

    The limited pass must give what the full one gives for those groups; a property test compares the two.
    """
    members, wishes = decide_members(view, sight)
    considered = view.groups() if groups is None else [found for each in sorted(groups) if (found := view.group(each))]
    deadlines = list(member_deadlines_ms(view, sight))
    return Decisions(
        (*members, *GroupDecisions(view, sight).decide(considered)),
        tuple(wishes),
        min(deadlines) if deadlines else None,
    )


__all__ = ["Decisions", "FenceWish", "Proposal", "decide"]
