"""Who ended a host, by what it was in the midst of."""

import pytest

from clusterd.model.ids import ResourceId
from clusterd.owner.blame import UNEXPLAINED_MAX, UNEXPLAINED_WITHIN_MS, Judge, Verdict
from clusterd.owner.commands import CallInHost
from clusterd.owner.hosts import GoneHost

NOBODY = Verdict()


def gone(*served: str, blamed: str = "") -> GoneHost:
    return GoneHost(served, (), ResourceId(blamed) if blamed else None)


def calls(*names: str) -> tuple[CallInHost, ...]:
    return tuple(CallInHost(ResourceId(name), "is_alive") for name in names)


def only(name: str) -> Verdict:
    return Verdict(frozenset({name}), counted=frozenset({name}))


@pytest.mark.parametrize(
    ("end", "made", "verdict"),
    [
        pytest.param(gone("web", "web2"), calls("web"), only("web"), id="the only call"),
        pytest.param(gone("web", "web2"), calls("Web"), only("web"), id="names know no case"),
        pytest.param(gone("a", "b", blamed="a"), calls("a", "b"), only("a"), id="the call that it was killed for"),
        pytest.param(gone("a", "b", "c"), calls("a", "b"), Verdict(suspects=frozenset("ab")), id="any of several"),
        pytest.param(gone("a", "b"), (), NOBODY, id="no call: killed from outside"),
        pytest.param(gone("a"), (), Verdict(counted=frozenset("a")), id="alone in it, and so nobody else's"),
        pytest.param(gone("a"), calls("b"), only("b"), id="of what had just come"),
        pytest.param(gone("a"), calls(""), NOBODY, id="a question to a type"),
        pytest.param(gone("a", "b"), calls("a", ""), Verdict(suspects=frozenset("a")), id="a call beside a question"),
        pytest.param(gone(), (), NOBODY, id="nothing was in it"),
    ],
)
def test_verdict(end: GoneHost, made: tuple[CallInHost, ...], verdict: Verdict) -> None:
    assert Judge().judge("shared", end, made, 0) == verdict


def test_questions_to_types_make_nobody_a_suspect() -> None:
    judge = Judge()
    for at in range(UNEXPLAINED_MAX + 2):
        assert judge.judge("shared", gone("a", "b"), calls(""), at) == NOBODY


def test_what_nobody_explains_makes_all_suspects_in_the_end() -> None:
    judge = Judge()
    for at in range(UNEXPLAINED_MAX - 1):
        assert judge.judge("shared", gone("a", "b"), (), at) == NOBODY
    assert judge.judge("own-a", gone(), (), 5) == NOBODY, "each host counts for itself"
    assert judge.judge("shared", gone("a", "b"), (), 9) == Verdict(suspects=frozenset("ab"))
    assert judge.judge("shared", gone("a", "b"), (), 9 + UNEXPLAINED_WITHIN_MS) == NOBODY, "that is long ago"
