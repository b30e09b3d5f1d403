"""A node that is down can lose its data, or get a copy of it back; one that runs keeps what it has."""

from pathlib import Path

import pytest

from clusterd.lab import forgetting
from clusterd.lab.layout import NodeEntry
from clusterd.model.errors import BadInput, NotFound, Refused


@pytest.fixture
def entry(tmp_path: Path) -> NodeEntry:
    data = tmp_path / "data"
    (data / "database").mkdir(parents=True)
    (data / "database" / "log").write_text("old")
    return NodeEntry("n1", 1, "", "", str(tmp_path), str(data), "", "")


def test_a_copy_comes_back_as_it_was(entry: NodeEntry) -> None:
    log = Path(entry.data_dir) / "database" / "log"
    forgetting.mark(entry, "before")
    log.write_text("new")
    (log.parent / "more").write_text("more")
    forgetting.rollback(entry, "before", is_running=False)
    assert log.read_text() == "old" and not (log.parent / "more").exists()
    forgetting.wipe(entry, is_running=False)
    assert not Path(entry.data_dir).exists()
    forgetting.rollback(entry, "before", is_running=False)
    assert log.read_text() == "old"


def test_what_runs_and_what_there_is_not_is_refused(entry: NodeEntry) -> None:
    forgetting.mark(entry, "before")
    with pytest.raises(Refused, match="the daemon of n1 runs"):
        forgetting.wipe(entry, is_running=True)
    with pytest.raises(Refused, match="the daemon of n1 runs"):
        forgetting.rollback(entry, "before", is_running=True)
    with pytest.raises(NotFound, match="no mark after"):
        forgetting.rollback(entry, "after", is_running=False)
    with pytest.raises(BadInput, match="cannot name a mark"):
        forgetting.mark(entry, "../..")
    assert Path(entry.data_dir).is_dir()
