"""What does a leader see when it only imagines? Pure. Every node that is up is heard, by everybody, just now."""

from dataclasses import dataclass

from clusterd.database import DatabaseView
from clusterd.leader import Sight
from clusterd.membership import Detector
from clusterd.membership.detector import Heartbeat
from clusterd.model.ids import NodeId
from clusterd.model.settings import cluster_settings
from clusterd.model.states import MembershipState

_BEGIN_MS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Outlook:
    """From where one looks ahead: the clocks now, and who has a vote."""

    voters: tuple[NodeId, ...]
    wall_ms: int
    cluster_ms: int
    local_minute: int = 0

    def voters_up(self, view: DatabaseView) -> list[NodeId]:
        return [each for each in self.voters if _is_up(view, each)]

    def keeps_quorum(self, view: DatabaseView) -> bool:
        """Whether the voters that are up can still commit."""
        return len(self.voters_up(view)) * 2 > len(self.voters)

    def sight(self, view: DatabaseView, after_ms: int) -> Sight:
        """What a leader among the nodes that are up would see `after_ms` from now."""
        now_ms = _BEGIN_MS + after_ms
        leader = (self.voters_up(view) or [NodeId("")])[0]
        return Sight(
            me=leader,
            now_ms=now_ms,
            wall_ms=self.wall_ms + after_ms,
            cluster_ms=self.cluster_ms + after_ms,
            voters=self.voters,
            detector=_everybody_well(view, leader, now_ms),
            settings=cluster_settings(view.cluster()),
            configuration_learned_ms=0,
            local_minute=(self.local_minute + after_ms // 60_000) % 1440,
        )

    def after_ms(self, sight_ms: int) -> int:
        """How far ahead a moment on the imagined leader's clock is."""
        return sight_ms - _BEGIN_MS


def _everybody_well(view: DatabaseView, leader: NodeId, now_ms: int) -> Detector:
    detector = Detector(leader, 0)
    members = [view.membership(each.name) for each in view.nodes()]
    up = [each for each in members if each is not None and each.state is MembershipState.UP]
    heard = {each.node: 0 for each in up}
    for each in up:
        heartbeat = Heartbeat(now_ms, "foreseen", each.incarnation, (), each.run_id, 0, heard)
        detector.hear(each.node, heartbeat, is_direct=True)
    return detector


def _is_up(view: DatabaseView, node: NodeId) -> bool:
    member = view.membership(node)
    return member is not None and member.state is MembershipState.UP
