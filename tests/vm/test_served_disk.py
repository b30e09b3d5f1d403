"""A disk that a physical_disk resource serves, and that goes away under the guest."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from clusterd.resource_api import Health, ResourceFailed
from resource_types.physical_disk.places import make_folder, places
from resource_types.virtual_machine.held_disks import USER_SUFFIX
from tests.vm.conftest import Bench, needs_qemu
from tests.vm.desk import Desk

pytestmark = needs_qemu


class Served:
    """The bench's image behind the socket of a disk resource."""

    def __init__(self, bench: Bench) -> None:
        self.resource = f"disk-{bench.folder.name}"
        self.place, self._other = (places("trial", node, self.resource) for node in ("n1", "n2"))
        make_folder(self.place)
        make_folder(self._other)
        Path(self._other.nbd).symlink_to(self.place.nbd)
        command = [
            "qemu-nbd",
            "--persistent",
            "--shared=4",
            "--socket",
            self.place.nbd,
            "--format",
            "raw",
            str(bench.image),
        ]
        self.server = subprocess.Popen(command)
        until = time.monotonic() + 10
        while not Path(self.place.nbd).exists():
            assert self.server.poll() is None and time.monotonic() < until
            time.sleep(0.005)

    def cut(self) -> None:
        self.server.kill()
        self.server.wait()

    def close(self) -> None:
        self.cut()
        for place in (self.place, self._other):
            for path in (place.nbd, place.nbd + USER_SUFFIX):
                Path(path).unlink(missing_ok=True)
            Path(place.folder).rmdir()


@pytest.fixture
def served(bench: Bench) -> Iterator[Served]:
    served = Served(bench)
    bench.definition.write_text(
        f'memory_mib = 1\n[[disks]]\nid = "system"\nresource = "{served.resource}"\nbus = "ide"\n'
    )
    yield served
    served.close()


def test_guest_boots_from_a_served_disk_and_is_told_of_its_loss(bench: Bench, served: Served) -> None:
    desk, console = bench.started()
    console.order("w")
    console.next_line()
    assert "\nE" not in console.text
    served.cut()
    assert "disk system: a write failed" in desk.heard("embedded")
    console.wait_text("\nE\r\n")
    console.next_line()
    assert desk.type.is_alive(desk.context()) is Health.YES, "the machine runs; its disk is another resource's affair"
    well: list[str] = []
    listen(desk, well)
    console.order("w")
    console.next_line()
    desk.type.is_alive(desk.context())
    desk.type.is_alive(desk.context())
    assert well == ["well"]


def listen(desk: Desk, well: list[str]) -> None:
    """Note from here on when the guest is told to be well again."""
    tell = desk.tell

    def told(what: str, message: str) -> None:
        if what == "well" and not well:
            well.append(what)
        tell(what, message)

    desk.tell = told  # type: ignore[method-assign]


def test_saved_state_on_a_served_disk(bench: Bench, served: Served) -> None:
    desk, console = bench.started()
    nonce = console.wait_line().nonce
    desk.offline()
    desk.online()
    assert bench.console(desk).wait_line().nonce == nonce


def test_saved_state_that_was_left_behind(bench: Bench, served: Served) -> None:
    """Each node has a folder of its own: the guest boots on the second, and comes back to the first with a newer disk."""
    nodes = [bench.machine(node, saved_state_folder=str(bench.folder / node)) for node in ("n1", "n2")]
    for generation, desk in enumerate((*nodes, nodes[0]), start=1):
        (bench.folder / desk.node).mkdir(exist_ok=True)
        desk.generation = generation
        desk.online()
        assert bench.console(desk).wait_line().boots == generation
        desk.offline()
    assert "was on another node since it was saved (generation 1, now 3)" in nodes[0].log.warnings[0]


def test_saved_state_that_goes_along(bench: Bench, served: Served) -> None:
    """It is where both look for it, and the group has passed over other nodes while it was off."""
    desk, console = bench.started()
    nonce = console.wait_line().nonce
    desk.offline()
    other = bench.machine("n2")
    other.generation = 4
    other.online()
    assert bench.console(other).wait_line().nonce == nonce


def test_two_machines_on_one_disk(bench: Bench, served: Served) -> None:
    """QEMU's locks say nothing here. Who comes later is refused, and told who has it, until that one is offline."""
    first, _ = bench.started(resource="first")
    second = bench.machine(resource="second")
    for _ in range(2):
        with pytest.raises(ResourceFailed, match="is used by first: a disk has one machine"):
            second.online()
    first.offline()
    second.online()
    with pytest.raises(ResourceFailed, match="is used by second"):
        first.online()
    second.terminate()
    first.online()


def test_two_machines_on_one_disk_that_both_share(bench: Bench, served: Served) -> None:
    text = bench.definition.read_text()
    bench.definition.write_text(f'{text}mode = "shared"\n')
    bench.machine(resource="first").online()
    bench.machine(resource="second").online()
    bench.definition.write_text(text)
    with pytest.raises(ResourceFailed, match="is used by"):
        bench.machine(resource="third").online()
