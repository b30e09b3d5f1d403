"""A run folder without room costs the guard nothing: it writes its state down as soon as it can."""

import errno
import os
from pathlib import Path

import pytest

from clusterd.guard import remembered
from clusterd.guard.remembered import TRY_AGAIN_MS, Keeper, Remembered, load


def test_it_is_written_when_there_is_room_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state, keeper = Remembered("i1"), Keeper(str(tmp_path))
    keeper.keep(state, 0)
    assert keeper.next_try_ms is None

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(remembered.os, "fsync", full)
    state.end("i2")
    keeper.keep(state, 1_000)
    assert load(str(tmp_path)).incarnation == "i1", "what was there stays whole"
    assert [each.name for each in tmp_path.iterdir()] == ["guard.state"]
    assert keeper.next_try_ms == 1_000 + TRY_AGAIN_MS
    monkeypatch.undo()
    keeper.look(state, 1_500)
    assert load(str(tmp_path)).incarnation == "i1", "it is not tried without a pause"
    keeper.look(state, 2_000)
    assert keeper.next_try_ms is None
    found = load(str(tmp_path))
    assert (found.incarnation, found.ended) == ("i2", ["i1"])
