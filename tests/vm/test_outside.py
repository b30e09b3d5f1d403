"""What passes every look at a definition and fails every start is told before."""

from pathlib import Path

import pytest

from resource_types.machine_definition import outside
from resource_types.machine_definition.outside import bridge_problem, firmware_problem, log_problem

HELPER = any(Path(each).exists() for each in outside.BRIDGE_HELPERS)


@pytest.mark.skipif(not HELPER, reason="not installed: qemu-system-common")
@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (None, "bridge.conf: No such file or directory; write a line 'allow br0' into it"),
        ("", "QEMU may not use bridge br0: write a line 'allow br0' into"),
        ("# allow br0", "QEMU may not use bridge br0"),
        ("allow br1", "QEMU may not use bridge br0"),
        ("allow br0", ""),
        ("allow all", ""),
        ("allow all\ndeny br0", "QEMU may not use bridge br0"),
        ("include {folder}/more", ""),
        ("include {folder}/bridge.conf", "QEMU may not use bridge br0"),
    ],
)
def test_bridges(tmp_path: Path, lines: str | None, words: str) -> None:
    (tmp_path / "br0" / "bridge").mkdir(parents=True)
    (tmp_path / "more").write_text("allow br0")
    access = tmp_path / "bridge.conf"
    if lines is not None:
        access.write_text(lines.format(folder=tmp_path))
    problem = bridge_problem("br0", str(access), str(tmp_path))
    assert words in problem and bool(words) == bool(problem)
    assert bridge_problem("br9", str(access), str(tmp_path)) == "there is no bridge br9 on this node"


def test_log_of_the_console(tmp_path: Path) -> None:
    assert log_problem(str(tmp_path / "log")) == ""
    assert log_problem(str(tmp_path / "none" / "log")) == f"there is no folder {tmp_path}/none"
    assert log_problem(str(tmp_path)) == f"{tmp_path} is a folder"


@pytest.mark.parametrize(
    ("size", "is_firmware"), [(0, False), (1000, False), (65_536, True), (65_537, False), (262_144, True)]
)
def test_firmware(tmp_path: Path, size: int, is_firmware: bool) -> None:
    path = tmp_path / "bios"
    path.write_bytes(bytes(size))
    assert (firmware_problem(str(path)) == "") is is_firmware
    assert "No such file" in firmware_problem(str(tmp_path / "none"))
