"""The judge of guests finds each kind of broken promise, and nothing in a history that keeps them."""

import pytest

from clusterd.checkers import GuestLine, machine_breaches


def told(*rows: tuple[str, int, str, int, int, int]) -> list[GuestLine]:
    return [GuestLine(*row) for row in rows]


BEFORE = ("run1", 10, "aaaa", 1, 5, 1), ("run1", 20, "aaaa", 1, 6, 1)

KEPT = {
    "nothing": told(),
    "a run": told(*BEFORE),
    "moved with its memory": told(*BEFORE, ("run2", 30, "aaaa", 1, 7, 2)),
    "moved with its memory, and the last line twice": told(*BEFORE, ("run2", 30, "aaaa", 1, 6, 2)),
    "started afresh": told(*BEFORE, ("run2", 30, "bbbb", 2, 1, 2)),
    "started afresh, a boot unseen": told(*BEFORE, ("run2", 30, "bbbb", 3, 1, 2)),
    "restarted in place": told(*BEFORE, ("run2", 30, "bbbb", 2, 1, 1)),
    "reset itself": told(*BEFORE, ("run1", 30, "bbbb", 2, 1, 1)),
}

BROKEN = {
    "two at once": (told(*BEFORE, ("run2", 15, "bbbb", 2, 1, 2)), 2),  # and the memory came back
    "an older generation afterwards": (
        told(("run1", 10, "aaaa", 1, 5, 2), ("run2", 30, "bbbb", 2, 1, 1)),
        1,
    ),
    "memory that came back": (
        told(*BEFORE, ("run2", 30, "bbbb", 2, 1, 2), ("run3", 40, "aaaa", 1, 9, 3)),
        1,
    ),
    "a count that went back": (told(*BEFORE, ("run2", 30, "aaaa", 1, 2, 2)), 1),
    "a boot that the disk forgot": (told(*BEFORE, ("run2", 30, "bbbb", 1, 1, 2)), 1),
}


@pytest.mark.parametrize("name", KEPT)
def test_what_is_kept(name: str) -> None:
    assert machine_breaches("vm", KEPT[name]) == []
    assert machine_breaches("vm", (), KEPT[name]) == []


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken(name: str) -> None:
    lines, count = BROKEN[name]
    assert len(found := machine_breaches("vm", lines)) == count, found
    assert machine_breaches("vm", (), lines) != []


def test_an_old_owner_that_still_writes() -> None:
    written = told(("disk", 10, "aaaa", 1, 5, 1), ("disk", 20, "aaaa", 1, 6, 2), ("disk", 30, "aaaa", 1, 7, 1))
    assert machine_breaches("vm", (), written) == ["vm, disk: generation 1 wrote at 30, after generation 2"]
