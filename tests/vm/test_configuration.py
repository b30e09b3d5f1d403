"""What of a definition does this node have, and what is said of the rest?"""

import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clusterd.resource_api import Health, NotOnThisNode, ResourceFailed
from resource_types.machine_definition import volumes
from resource_types.machine_definition.presence import Presence
from resource_types.virtual_machine_configuration import VirtualMachineConfiguration
from tests.vm.desk import Desk

needs_images = pytest.mark.skipif(shutil.which("qemu-img") is None, reason="not installed: qemu-utils")


class Store:
    """A folder with a definition, and the configuration of one machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.definition = folder / "vm.toml"
        self.desk = Desk(VirtualMachineConfiguration, "n1", "vm", {"definition": str(self.definition)})

    def define(self, disk: str, more: str = "") -> None:
        self.definition.write_text(f'memory_mib = 1\n{more}\n[[disks]]\nid = "system"\n{disk}\n')

    def image(self, name: str, *arguments: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        subprocess.run(["qemu-img", "create", "-q", *arguments, str(path), "1M"], check=True)
        return path

    def refusal(self) -> str:
        with pytest.raises(ResourceFailed) as caught:
            self.desk.online()
        return str(caught.value)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path)
    yield store
    store.desk.close()


def raw(store: Store, name: str = "system.img") -> Path:
    path = store.folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"\0" * 4096)
    return path


def test_everything_is_there(store: Store) -> None:
    store.define(f'path = "{raw(store)}"')
    store.desk.online()
    assert store.desk.type.is_alive(store.desk.context()) is Health.YES


def test_definition_is_read_afresh_at_each_online(store: Store) -> None:
    store.define('path = "/no/such.img"')
    assert "/no/such.img: No such file or directory" in store.refusal()
    store.define(f'path = "{raw(store)}"')
    store.desk.online()


def test_no_definition_here(store: Store) -> None:
    with pytest.raises(NotOnThisNode, match=str(store.definition)):
        store.desk.online()


def test_definition_that_is_none_names_key_and_path(store: Store) -> None:
    store.define('path = "/a"', 'memry = "x"')
    words = store.refusal()
    assert str(store.definition) in words
    assert "memry: no such property" in words


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path: path.unlink(), "No such file or directory"),
        (lambda path: (path.unlink(), path.mkdir()), "neither a file nor a block device"),
        (lambda path: path.write_bytes(b"QFI\xfb" + b"\0" * 200), "is a qcow2 image but was named raw"),
    ],
)
def test_wrong_disk_is_named(store: Store, spoil: Callable[[Path], object], words: str) -> None:
    path = raw(store)
    store.define(f'path = "{path}"')
    spoil(path)
    refusal = store.refusal()
    assert str(path) in refusal
    assert words in refusal


@pytest.mark.parametrize("what", ["disk", "definition", "kernel"])
def test_what_vanishes_while_it_runs_is_told_and_harms_nobody(store: Store, what: str) -> None:
    kernel = store.folder / "vmlinuz"
    kernel.write_bytes(b"kernel")
    disk = raw(store)
    store.define(f'path = "{disk}"', f'kernel = "{kernel}"')
    path = {"disk": disk, "kernel": kernel, "definition": store.definition}[what]
    store.desk.online()
    aside = path.rename(path.with_suffix(".aside"))
    assert store.desk.type.is_alive(store.desk.context()) is Health.YES
    assert f"{path}: No such file or directory: what runs does not need it any more" in store.desk.concern
    aside.rename(path)
    assert store.desk.type.is_alive(store.desk.context()) is Health.YES
    assert store.desk.concern == ""


def test_share_that_does_not_answer_holds_up_nobody() -> None:
    """Neither the check nor, one check after the other, more and more threads."""
    answers = threading.Event()
    asked: list[str] = []

    def hang(path: str) -> None:
        asked.append(path)
        answers.wait(10)

    presence = Presence(hang)
    for _ in range(3):
        assert presence.trouble(["/share/a", "/share/b"], 0.01) == "/share/a: the file system does not answer"
    assert asked == ["/share/a"]
    answers.set()
    assert presence.trouble(["/share/a", "/share/b"], 10) == ""
    assert asked == ["/share/a", "/share/b"]


def test_other_missing_files_are_named(store: Store) -> None:
    store.define(
        f'path = "{raw(store)}"', 'kernel = "/no/vmlinuz"\nfirmware = "/no/bios"\nserial_log = "/no/folder/log"'
    )
    words = store.refusal()
    for part in ("/no/vmlinuz", "/no/bios", "there is no folder /no/folder"):
        assert part in words


def test_missing_bridge_is_named(store: Store) -> None:
    store.define(f'path = "{raw(store)}"\n[[networks]]\nid = "lan"\nkind = "bridge"\nbridge = "no-bridge"')
    assert "there is no bridge no-bridge" in store.refusal()


def test_disk_of_a_resource_that_serves_none(store: Store) -> None:
    store.define('resource = "vm-disk"')
    assert "vm-disk serves no disk on this node" in store.refusal()


# ---- volumes ----


def test_disk_on_its_volume(store: Store) -> None:
    path = raw(store, "volume/system.img")
    (store.folder / "volume" / ".clusterd-volume").write_text("v-1\n")
    store.define(f'path = "{path}"\nvolume = "v-1"')
    store.desk.online()


@pytest.mark.parametrize(
    ("marker", "words"),
    [("v-2\n", "is on volume v-2"), (None, "is on no cluster-managed volume; it should be on v-1")],
)
def test_disk_on_a_wrong_volume(store: Store, marker: str | None, words: str) -> None:
    path = raw(store, "volume/system.img")
    if marker is not None:
        (store.folder / "volume" / ".clusterd-volume").write_text(marker)
    store.define(f'path = "{path}"\nvolume = "v-1"')
    refusal = store.refusal()
    assert str(path) in refusal
    assert words in refusal


def test_volume_by_its_id_wherever_it_is_mounted(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    raw(store, "volume/system.img")
    (store.folder / "volume" / ".clusterd-volume").write_text("v-1\n")
    store.define('volume = "v-1"\nrelative_path = "system.img"')
    assert "no mounted volume says that it is v-1" in store.refusal()
    monkeypatch.setattr(volumes, "_mount_points", lambda: ["/", str(store.folder / "volume")])
    store.desk.online()


# ---- chains of images ----


@needs_images
def test_chain_to_the_root(store: Store) -> None:
    root = store.image("root.img", "-f", "raw")
    middle = store.image("middle.qcow2", "-f", "qcow2", "-b", str(root), "-F", "raw")
    top = store.image("top.qcow2", "-f", "qcow2", "-b", middle.name, "-F", "qcow2")
    store.define(f'path = "{top}"\nformat = "qcow2"')
    store.desk.online()
    store.desk.offline()
    root.unlink()
    refusal = store.refusal()
    assert f"{root}: No such file or directory" in refusal
    assert f"{middle} rests on it" in refusal


@needs_images
def test_chain_that_leaves_the_volume(store: Store) -> None:
    root = store.image("elsewhere.img", "-f", "raw")
    top = store.image("volume/top.qcow2", "-f", "qcow2", "-b", str(root), "-F", "raw")
    (store.folder / "volume" / ".clusterd-volume").write_text("v-1\n")
    store.define(f'path = "{top}"\nformat = "qcow2"\nvolume = "v-1"')
    assert f"{root}, which {top} rests on, is on no cluster-managed volume" in store.refusal()


@needs_images
def test_chain_in_a_circle(store: Store) -> None:
    first = store.image("a.qcow2", "-f", "qcow2")
    second = store.image("b.qcow2", "-f", "qcow2", "-b", str(first), "-F", "qcow2")
    rebase = ["qemu-img", "rebase", "-u", "-f", "qcow2", "-F", "qcow2", "-b", str(second), str(first)]
    subprocess.run(rebase, check=True)
    store.define(f'path = "{second}"\nformat = "qcow2"')
    assert "rests on itself" in store.refusal()


@needs_images
def test_image_of_another_format(store: Store) -> None:
    path = raw(store, "system.qcow2")
    store.define(f'path = "{path}"\nformat = "qcow2"')
    assert f"{path} is no qcow2 image" in store.refusal()
