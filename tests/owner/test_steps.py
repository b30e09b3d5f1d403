"""What a report names of the way it came about."""

from dataclasses import replace

import pytest

from clusterd.model.ids import GroupId, Incarnation, NodeId, ResourceId
from clusterd.model.records import ReportRecord, Step
from clusterd.model.states import ResourceState
from clusterd.owner.machine import Happening, Held, advance
from clusterd.owner.now import Now
from clusterd.owner.reports import says_the_same
from clusterd.owner.steps import FIRST_KEPT, LAST_KEPT, step_text, with_step

A = ResourceId("web-server")


@pytest.mark.parametrize(
    ("name", "state", "what", "text"),
    [
        ("begins", ResourceState.OFFLINE, Happening.ONLINE_ASKED, "n2 brings web-server online"),
        ("is online", ResourceState.ONLINE_PENDING, Happening.ONLINE_DONE, "web-server online after 120 ms: why"),
        (
            "ends",
            ResourceState.ONLINE,
            Happening.OFFLINE_ASKED,
            "n2 takes web-server offline: its owner takes it offline: why",
        ),
        ("is offline", ResourceState.OFFLINE_PENDING, Happening.OFFLINE_DONE, "web-server offline after 120 ms: why"),
        ("fails", ResourceState.ONLINE, Happening.CHECK_FAILED, "web-server is failed: it failed: why"),
        (
            "is well again",
            ResourceState.FAILED,
            Happening.CHECK_PASSED,
            "web-server is online: its checks pass again, and nobody touched it: why",
        ),
    ],
)
def test_words(name: str, state: ResourceState, what: Happening, text: str) -> None:
    before = Held(A, state, since_wall_ms=1000)
    after = advance(before, what, because="why", wall_ms=1120)
    assert step_text(NodeId("n2"), before, after, what, 1120, "why") == text, name


def test_a_long_story_keeps_its_beginning_and_its_end() -> None:
    steps: tuple[Step, ...] = ()
    for number in range(100):
        steps = with_step(steps, Now(0, 0, number), f"step {number}")
    kept = [each.wall_ms for each in steps]
    assert kept == [*range(FIRST_KEPT), *range(100 - LAST_KEPT, 100)]


def test_a_step_is_no_novel() -> None:
    assert len(with_step((), Now(0, 0, 0), "x" * 10_000)[0].text) == 300


def test_steps_cause_no_report_by_themselves() -> None:
    before = ReportRecord(GroupId("web"), NodeId("n1"), Incarnation("i"), 1)
    assert says_the_same(replace(before, steps=(Step(1, "more"),)), before)
    assert not says_the_same(replace(before, was_online=True), before)
    assert not says_the_same(before, None)
