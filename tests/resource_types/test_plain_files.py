"""Whatever lies under a name that somebody gave, nobody waits for it."""

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from resource_types.background import Background
from resource_types.machine_definition.definition import ImageFormat
from resource_types.machine_definition.examination import examine_definitions
from resource_types.machine_definition.images import ImageTrouble, chain_of
from resource_types.machine_definition.proof import read_definition
from resource_types.machine_definition.volumes import MARKER, marked_id
from resource_types.plain_files import open_plain, read_plain


def fifo(path: Path) -> None:
    os.mkfifo(path)


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


MADE: dict[str, Callable[[Path], None]] = {
    "pipe": fifo,
    "socket": a_socket,
    "folder": Path.mkdir,
    "device": lambda path: path.symlink_to("/dev/tty") if Path("/dev/tty").exists() else path.symlink_to("/dev/zero"),
    "loop": lambda path: path.symlink_to(path),
    "nothing": lambda path: None,
}


@pytest.mark.parametrize("what", MADE)
def test_what_is_no_file_is_told_at_once(tmp_path: Path, what: str) -> None:
    path = tmp_path / "x.toml"
    MADE[what](path)
    with pytest.raises(OSError) as told:
        read_plain(str(path), 10)
    assert told.value.strerror
    with pytest.raises(ImageTrouble):
        chain_of(str(path), ImageFormat.RAW)
    found = read_definition(str(path))
    assert isinstance(found, list) and found[0].message
    assert Background().is_named(str(path), [1]) is False


def test_a_file_is_read_as_far_as_asked(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    assert [read_plain(str(path), size) for size in (0, 9, 10, 11)] == [b"", b"012345678", b"0123456789", b"0123456789"]
    made = open_plain(str(tmp_path / "new"), os.O_RDWR | os.O_CREAT)
    assert os.get_blocking(made)
    os.close(made)
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o600


def test_a_marker_that_is_a_pipe_marks_nothing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / MARKER)
    assert marked_id(str(tmp_path)) is None


def test_a_pipe_among_the_definitions_is_listed_with_a_reason(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "trap.toml")
    (tmp_path / "web.toml").write_text("memory_mib = 64\n")
    answer = json.loads(examine_definitions(json.dumps({"folders": [str(tmp_path)]}).encode()))
    assert [each["name"] for each in answer["definitions"]] == ["trap", "web"]
    assert answer["definitions"][0]["problems"] == ["it is a pipe (FIFO), and no file"]
