"""Who reaches more nodes over links of its own?"""

import pytest

from clusterd.membership import Detector, better_connected
from clusterd.membership.detector import Heartbeat
from clusterd.model.ids import Incarnation, NodeId

ME, NOW, LIMIT = NodeId("m"), 50_000, 750
NODES = ("m", "a", "b", "c")


def meshed(*broken: str) -> Detector:
    """Everybody hears everybody, directly but for `broken`: "ma" is what m hears of a only through another node."""
    detector = Detector(ME, 0)
    for node in NODES[1:]:
        others = {NodeId(each): 100 for each in NODES if each != node}
        relayed = frozenset(each for each in others if node + each in broken)
        beat = Heartbeat(NOW - 50, "d1", Incarnation("i1"), (), "run", 0, others, relayed=relayed)
        detector.hear(NodeId(node), beat, is_direct="m" + node not in broken)
    return detector


def better(detector: Detector, *candidates: str, now_ms: int = NOW) -> str | None:
    members = [NodeId(each) for each in NODES]
    heirs = [NodeId(each) for each in candidates]
    return better_connected(detector, ME, heirs, members, now_ms=now_ms, age_max_ms=LIMIT)


@pytest.mark.parametrize(
    ("name", "broken", "expected"),
    [
        ("all well", (), None),
        ("two others do not reach each other", ("ab", "ba"), None),
        ("this node and one other do not reach each other", ("ma", "am"), "b"),
        ("it is heard there, but does not hear", ("ma",), "b"),
        ("it hears, but is not heard there", ("am",), "b"),
        ("everybody lacks one", ("ma", "am", "bc", "cb"), None),
        ("the first of the rest lacks one as well", ("ma", "am", "ab", "ba"), "c"),
        ("this node is alone but for relays", ("ma", "am", "mb", "bm"), "c"),
    ],
)
def test_better_connected(name: str, broken: tuple[str, ...], expected: str | None) -> None:
    assert better(meshed(*broken), "a", "b", "c") == expected, name


def test_only_a_candidate_is_named() -> None:
    detector = meshed("ma", "am")
    assert better(detector, "a") is None
    assert better(detector) is None


def test_what_was_heard_long_ago_does_not_count() -> None:
    assert better(meshed("ma", "am"), "b", now_ms=NOW + LIMIT) is None
