"""When does a silent agent mean that the guest hangs, and when does a guest that stands still go on?"""

import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clusterd.resource_api import Health, ResourceFailed
from resource_types.machine_definition.definition import Definition, GuestAgent
from resource_types.virtual_machine.guest_clock import GuestClock
from resource_types.virtual_machine.guest_health import GuestHealth
from resource_types.virtual_machine.guest_watch import GuestWatch
from resource_types.virtual_machine.heartbeat import Heartbeat
from resource_types.virtual_machine.resource_type import VirtualMachine
from tests.vm.conftest import Bench, needs_qemu
from tests.vm.desk import Desk

LEFT: dict[str, Any] = {"id": "agent-port", "open": False}


class Agent:
    """The other end of an agent's port. Silent until it is told to answer."""

    def __init__(self, path: Path) -> None:
        self.answers = False
        self.orders: list[dict[str, Any]] = []
        self._door = socket.socket(socket.AF_UNIX)
        self._door.bind(str(path))
        self._door.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                link, _ = self._door.accept()
            except OSError:
                return
            with link, link.makefile("rwb") as lines:
                for line in lines:
                    self.orders.append(json.loads(line))
                    if self.answers:
                        lines.write(b'{"return": {}}\n')
                        lines.flush()

    def close(self) -> None:
        self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()


class Folder:
    def __init__(self, path: Path) -> None:
        self.guest_agent = str(path)


class PretendMachine:
    """A machine whose disks do `work` from one look to the next."""

    def __init__(self, path: Path) -> None:
        self.definition = Definition(1, guest_agent=GuestAgent.VIRTIO)
        self.folder, self.watch = Folder(path), GuestWatch()
        self.work, self._done, self.is_forgotten = 0, 0, False

    def disk_work(self, **_: Any) -> int:
        self._done += self.work
        return self._done


class Ward:
    """One guest whose agent answered before."""

    def __init__(self, folder: Path) -> None:
        self.agent = Agent(folder / "agent")
        self.machine: Any = PretendMachine(folder / "agent")
        self.desk = Desk(VirtualMachine, "n1", "vm", {"configuration": "/c", "heartbeat_timeout": "100ms"})
        self.machine.watch.tell(self.desk.context(), shutdown_is_failure=False)
        self.health = GuestHealth(Heartbeat(was_heard=True))

    def is_well(self) -> bool:
        try:
            self.health.expect_heartbeat(self.desk.context(), self.machine)
        except ResourceFailed as error:
            assert "the guest hangs" in str(error)
            return False
        return True


@pytest.fixture
def ward(folder: Path) -> Iterator[Ward]:
    ward = Ward(folder)
    yield ward
    ward.agent.close()
    ward.desk.close()


def test_silent_agent_of_a_guest_that_does_nothing(ward: Ward) -> None:
    assert not ward.is_well()


def test_silent_agent_of_a_guest_whose_disks_work(ward: Ward) -> None:
    ward.machine.work = 1
    assert ward.is_well() and ward.is_well()
    assert ward.desk.heard("concern") == "the guest's agent does not answer, but its disks work"
    ward.agent.answers = True
    assert ward.is_well()
    assert ward.desk.told[-1] == ("concern", "")
    ward.agent.answers, ward.machine.work = False, 0
    assert not ward.is_well()


def test_agent_that_left_in_good_order(ward: Ward) -> None:
    """The guest goes down, or its agent is replaced: it is judged again when the agent has answered again."""
    ward.machine.watch.take("VSERPORT_CHANGE", LEFT, 0.0)
    assert ward.is_well()
    ward.machine.watch.take("VSERPORT_CHANGE", {**LEFT, "open": True}, 0.0)
    assert ward.is_well(), "it has not answered yet"
    ward.agent.answers = True
    assert ward.is_well()
    ward.agent.answers = False
    assert not ward.is_well()


def test_agent_that_leaves_while_it_is_asked(ward: Ward) -> None:
    timer = threading.Timer(0.02, lambda: ward.machine.watch.take("VSERPORT_CHANGE", LEFT, 0.0))
    timer.start()
    assert ward.is_well()
    timer.join()


def test_silent_agent_after_the_power_button(ward: Ward) -> None:
    ward.machine.watch.take("POWERDOWN", {}, 0.0)
    assert ward.is_well()
    ward.desk.properties = {**ward.desk.properties, "offline_timeout": 0}
    assert not ward.is_well(), "its time is over"


def test_reset_by_an_operator_begins_afresh(ward: Ward) -> None:
    ward.machine.watch.take("RESET", {"guest": False, "reason": "host-qmp-system-reset"}, 0.0)
    assert ward.is_well(), "it boots"
    assert ward.machine.watch.reset_count == 0, "it did not reset itself"


def test_clock_is_set_as_soon_as_the_agent_answers(ward: Ward) -> None:
    ward.agent.answers = True
    before_ns = time.time_ns()
    GuestClock(ward.machine).set_soon()
    until = time.monotonic() + 10
    while len(ward.agent.orders) < 2:
        assert time.monotonic() < until
        time.sleep(0.005)
    ping, order = ward.agent.orders
    assert (ping["execute"], order["execute"]) == ("guest-ping", "guest-set-time")
    assert before_ns <= order["arguments"]["time"] <= time.time_ns()


# ---- a storage that is full ----


@pytest.fixture
def small(bench: Bench) -> Iterator[Path]:
    """A file system of its own under the guest's disk. Needs root."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount")
    place = bench.folder / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(place)], check=True)
    bench.image = Path(shutil.copy(bench.image, place))
    bench.define()
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(place: Path) -> Path:
    filler = place / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            return filler


def make_room_scarce(bench: Bench, place: Path) -> Path:
    """What the guest writes next needs a new block, and there is none. It has booted, so it reads none of what goes."""
    subprocess.run(["fallocate", "--punch-hole", "--offset", "0", "--length", "8192", str(bench.image)], check=True)
    return fill(place)


@needs_qemu
def test_guest_stands_still_while_its_storage_is_full(bench: Bench, small: Path) -> None:
    desk, console = bench.started()
    nonce = console.wait_line().nonce
    filler = make_room_scarce(bench, small)
    console.order("w")
    told = desk.heard("concern")
    assert "there is no room on the storage of disk system" in told
    assert console.falls_silent(0.2)
    for _ in range(2):
        assert desk.type.looks_alive(desk.context()) is Health.YES
        assert desk.type.is_alive(desk.context()) is Health.YES
    seen = console.lines[-1].count
    filler.unlink()
    until = time.monotonic() + 20
    while desk.concern:
        assert desk.type.looks_alive(desk.context()) is Health.YES
        assert time.monotonic() < until, desk.told
        time.sleep(0.05)
    line = console.next_line()
    assert (line.nonce, line.boots) == (nonce, 1)
    assert line.count > seen
    assert "E" not in {each.strip() for each in console.text.splitlines()}, "the guest saw an error"
    assert [what for what, _ in desk.told] == ["concern", "concern"], "it was told more than once, or as a failure"


@needs_qemu
def test_guest_is_saved_while_its_storage_is_full(bench: Bench, small: Path) -> None:
    """Its memory goes elsewhere, and with it what it could not write."""
    desk, console = bench.started(saved_state_folder=str(bench.folder))
    nonce = console.wait_line().nonce
    filler = make_room_scarce(bench, small)
    console.order("w")
    desk.heard("concern")
    desk.offline()
    filler.unlink()
    desk.online()
    line = bench.console(desk).wait_line(1)
    assert (line.nonce, line.boots) == (nonce, 1)
    assert "N=" + nonce in bench.ledger()
