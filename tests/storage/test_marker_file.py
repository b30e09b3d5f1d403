"""What a node wrote down of its promises comes back as it was, or is told to be unreadable; it is never somebody else's."""

from pathlib import Path

import pytest

from clusterd.adapters.marker_file import MarkerFile
from clusterd.consensus.memory import FRESH, Marker, Position, Remembered
from clusterd.model.errors import BadInput
from clusterd.model.events import MARKER_UNREADABLE
from clusterd.model.ids import NodeId

MARKER = Marker(
    4, Position(3, 70), "n2", Position(3, 69), 1_800_000, {NodeId("n2"): Remembered("r1", 2, Position(3, 68))}, 7
)


def file(folder: Path, node: str = "n1", cluster_id: str = "c1") -> MarkerFile:
    return MarkerFile(folder / "far" / "marker", cluster_id, node)


def test_each_start_is_counted_and_nothing_else_changes(tmp_path: Path) -> None:
    started, notes = file(tmp_path).start()
    assert (started, notes) == (Marker(1), ())
    file(tmp_path).write(MARKER)
    started, notes = file(tmp_path).start()
    assert (started.boots, notes) == (5, ())
    assert Marker(4, *(getattr(started, name) for name in Marker.__slots__[1:])) == MARKER
    assert file(tmp_path).start()[0].boots == 6


@pytest.mark.parametrize("content", [b"", b"{}\n00000000\n", b"rust", b"\xff\n\n\n"])
def test_one_that_cannot_be_read_says_nothing(tmp_path: Path, content: bytes) -> None:
    file(tmp_path).start()
    file(tmp_path).path.write_bytes(content)
    started, notes = file(tmp_path).start()
    assert started == Marker(1) and started.promised == FRESH.promised
    assert [each.event for each in notes] == [MARKER_UNREADABLE]


@pytest.mark.parametrize(("node", "cluster_id"), [("n2", "c1"), ("n1", "c2")])
def test_that_of_others_is_refused(tmp_path: Path, node: str, cluster_id: str) -> None:
    file(tmp_path).start()
    with pytest.raises(BadInput, match="belongs to"):
        file(tmp_path, node, cluster_id).start()
