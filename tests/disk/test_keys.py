"""Who may take a disk, and who has lost it: rule by rule, and against a slow version."""

import itertools

import pytest

from resource_types.physical_disk.keys import GENERATION_MAX, Key, Verdict, View, arbitrate, defend, key_of, parse

MINE = key_of("c", "n1", 5)
OLDER, NEWER = key_of("c", "n2", 4).value, key_of("c", "n2", 6).value
TWIN = Key(MINE.cluster, MINE.node ^ 1, 5).value
FOREIGN = key_of("other", "n1", 9).value
TOOL = 0xABC123
ME = MINE.value


@pytest.mark.parametrize(
    ("name", "view", "verdict"),
    [
        ("nobody holds it", View(None), Verdict.RESERVE),
        ("an older one is only registered", View(None, (OLDER,)), Verdict.RESERVE),
        ("an older one holds it", View(OLDER, (OLDER,)), Verdict.PREEMPT),
        ("our own earlier session holds it", View(ME, (ME,)), Verdict.PREEMPT),
        ("a newer one holds it", View(NEWER, (NEWER,)), Verdict.REFUSE),
        ("a newer one is only registered", View(OLDER, (NEWER, OLDER)), Verdict.REFUSE),
        ("another cluster holds it", View(FOREIGN, (FOREIGN,)), Verdict.CHALLENGE),
        ("a tool holds it", View(TOOL, (TOOL,)), Verdict.CHALLENGE),
        ("a node with our very generation holds it", View(TWIN, (TWIN,)), Verdict.CHALLENGE),
    ],
)
def test_challenger(name: str, view: View, verdict: Verdict) -> None:
    assert arbitrate(view, MINE).verdict is verdict, name


@pytest.mark.parametrize(
    ("name", "view", "lately", "frozen"),
    [
        ("all is well", View(ME, (ME,)), Verdict.HOLD, Verdict.HOLD),
        ("an intruder registered", View(ME, (ME, TOOL)), Verdict.HOLD, Verdict.HOLD),
        ("a newer one registered", View(ME, (ME, NEWER)), Verdict.LOST, Verdict.LOST),
        ("a newer one holds it", View(NEWER, (NEWER,)), Verdict.LOST, Verdict.LOST),
        ("the target forgot everybody", View(None), Verdict.RESTORE, Verdict.LOST),
        ("only the reservation went", View(None, (ME,)), Verdict.RESTORE, Verdict.RESTORE),
        ("an older one was quicker after a restart", View(OLDER, (OLDER,)), Verdict.RESTORE, Verdict.LOST),
        ("a stranger took it", View(FOREIGN, (FOREIGN,)), Verdict.LOST, Verdict.LOST),
        ("a node with our generation took it", View(TWIN, (TWIN,)), Verdict.LOST, Verdict.LOST),
        ("it is in our name, and we are not registered", View(ME), Verdict.RESTORE, Verdict.LOST),
    ],
)
def test_owner(name: str, view: View, lately: Verdict, frozen: Verdict) -> None:
    assert defend(view, MINE, was_heard_lately=True).verdict is lately, name
    assert defend(view, MINE, was_heard_lately=False).verdict is frozen, name


def test_newer_key_is_never_preempted_and_older_is_never_waited_for() -> None:
    """Every view of five keys: whatever else is there, these two rules hold."""
    keys = (ME, OLDER, NEWER, FOREIGN, TOOL)
    for count in range(len(keys) + 1):
        for registered in itertools.combinations(keys, count):
            for holder in (None, *registered):
                view = View(holder, registered)
                verdict = arbitrate(view, MINE).verdict
                assert (verdict is Verdict.REFUSE) == (NEWER in registered), view
                assert not (holder == OLDER and verdict is Verdict.CHALLENGE), view
                for lately in (True, False):
                    if NEWER in registered:
                        assert defend(view, MINE, was_heard_lately=lately).verdict is Verdict.LOST, view


def test_key_round_trip() -> None:
    for generation in (1, 77, GENERATION_MAX):
        key = key_of("Demo", "N1", generation)
        assert parse(key.value) == key == key_of("demo", "n1", generation)
        assert key.value < 1 << 64
    for generation in (0, -1, GENERATION_MAX + 1):
        with pytest.raises(ValueError, match="generation"):
            key_of("c", "n", generation)


def test_words_name_the_generation() -> None:
    assert "generation 6 of this cluster" in arbitrate(View(NEWER, (NEWER,)), MINE).because
    assert "no key of this cluster" in arbitrate(View(TOOL, (TOOL,)), MINE).because
