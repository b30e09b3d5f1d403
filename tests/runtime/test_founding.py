"""What follows from what a daemon finds in its data folder: it goes on, begins with nothing, or refuses. It never founds."""

import shutil
from pathlib import Path

import pytest

from clusterd.adapters.configuration import Bootstrap, Member, NodeConfiguration, TlsFiles
from clusterd.adapters.disk_faults import SpoiltDisk
from clusterd.adapters.storage import Storage
from clusterd.adapters.storage_files import IDENTITY
from clusterd.database import Database, DatabaseView
from clusterd.model.errors import BadInput
from clusterd.model.events import STORAGE_DAMAGED, STORAGE_MISSING, Note
from clusterd.runtime.founding import DATABASE, found, open_storage

MEMBERS = tuple(Member(f"n{number}", number, f"127.0.0.1:{7500 + number}", "127.0.0.1:1") for number in (1, 2, 3))


def configuration(folder: Path, node: str = "n1", cluster_id: str = "c1") -> NodeConfiguration:
    return NodeConfiguration(
        cluster="t",
        cluster_id=cluster_id,
        node=node,
        data_dir=str(folder),
        run_dir=str(folder),
        peer_listen="127.0.0.1:7501",
        api_listen="127.0.0.1:1",
        api_token_file="",
        tls=TlsFiles("", "", ""),
        nodes=MEMBERS,
    )


class Start:
    """What one start of a daemon finds."""

    def __init__(self, of: NodeConfiguration) -> None:
        self.notes: list[Note] = []
        storage = open_storage(of, self.notes.append, SpoiltDisk(None))
        self.restored, self.is_amnesiac = storage.restored, storage.is_amnesiac
        storage.close()

    @property
    def said(self) -> list[str]:
        return [each.event.name for each in self.notes]

    @property
    def is_empty(self) -> bool:
        snapshot = self.restored.snapshot
        return (snapshot.meta.index, list(snapshot.meta.configuration.voters), snapshot.data) == (0, [], b"")


def test_who_founds_votes_and_the_others_are_to_be_admitted(tmp_path: Path) -> None:
    mine = configuration(tmp_path)
    found(mine, Bootstrap())
    start = Start(mine)
    meta = start.restored.snapshot.meta
    assert (start.is_amnesiac, start.said, meta.index) == (False, [], 1)
    assert (list(meta.configuration.voters), list(meta.configuration.learners)) == (["n1"], ["n2", "n3"])
    view = DatabaseView(Database.restore(start.restored.snapshot.data, 1))
    assert [each.name for each in view.nodes()] == ["n1", "n2", "n3"]


def test_a_cluster_is_founded_once(tmp_path: Path) -> None:
    found(configuration(tmp_path), Bootstrap())
    with pytest.raises(BadInput, match="holds a node's data already"):
        found(configuration(tmp_path), Bootstrap())


def test_what_an_interrupted_founding_left_is_no_founding(tmp_path: Path) -> None:
    """It stopped before its last rename: it can be repeated, and a daemon that finds it has nothing."""
    found(configuration(tmp_path), Bootstrap())
    (tmp_path / DATABASE / IDENTITY).unlink()
    found(configuration(tmp_path), Bootstrap())
    assert not Start(configuration(tmp_path)).is_amnesiac


@pytest.mark.parametrize("lost", [".", DATABASE])
def test_without_data_a_node_begins_with_nothing(tmp_path: Path, lost: str) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    found(configuration(folder), Bootstrap())
    shutil.rmtree(folder / lost)
    start = Start(configuration(folder))
    assert (start.is_empty, start.is_amnesiac, start.said) == (True, True, [STORAGE_MISSING.name])
    again = Start(configuration(folder))
    assert (again.is_empty, again.is_amnesiac, again.said) == (True, True, []), "until it was admitted again"


def test_without_its_identity_file_the_log_is_set_aside(tmp_path: Path) -> None:
    found(configuration(tmp_path), Bootstrap())
    (tmp_path / DATABASE / IDENTITY).unlink()
    start = Start(configuration(tmp_path))
    assert (start.is_empty, start.is_amnesiac, start.said) == (True, True, [STORAGE_MISSING.name])
    assert list((tmp_path / DATABASE / "damaged-1").glob("*.log")), "somebody may want to look at it"


def test_damaged_data_is_set_aside(tmp_path: Path) -> None:
    found(configuration(tmp_path), Bootstrap())
    next((tmp_path / DATABASE).glob("*.snap")).write_bytes(b"rust")
    start = Start(configuration(tmp_path))
    assert (start.is_empty, start.is_amnesiac, start.said) == (True, True, [STORAGE_DAMAGED.name])


@pytest.mark.parametrize(("node", "cluster_id"), [("n2", "c1"), ("n1", "c2")])
def test_the_data_of_others_is_refused_and_left_alone(tmp_path: Path, node: str, cluster_id: str) -> None:
    found(configuration(tmp_path), Bootstrap())
    before = {path.name: path.read_bytes() for path in (tmp_path / DATABASE).iterdir() if path.is_file()}
    with pytest.raises(BadInput, match="belongs to"):
        Start(configuration(tmp_path, node, cluster_id))
    assert {path.name: path.read_bytes() for path in (tmp_path / DATABASE).iterdir() if path.is_file()} == before


def test_data_from_before_foundings_were_acts_counts(tmp_path: Path) -> None:
    """Then every node began with the whole configuration."""
    mine = configuration(tmp_path)
    found(mine, Bootstrap())
    older = Start(mine).restored.snapshot
    older.meta.configuration.voters[:] = ["n1", "n2", "n3"]
    shutil.rmtree(tmp_path / DATABASE)
    Storage.create(tmp_path / DATABASE, cluster_id="c1", node="n1", snapshot=older)
    start = Start(mine)
    assert (start.is_amnesiac, start.said) == (False, [])
