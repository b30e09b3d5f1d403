"""Did a guest ever run in two places, lose its memory where it should not, or write under an old generation? Pure.

The ledger of a virtual machine is the machine itself: the guest says a line on its console and writes it to its disk, with a
nonce drawn at boot, the number of boots that its disk has seen, a count kept in memory, and the generation of its owner.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from clusterd.checkers.one_owner import Life, overlaps


@dataclass(frozen=True, slots=True)
class GuestLine:
    """One line of a guest. `run` is the process that it came from, or the disk; `at` is on one clock for all of them."""

    run: str
    at: int
    nonce: str
    boots: int
    count: int
    generation: int


def machine_breaches(machine: str, said: Iterable[GuestLine], written: Iterable[GuestLine] = ()) -> list[str]:
    """Every broken promise of one machine: of what its consoles `said`, and of what was `written` to its disk."""
    lines = sorted(said, key=lambda line: line.at)
    found = [str(each) for each in overlaps(_lives(machine, lines))]
    found += [f"{machine}, console: {each}" for each in _steps_back(lines)]
    on_disk = sorted(written, key=lambda line: line.at)
    found += [f"{machine}, disk: {each}" for each in (*_old_writes(on_disk), *_steps_back(on_disk))]
    return found


def _lives(machine: str, lines: Sequence[GuestLine]) -> list[Life]:
    """One life a process under one generation: a guest that stays where it is may still be given a new one."""
    first: dict[tuple[str, int], int] = {}
    last: dict[tuple[str, int], int] = {}
    for line in lines:
        first.setdefault((line.run, line.generation), line.at)
        last[line.run, line.generation] = line.at
    return [Life(machine, *who, first[who], last[who]) for who in first]


def _old_writes(lines: Sequence[GuestLine]) -> Iterator[str]:
    for before, after in itertools.pairwise(lines):
        if after.generation < before.generation:
            yield f"generation {after.generation} wrote at {after.at}, after generation {before.generation}"


def _steps_back(lines: Sequence[GuestLine]) -> Iterator[str]:
    """Memory that came back after newer memory, a count that did not go on, a boot that the disk does not know."""
    counts: dict[str, int] = {}
    boots = 0
    now = ""
    for line in lines:
        if line.nonce != now:
            if line.nonce in counts:
                yield f"memory {line.nonce} came back at {line.at} after memory {now}"
            elif line.boots <= boots:
                yield f"memory {line.nonce} began at {line.at} with boot {line.boots}, after boot {boots}"
            now, boots = line.nonce, max(boots, line.boots)
        elif line.count < counts[line.nonce]:
            yield f"the count of memory {line.nonce} went from {counts[line.nonce]} to {line.count} at {line.at}"
        counts[line.nonce] = line.count
