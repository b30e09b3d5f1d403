"""What does a decision look like before it is committed? Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from clusterd.database import Draft
from clusterd.model import keys
from clusterd.model.ids import NodeId


@dataclass(frozen=True, slots=True)
class Proposal:
    """A transaction about one subject, or about several that hold together or not at all.

    While one is under way, the leader proposes nothing else about its subjects.
    """

    subject: str
    draft: Draft
    others: tuple[str, ...] = ()

    @property
    def subjects(self) -> tuple[str, ...]:
        return (self.subject, *self.others)

    @property
    def is_guarded(self) -> bool:
        """Whether it is about groups that constrain others: one such transaction at a time."""
        return self.draft.puts(keys.GUARD_PLACEMENT)


def joined(proposals: Iterable[Proposal]) -> Proposal:
    """One transaction of several about different subjects."""
    first, *rest = proposals
    for each in rest:
        first.draft.join(each.draft)
    return Proposal(first.subject, first.draft, tuple(name for each in (first, *rest) for name in each.subjects)[1:])


@dataclass(frozen=True, slots=True)
class FenceWish:
    """Something to ask a fence agent: 'status' (harmless) or 'off' (only for a node that is committed as expelling)."""

    node: NodeId
    run_id: str
    verb: str
    agent: str
