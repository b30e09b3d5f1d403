"""Reads what ledger workloads wrote, and judges it."""

from pathlib import Path

from clusterd.checkers import Life, Overlap, overlaps


def lives(path: Path) -> list[Life]:
    """One life a process: from its first line to its last. Times in nanoseconds on the machine's boot-time clock."""
    first: dict[tuple[str, int, int], int] = {}
    last: dict[tuple[str, int, int], int] = {}
    for line in path.read_text(encoding="ascii").splitlines():
        at, node, generation, pid = line.split()
        who = (node, int(generation), int(pid))
        first.setdefault(who, int(at))
        last[who] = int(at)
    return [Life("ledger", who[0], who[1], first[who], last[who]) for who in first]


def overlaps_in(path: Path) -> list[Overlap]:
    return overlaps(lives(path))
