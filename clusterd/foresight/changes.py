"""What may happen that no operator asks for? Pure. A node is lost."""

from dataclasses import replace

from clusterd.database import DatabaseView, Draft
from clusterd.leader.fence_agents import fence_agents
from clusterd.model.ids import NodeId
from clusterd.model.records import Evidence, MembershipRecord, Step
from clusterd.model.states import EvidenceKind, MembershipState


def lose_node(view: DatabaseView, name: NodeId, wall_ms: int) -> Draft:
    """The node is gone and it is proven: from here on the others decide."""
    before = view.membership(name) or MembershipRecord(name, MembershipState.JOINING)
    return Draft(view).put(lost(view, before, wall_ms))


def lost(view: DatabaseView, member: MembershipRecord, wall_ms: int) -> MembershipRecord:
    """With the evidence that would be there: of its fence agent, which is quicker, or of its lease."""
    agent = fence_agents(view).get(member.node)
    if agent is not None:
        evidence = Evidence(EvidenceKind.FENCED, f"{agent} would confirm that its run has ended", wall_ms)
    else:
        evidence = Evidence(EvidenceKind.EXPIRED, "its run lease would have run out", wall_ms)
    return replace(
        member,
        state=MembershipState.DOWN,
        because=f"{member.node} is lost",
        evidence=evidence,
        since_wall_ms=wall_ms,
        steps=(Step(wall_ms, f"{member.node} is lost", view.revision),),
    )
