"""What may one ask about, beside an operator's own change? Pure. A node that is lost, a node that is drained."""

from dataclasses import replace

from clusterd.database import DatabaseView, Draft
from clusterd.model.ids import NodeId
from clusterd.model.records import Evidence, MembershipRecord, PauseRequest, Step
from clusterd.model.states import EvidenceKind, MembershipState

IMAGINED = "imagined"


def lose_node(view: DatabaseView, name: NodeId, wall_ms: int) -> Draft:
    """The node is gone and it is proven: from here on the others decide."""
    before = view.membership(name) or MembershipRecord(name, MembershipState.JOINING)
    return Draft(view).put(lost(before, wall_ms))


def lost(member: MembershipRecord, wall_ms: int) -> MembershipRecord:
    evidence = Evidence(EvidenceKind.EXPIRED, "its run lease has run out", wall_ms)
    return replace(
        member,
        state=MembershipState.DOWN,
        because=f"{member.node} is lost",
        evidence=evidence,
        since_wall_ms=wall_ms,
        steps=(Step(wall_ms, f"{member.node} is lost"),),
    )


def drain_node(view: DatabaseView, name: NodeId, wall_ms: int) -> Draft:
    """Everything is to leave the node."""
    before = view.node(name)
    draft = Draft(view)
    if before is not None:
        pause = PauseRequest(IMAGINED, is_drain=True, asked_wall_ms=wall_ms, asked_by="an operator")
        draft.put(replace(before, pause=pause))
    return draft
