"""What may lie in a plug-in folder, whose it may be, and how it is told."""

import os
from pathlib import Path

import pytest

from clusterd.reshost.answers import MESSAGE_LENGTH_MAX, answered
from clusterd.reshost.plugins import Plugins, load_file, load_plugins
from clusterd.reshost.trial import trial_node
from clusterd.runtime.host_messages import host_up

LAMP = """
from clusterd.resource_api import Context, Health, ResourceType
{more}
class Lamp(ResourceType):
    name = "lamp"
    def online(self, context: Context) -> None: pass
    def offline(self, context: Context) -> None: pass
    def is_alive(self, context: Context) -> Health: return Health.YES
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "plugins"
    folder.mkdir(mode=0o755)
    return folder


def write(folder: Path, name: str = "lamp.py", more: str = "", mode: int = 0o644) -> Path:
    path = folder / name
    path.write_text(LAMP.format(more=more))
    path.chmod(mode)
    return path


def test_a_sibling_is_imported(folder: Path) -> None:
    (folder / "_wattage_of_this_test.py").write_text("WATTS = 60\n")
    write(folder, more="from _wattage_of_this_test import WATTS")
    found = load_plugins([str(folder)])
    assert "lamp" in found.types and found.troubles == []


def test_a_file_of_the_folder_hides_nothing_that_is_installed(folder: Path) -> None:
    (folder / "_json.py").write_text("raise RuntimeError\n")
    write(folder, more="import json, _json")
    assert "lamp" in load_plugins([str(folder)]).types


@pytest.mark.parametrize("what", ["folder", "file"])
def test_what_everybody_may_write_is_not_loaded(folder: Path, what: str) -> None:
    path = write(folder)
    (folder if what == "folder" else path).chmod(0o777)
    found = load_plugins([str(folder)])
    assert "lamp" not in found.types
    assert "everybody may write to it" in found.troubles[0]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("what", ["folder", "file"])
def test_what_belongs_to_somebody_else_is_not_loaded(folder: Path, what: str) -> None:
    path = write(folder)
    os.chown(folder if what == "folder" else path, 12345, 0)
    found = load_plugins([str(folder)])
    assert "lamp" not in found.types
    assert "it belongs to user 12345" in found.troubles[0]


def test_a_folder_that_is_missing_and_a_file_that_goes(folder: Path) -> None:
    assert "No such file" in load_plugins([str(folder / "none")]).troubles[0]
    found = Plugins()
    load_file(str(folder / "gone.py"), found)
    assert "No such file" in found.troubles[0]


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("one line", "one line"),
        ("first\nsecond\r\n\n  third \n", "first | second | third"),
        ("\x1b[31mred\x1b[0m\a", "[31mred [0m"),
        ("", ""),
        ("\udcff", "?"),
        ("é\u2028ü", "é | ü"),
        ("x" * MESSAGE_LENGTH_MAX, "x" * MESSAGE_LENGTH_MAX),
        ("x" * (MESSAGE_LENGTH_MAX + 1), "x" * MESSAGE_LENGTH_MAX + " …"),
    ],
)
def test_what_is_told_is_one_line(message: str, told: str) -> None:
    assert answered(message).strip() == told


@pytest.mark.parametrize("what", ["_wattage.py", "wattage"])
def test_what_a_plug_in_may_import_is_nobodys_to_change(folder: Path, what: str) -> None:
    write(folder)
    beside = folder / what
    beside.write_text("WATTS = 60\n") if what.endswith(".py") else beside.mkdir()
    beside.chmod(0o777)
    found = load_plugins([str(folder)])
    assert "lamp" not in found.types
    assert f"{what}, which the plug-ins may import: everybody may write to it" in found.troubles[0]


async def test_a_host_tells_what_it_did_not_load(tmp_path: Path) -> None:
    missing = tmp_path / "none"
    async with trial_node(str(tmp_path), plugin_dirs=[str(missing)]) as node:
        host = await node.start_host()
        assert list(host.inventory.plugin_troubles) == [f"plug-in folder {missing}: No such file or directory"]
        assert host_up("shared", host.inventory, "n1").plugin_troubles == tuple(host.inventory.plugin_troubles)
