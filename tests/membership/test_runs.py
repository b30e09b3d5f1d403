"""Which of two daemons that are the same node is let in."""

import pytest

from clusterd.membership.runs import Caller, Present, Welcome, is_later, welcome
from clusterd.model.ids import Incarnation

I1, I2, NONE = Incarnation("i1"), Incarnation("i2"), Incarnation("")


def present(age_ms: int = 100, incarnation: Incarnation = I1) -> Present:
    return Present("a", incarnation, age_ms)


@pytest.mark.parametrize(("boots", "known", "expected"), [(0, 7, True), (7, 7, False), (6, 7, False), (8, 7, True)])
def test_who_counts_the_starts_on_may_be_later(boots: int, known: int, expected: bool) -> None:
    assert is_later(Caller("b", I2, boots=boots), known) is expected


@pytest.mark.parametrize(
    ("caller", "found", "admitted", "is_double", "expected"),
    [
        pytest.param(Caller("b", I2), None, I1, False, Welcome.YES, id="nobody was heard yet"),
        pytest.param(Caller("a", I1), present(), I1, False, Welcome.YES, id="a second stream of the same run"),
        pytest.param(Caller("b", I1), present(), I1, False, Welcome.YES, id="a daemon restarted: the same guard"),
        pytest.param(Caller("b", I2, (I1,)), present(), I1, False, Welcome.YES, id="its guard proved the end of it"),
        pytest.param(Caller("b", I2), present(), I1, False, Welcome.WAIT, id="another guard a moment later"),
        pytest.param(Caller("b", NONE), present(), I1, False, Welcome.WAIT, id="no guard yet"),
        pytest.param(
            Caller("b", I2), present(800), I1, False, Welcome.YES, id="after three heartbeats without the first"
        ),
        pytest.param(Caller("b", I2), present(800), I1, True, Welcome.NO, id="known for a double: not yet"),
        pytest.param(Caller("b", I2), present(2100), I1, True, Welcome.YES, id="the first one has gone"),
        pytest.param(Caller("b", I2, (I1,)), present(), I1, True, Welcome.YES, id="its guard proved it, though late"),
        pytest.param(Caller("a", I1), Present("b", I2, 5), I1, False, Welcome.YES, id="who is admitted comes first"),
        pytest.param(Caller("b", I2), present(10, NONE), NONE, False, Welcome.WAIT, id="the first one has no guard"),
        pytest.param(Caller("b", NONE), present(10, NONE), NONE, False, Welcome.WAIT, id="neither has one"),
    ],
)
def test_welcome(
    caller: Caller, found: Present | None, admitted: Incarnation, is_double: bool, expected: Welcome
) -> None:
    given = welcome(caller, found, admitted=admitted, is_double=is_double, quiet_max_ms=750, silence_max_ms=2000)
    assert given is expected
