"""Figures in sentences: no '1 groups', no 'in 0 ms' for what is over, no '60.0 s', the right zone."""

import pytest

from clusterd.api.times import zone_text
from clusterd.model.counts import counted, is_or_are, times
from clusterd.model.durations import rough_text, until_text


@pytest.mark.parametrize(
    ("left_ms", "text"),
    [
        (3_200, "in 3.2 s"),
        (500, "in 500 ms"),
        (1, "in 1 ms"),
        (0, "now"),
        (-999, "now"),
        (-1_000, "due since 1.0 s"),
        (-720_000, "due since 12 min"),
    ],
)
def test_when_something_is_to_happen(left_ms: int, text: str) -> None:
    assert until_text(left_ms) == text


@pytest.mark.parametrize(
    ("length_ms", "text"),
    [(0, "0 ms"), (999, "999 ms"), (59_949, "59.9 s"), (59_950, "1 min"), (60_000, "1 min"), (7_500_000, "2 h 5 min")],
)
def test_rough_lengths(length_ms: int, text: str) -> None:
    assert rough_text(length_ms) == text


@pytest.mark.parametrize(("count", "text"), [(0, "no group"), (1, "1 group"), (2, "2 groups")])
def test_counts(count: int, text: str) -> None:
    assert counted(count, "group") == text


def test_irregular_words() -> None:
    assert [counted(each, "copy", "copies") for each in range(3)] == ["no copy", "1 copy", "2 copies"]
    assert [times(each) for each in (1, 2, 3)] == ["once", "twice", "3 times"]
    assert [is_or_are(each) for each in (0, 1, 2)] == ["are", "is", "are"]


@pytest.mark.parametrize(
    ("offset_min", "text"),
    [(0, "UTC"), (120, "UTC+2"), (-210, "UTC-3:30"), (345, "UTC+5:45"), (-60, "UTC-1")],
)
def test_zones(offset_min: int, text: str) -> None:
    assert zone_text(offset_min * 60_000) == text
