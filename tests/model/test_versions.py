"""Versions as people order them."""

import random

from clusterd.model.versions import version_rank


def test_order() -> None:
    ordered = ["", "0.9", "1", "1.0rc1", "1.0", "1.0.1", "1.9", "1.10", "2"]
    mixed = random.Random(1).sample(ordered, len(ordered))
    assert sorted(mixed, key=version_rank) == ordered
