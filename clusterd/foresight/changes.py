"""What may happen that no operator asks for? Pure. A node is lost."""

from dataclasses import replace

from clusterd.database import DatabaseView, Draft
from clusterd.model.ids import NodeId
from clusterd.model.records import Evidence, MembershipRecord, Step
from clusterd.model.states import EvidenceKind, MembershipState


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
