"""Which of two versions is the newer one? Pure. Numbers in them count as numbers: 1.10 comes after 1.9."""

import re

_PART = re.compile(r"\d+|[A-Za-z]+")


def version_rank(version: str) -> tuple[tuple[int, int, str], ...]:
    """To compare by. A word comes before the end, and that before a number: 2.0rc1 is older than 2.0, 2.0 than 2.0.1."""
    parts = _PART.findall(version)
    ranks = [(2, int(part), "") if part.isdigit() else (0, 0, part.lower()) for part in parts]
    return (*ranks, (1, 0, ""))
