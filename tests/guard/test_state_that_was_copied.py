"""What a guard wrote down holds where it was written: a copy of it proves nothing of a run that may go on there."""

import shutil
from pathlib import Path

import pytest

from clusterd.guard import remembered
from clusterd.guard.remembered import Remembered, load, save


def test_the_next_guard_of_the_same_place_knows_what_ended(tmp_path: Path) -> None:
    save(str(tmp_path), Remembered("i2", ["i1"]))
    found = load(str(tmp_path))
    assert (found.incarnation, found.ended) == ("i2", ["i1"])


def test_a_copied_folder_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    save(str(tmp_path / "here"), Remembered("i2", ["i1"]))
    shutil.copytree(tmp_path / "here", tmp_path / "there")
    assert load(str(tmp_path / "there")) == Remembered()


def test_a_cloned_disk_in_another_machine_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(str(tmp_path), Remembered("i2", ["i1"]))
    (tmp_path / "boot_id").write_text("another boot\n")
    monkeypatch.setattr(remembered, "_BOOT_ID", str(tmp_path / "boot_id"))
    assert load(str(tmp_path)) == Remembered()


def test_one_of_a_version_that_names_no_place_is_believed(tmp_path: Path) -> None:
    (tmp_path / "guard.state").write_text("incarnation i2\nended i1\n")
    assert load(str(tmp_path)).incarnation == "i2"
