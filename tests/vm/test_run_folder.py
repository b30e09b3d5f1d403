"""Run folders are gone with their machine, or with the next one when their host was killed."""

import os
from pathlib import Path

import pytest

from clusterd.resource_api import ResourceFailed
from resource_types.virtual_machine.run_folder import FOLDER_VARIABLE, RunFolder
from resource_types.virtual_machine.screenshot import png_of


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return tmp_path / "r"


def test_folder_of_a_living_host_stays_and_that_of_a_dead_one_goes(base: Path) -> None:
    alive = RunFolder(str(base), "web")
    dead = base / "db-dead"
    dead.mkdir()
    (dead / "monitor.sock").touch()
    Path(alive.monitor).touch()
    other = RunFolder(str(base), "web")
    assert sorted(os.listdir(base)) == sorted(os.path.basename(each.path) for each in (alive, other))
    alive.remove()
    alive.remove()
    other.remove()
    assert os.listdir(base) == []


def test_a_lab_has_them_in_its_own_folder(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(base))
    folder = RunFolder("", "web")
    assert Path(folder.path).parent == base
    folder.remove()


def test_folder_is_closed_to_others(base: Path) -> None:
    folder = RunFolder(str(base), "web")
    assert base.stat().st_mode & 0o077 == 0
    assert os.stat(folder.path).st_mode & 0o077 == 0
    folder.remove()


def test_too_deep_for_a_socket(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 90)
    with pytest.raises(ResourceFailed, match="too deep for a Unix socket"):
        RunFolder(str(deep), "web")
    assert os.listdir(deep) == []


def test_base_that_is_no_folder(base: Path) -> None:
    base.touch()
    with pytest.raises(ResourceFailed, match="is not a folder of ours"):
        RunFolder(str(base), "web")


@pytest.mark.parametrize("head", [b"P6\n2 1\n255\n", b"P6 2 1 255\n", b"P6\n2\n1\n255\n"])
def test_picture(head: bytes) -> None:
    png = png_of(head + b"\xff\x00\x00\x00\xff\x00")
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    assert png[16:24] == b"\0\0\0\2\0\0\0\1"


@pytest.mark.parametrize(
    "ppm", [b"", b"P5\n1 1\n255\n\0", b"P6\n2 2\n255\n\0", b"P6\n1 1\n65535\n\0\0\0\0\0\0", b"P6\nx 1\n255\n"]
)
def test_no_picture(ppm: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        png_of(ppm)
