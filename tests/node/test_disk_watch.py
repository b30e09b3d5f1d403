"""When is a disk called slow, and when quick again? By how long writes take, whatever else is late."""

from collections.abc import Sequence

import pytest

from clusterd.model.disk import DiskCondition, DiskState, disk_text
from clusterd.node.disk import DiskWatch

S, OK, FULL = DiskState.SLOW, DiskState.OK, DiskState.FULL


def played(took_ms: Sequence[int], *, gap_ms: int = 1000) -> tuple[DiskWatch, int]:
    """A watch that saw writes of these lengths, one after the other, and the time after the last."""
    watch, now_ms = DiskWatch(0), 0
    for sequence, each in enumerate(took_ms, start=1):
        watch.writing(sequence, now_ms)
        watch.written(sequence, now_ms + each)
        now_ms += each
        watch.look(now_ms)
        now_ms += gap_ms
    return watch, now_ms


@pytest.mark.parametrize(
    ("name", "took_ms", "state"),
    [
        ("nothing was written", [], DiskState.UNTRIED),
        ("healthy", [3, 2, 4, 3], OK),
        ("busy", [90, 120, 80, 200, 499], OK),
        ("one slow write alone", [1500], OK),
        ("two slow writes", [800, 700], OK),
        ("three slow writes", [800, 700, 900], S),
        ("three of five", [800, 3, 700, 3, 900], S),
        ("one that stalled", [2000], S),
        ("quick at once is not quick yet", [800, 700, 900, 3, 3, 3], S),
    ],
)
def test_slow(name: str, took_ms: list[int], state: DiskState) -> None:
    watch, now_ms = played(took_ms)
    assert watch.look(now_ms).state is state


def test_it_is_quick_again_after_quick_writes_for_a_while() -> None:
    watch, now_ms = played([800, 700, 900, 3, 3, 3], gap_ms=4000)
    assert watch.look(now_ms).state is OK


def test_a_write_that_hangs_is_named_while_it_hangs_with_how_long() -> None:
    watch = DiskWatch(0)
    watch.writing(1, 1000)
    assert watch.look(2900).state is DiskState.UNTRIED
    assert watch.look(3000) == DiskCondition(S, 2000)
    assert watch.look(61_000) == DiskCondition(S, 60_000)


def test_the_figure_is_that_of_the_oldest_write_that_became_durable() -> None:
    watch = DiskWatch(0)
    watch.writing(1, 0)
    watch.writing(2, 500)
    watch.written(2, 2500)
    assert watch.look(2500) == DiskCondition(S, 2500)


def test_a_loop_that_did_not_run_is_no_slow_disk() -> None:
    watch = DiskWatch(0)
    watch.writing(1, 0)
    watch.discount(5000, 5000)
    watch.written(1, 5003)
    assert watch.look(5003) == DiskCondition(OK, 3)


def test_what_waited_for_room_was_not_slow() -> None:
    watch = DiskWatch(0)
    watch.writing(1, 0)
    watch.refused(FULL, "no room")
    assert watch.look(30_000) == DiskCondition(FULL, text="no room")
    watch.took_again(60_000)
    watch.written(1, 60_002)
    assert watch.look(60_002) == DiskCondition(OK, 2)


def test_a_disk_that_failed_stays_so() -> None:
    watch = DiskWatch(0)
    watch.refused(DiskState.FAILED, "EIO")
    watch.took_again(5)
    assert watch.look(10).state is DiskState.FAILED


def test_a_slow_disk_is_written_to_or_nobody_would_see_that_it_is_quick_again() -> None:
    watch, now_ms = played([1500], gap_ms=0)
    assert not watch.wants_probe(now_ms)
    assert watch.wants_probe(now_ms + 3000)
    watch.writing(2, now_ms + 3000)
    assert not watch.wants_probe(now_ms + 9000), "one is under way"
    quick, later_ms = played([3, 3], gap_ms=60_000)
    assert not quick.wants_probe(later_ms)
    assert DiskWatch(5000).wants_probe(8000), "nobody knows how it is"


@pytest.mark.parametrize(
    ("state", "took_ms", "text", "says"),
    [
        (OK, 3, "", ""),
        (S, 1240, "", "its disk is slow: a write took 1.2 s to become durable"),
        (FULL, 0, "No space left on device (ENOSPC)", "its disk is full: No space left on device (ENOSPC); what runs"),
        (
            DiskState.REFUSES,
            0,
            "Too many open files (EMFILE)",
            "its disk takes no writes: Too many open files (EMFILE);",
        ),
        (DiskState.FAILED, 0, "", "its disk failed; its daemon ended"),
    ],
)
def test_sentences(state: DiskState, took_ms: int, text: str, says: str) -> None:
    assert disk_text(state, took_ms, text).startswith(says)
    assert bool(disk_text(state, took_ms, text)) == bool(says)
