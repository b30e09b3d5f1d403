"""What a node says about silence and quorum: each change once."""

from clusterd.membership import Detector
from clusterd.membership.detector import Heartbeat
from clusterd.model.ids import Incarnation, NodeId
from clusterd.node.watching import Watching

ME, A, B = NodeId("m"), NodeId("a"), NodeId("b")


def test_each_change_is_said_once() -> None:
    detector, watching = Detector(ME, 0), Watching(ME)

    def hear(node: NodeId, now_ms: int) -> None:
        detector.hear(node, Heartbeat(now_ms, "d", Incarnation("i"), (), "r", 0, {}), is_direct=True)

    def said(now_ms: int) -> list[str]:
        notes = watching.look(detector, (A, B), (ME, A, B), now_ms=now_ms, silence_max_ms=1000)
        return [f"{each.event.name} {each.get('peer') or each.get('reachable')}" for each in notes]

    assert said(10) == []
    hear(A, 20)
    assert said(30) == ["quorum.gained 2"]
    assert said(40) == []
    assert said(1010) == ["node.suspected b"]
    assert said(1030) == ["node.suspected a", "quorum.lost 1"]
    assert said(1100) == []
    hear(B, 1200)
    assert said(1210) == ["quorum.gained 2"]
    assert said(2300) == ["node.suspected b", "quorum.lost 1"]
