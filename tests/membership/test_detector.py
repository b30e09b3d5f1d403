"""Who is suspected, and through whom messages travel."""

from dataclasses import replace

import pytest

from clusterd.membership import Detector, Silence, choose_relay
from clusterd.membership.detector import Heartbeat
from clusterd.model.ids import Incarnation, NodeId

ME, A, B = NodeId("m"), NodeId("a"), NodeId("b")
VOTERS = (ME, A, B)
LIMIT = 1000
I1 = Incarnation("i1")


def beat(at_ms: int, *, run: str = "d1", incarnation: str = "i1", **heard: int) -> Heartbeat:
    ages = {NodeId(node): age for node, age in heard.items()}
    return Heartbeat(at_ms, run, Incarnation(incarnation), (), "run", 0, ages)


def watching(now_ms: int, **beats: Heartbeat) -> Detector:
    """A detector that has run since 0 and heard everybody's daemon long ago, and then `beats`."""
    detector = Detector(ME, 0)
    for node in VOTERS:
        detector.hear(node, beat(1, m=0, a=0, b=0), is_direct=True)
    detector.hear(ME, beat(now_ms), is_direct=True)
    for node, heartbeat in beats.items():
        detector.hear(NodeId(node), heartbeat, is_direct=True)
    return detector


NOW = 50_000


@pytest.mark.parametrize(
    ("name", "beats", "is_suspected"),
    [
        ("all well", {"a": beat(NOW, m=5, b=5), "b": beat(NOW, m=5, a=5)}, False),
        ("silent everywhere", {"b": beat(NOW, m=5, a=NOW)}, True),
        ("only this node does not hear it", {"b": beat(NOW, m=5, a=5)}, True),
        ("only this node hears it", {"a": beat(NOW, m=5, b=NOW), "b": beat(NOW, m=5, a=NOW)}, False),
        ("heard by all, hears nobody", {"a": beat(NOW, m=NOW, b=NOW), "b": beat(NOW, m=5, a=5)}, True),
        ("its daemon started a moment ago", {"a": beat(NOW, run="d2"), "b": beat(NOW, m=5, a=NOW)}, False),
        ("another incarnation", {"a": beat(NOW, incarnation="i9", m=5, b=5), "b": beat(NOW, m=5, a=5)}, True),
    ],
)
def test_suspicion(name: str, beats: dict[str, Heartbeat], is_suspected: bool) -> None:
    detector = watching(NOW, **beats)
    found = detector.suspect(A, I1, VOTERS, now_ms=NOW, silence_max_ms=LIMIT)
    assert (found is not None) == is_suspected, name


@pytest.mark.parametrize(
    ("name", "beats", "kind", "silent_ms"),
    [
        ("silent everywhere", {"b": beat(NOW, m=5, a=NOW)}, Silence.BOTH_WAYS, NOW - 1),
        ("heard by all, hears nobody", {"a": beat(NOW, m=3000, b=4000), "b": beat(NOW, m=5, a=5)}, Silence.DEAF, 3000),
        ("one-way cut, the figure is of the way that is cut", {"a": beat(NOW - 164, m=2200, b=2300), "b": beat(NOW, a=90)},
         Silence.DEAF, 2364),
        ("its words reach this node only", {"a": beat(NOW, m=5, b=5), "b": beat(NOW, a=3000)}, None, 0),
        ("hears all, heard by nobody but late", {"a": beat(NOW - 1500, m=5, b=5), "b": beat(NOW, m=5, a=2500)},
         Silence.BOTH_WAYS, 1505),
        ("another run", {"a": beat(NOW, incarnation="i9", m=5, b=5), "b": beat(NOW, m=5, a=5)}, Silence.OTHER_RUN, NOW - 1),
    ],
)  # fmt: skip
def test_what_is_missing_and_for_how_long(
    name: str, beats: dict[str, Heartbeat], kind: Silence | None, silent_ms: int
) -> None:
    found = watching(NOW, **beats).suspect(A, I1, VOTERS, now_ms=NOW, silence_max_ms=LIMIT)
    assert (found and found.kind) == kind, name
    if found is not None:
        assert found.silent_ms == silent_ms > LIMIT


