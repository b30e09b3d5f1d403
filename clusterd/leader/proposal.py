"""What does a decision look like before it is committed? Pure."""

from dataclasses import dataclass

from clusterd.database import Draft
from clusterd.model.ids import NodeId


@dataclass(frozen=True, slots=True)
class Proposal:
    """A transaction about one subject. While one is under way, the leader proposes nothing else about that subject."""

    subject: str
    draft: Draft


@dataclass(frozen=True, slots=True)
class FenceWish:
    """Something to ask a fence agent: 'status' (harmless) or 'off' (only for a node that is committed as expelling)."""

    node: NodeId
    run_id: str
    verb: str
    agent: str