def test_a_node_that_is_heard_by_others_than_it_hears() -> None:
    c, d = NodeId("c"), NodeId("d")
    voters = (ME, B, c, d, NodeId("e"))
    detector = watching(NOW, a=beat(NOW, m=9000, b=9000, c=5, d=5, e=5), b=beat(NOW, a=5))
    for other in (c, d, NodeId("e")):
        detector.hear(other, beat(1, a=0), is_direct=True)
    for other, age_ms in ((c, 9000), (d, 9000), (NodeId("e"), 5)):
        detector.hear(other, beat(NOW, a=age_ms), is_direct=True)
    found = detector.suspect(A, I1, voters, now_ms=NOW, silence_max_ms=LIMIT)
    assert found is not None and (found.kind, found.silent_ms) == (Silence.MIXED, 9000)


def test_a_newcomer_must_be_heard_before_it_is_admitted() -> None:
    detector = watching(NOW, a=beat(NOW, run="d2"), b=beat(NOW, m=5, a=NOW))
    strict = detector.suspect(A, I1, VOTERS, now_ms=NOW, silence_max_ms=LIMIT, is_admitted=False)
    assert strict is not None


@pytest.mark.parametrize(
    ("name", "changed", "is_so"),
    [
        ("all well", {}, True),
        ("one is quiet", {"b": beat(NOW - 800, m=5, a=5)}, False),
        ("one hears this node late", {"a": beat(NOW, m=800, b=5)}, False),
        ("one hears another late", {"a": beat(NOW, m=5, b=800)}, False),
        ("one never heard another", {"a": beat(NOW, m=5)}, False),
        ("one hears another late, as it said a while ago", {"a": beat(NOW - 400, m=5, b=400)}, False),
        ("one hears another through a third", {"a": replace(beat(NOW, m=5, b=5), relayed=frozenset({B}))}, False),
        ("a stream carries nothing", {"a": replace(beat(NOW, m=5, b=5), mute=frozenset({ME}))}, False),
    ],
)
def test_all_hear_all(name: str, changed: dict[str, Heartbeat], is_so: bool) -> None:
    beats = {"a": beat(NOW, m=5, b=5), "b": beat(NOW, m=5, a=5)} | changed
    assert watching(NOW, **beats).all_hear_all((A, B), NOW, 750) is is_so, name


def test_time_in_which_this_node_did_not_run_is_nobodys_silence() -> None:
    detector = watching(NOW, a=beat(NOW, m=0, b=0), b=beat(NOW, m=0, a=0))
    later = NOW + 5000
    assert detector.suspect(A, I1, VOTERS, now_ms=later, silence_max_ms=LIMIT) is not None
    detector.discount(5000, later)
    detector.hear(ME, beat(later), is_direct=True)
    assert detector.suspect(A, I1, VOTERS, now_ms=later, silence_max_ms=LIMIT) is None


@pytest.mark.parametrize(
    ("name", "is_open", "a_hears_b_ms", "b_heard_ms", "relay"),
    [
        ("the link is well", True, 5, NOW, None),
        ("the link is silent, a reaches it", True, 5, 1, A),
        ("there is no link, a reaches it", False, 5, 1, A),
        ("nobody reaches it", False, NOW, 1, None),
    ],
)
def test_relay(name: str, is_open: bool, a_hears_b_ms: int, b_heard_ms: int, relay: NodeId | None) -> None:
    detector = Detector(ME, 0)
    detector.hear(A, beat(NOW, b=a_hears_b_ms), is_direct=True)
    detector.hear(B, beat(b_heard_ms), is_direct=True)
    found = choose_relay(
        detector, ME, B, (A, B), is_link_open=is_open, now_ms=NOW, quiet_max_ms=300, mute_after_ms=2000
    )
    assert found == relay, name
