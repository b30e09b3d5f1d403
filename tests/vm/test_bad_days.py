"""A machine on its bad days: what goes wrong is noticed, named, and leaves nothing."""

import fcntl
import os
import shutil
import signal
import struct
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from clusterd.resource_api import Health, NotOnThisNode, ResourceFailed
from resource_types.virtual_machine.resource_type import silence_health
from resource_types.virtual_machine.saved_state import HEADER_SIZE
from tests.vm.conftest import Bench, needs_qemu
from tests.vm.desk import Desk

pytestmark = needs_qemu


def pid_of(desk: Desk) -> int:
    main = desk.processes.main()
    assert main is not None
    return main.pid


def refusal(desk: Desk) -> str:
    """What is_alive fails with."""
    with pytest.raises(ResourceFailed) as caught:
        desk.type.is_alive(desk.context())
    return str(caught.value)


# ---- the guest ----


def test_guest_switches_itself_off(bench: Bench) -> None:
    desk, console = bench.started()
    console.order("o")
    assert desk.heard("stopped") == "the guest switched itself off"
    desk.offline()
    assert not (bench.folder / "vm.saved").exists(), "there is nothing to save"


def test_guest_that_switches_itself_off_may_be_a_failure(bench: Bench) -> None:
    desk, console = bench.started(shutdown_action="failed")
    console.order("o")
    assert "switched itself off" in desk.heard("failed")


def test_off_that_nobody_heard_is_told_at_the_next_check(bench: Bench) -> None:
    desk, console = bench.started()
    console.order("o")
    desk.heard("stopped")
    desk.told.clear()
    assert desk.type.is_alive(desk.context()) is Health.YES
    assert desk.told == [("stopped", "the guest switched itself off")]


def test_panic_is_told_at_once(bench: Bench) -> None:
    desk, console = bench.started()
    console.order("p")
    assert "panicked" in desk.heard("failed")
    assert "panicked" in refusal(desk)
    desk.offline()


def test_reset_by_the_guest_is_counted_and_no_failure(bench: Bench) -> None:
    desk, console = bench.started()
    console.order("r")
    console.wait_text("B=00000002")
    assert desk.type.is_alive(desk.context()) is Health.YES
    assert desk.told == []
    assert b'"guest_reset_count": 0' not in desk.type.control(desk.context(), "status", b"")


@pytest.mark.parametrize("order", ["h", "i"])
def test_hang_stops_the_heartbeat(bench: Bench, order: str) -> None:
    bench.define(agent="serial")
    desk, console = bench.started(heartbeat_timeout="300ms")
    until = time.monotonic() + 10
    while b'"heartbeat": true' not in desk.type.control(desk.context(), "status", b""):
        assert desk.type.is_alive(desk.context()) is Health.YES
        assert time.monotonic() < until
    console.order(order)
    assert console.falls_silent(0.3)
    assert desk.type.looks_alive(desk.context()) is Health.YES, "QEMU itself is well"
    assert "the guest hangs" in refusal(desk)


def test_hang_is_no_failure_without_check_heartbeat(bench: Bench) -> None:
    bench.define(agent="serial")
    desk, console = bench.started(check_heartbeat=False)
    console.order("h")
    assert console.falls_silent(0.3)
    assert desk.type.is_alive(desk.context()) is Health.YES


# ---- QEMU ----


def test_killed(bench: Bench) -> None:
    desk, _ = bench.started()
    os.kill(pid_of(desk), signal.SIGKILL)
    main = desk.processes.main()
    assert main is not None and main.wait(5000) is not None
    assert desk.type.looks_alive(desk.context()) is Health.NO
    assert "QEMU has ended" in refusal(desk)
    desk.offline()
    desk.online()
    assert bench.console(desk).wait_line().boots == 2


def test_stopped_qemu_is_noticed_and_turned_off(bench: Bench) -> None:
    desk, _ = bench.started(check_timeout="300ms")
    os.kill(pid_of(desk), signal.SIGSTOP)
    assert desk.type.looks_alive(desk.context()) is Health.NO
    assert f"process {pid_of(desk)} is stopped (SIGSTOP)" in refusal(desk)
    desk.offline()
    assert any("turned off" in each for each in desk.log.warnings)


@pytest.mark.parametrize(
    ("state", "health"), [("D", Health.CANNOT_TELL), ("T", Health.NO), ("S", Health.NO), ("", Health.NO)]
)
def test_silent_qemu_that_waits_for_a_disk_has_not_failed(state: str, health: Health) -> None:
    assert silence_health(state) is health


def test_stop_needs_no_definition(bench: Bench) -> None:
    """It vanished while the guest ran, which is saved all the same, and goes on when the definition is back."""
    desk, console = bench.started(saved_state_folder=str(bench.folder))
    nonce = console.wait_line().nonce
    aside = bench.definition.rename(bench.folder / "aside")
    desk.offline()
    with pytest.raises(NotOnThisNode, match="there is no definition"):
        desk.online()
    aside.rename(bench.definition)
    desk.online()
    assert bench.console(desk).wait_line().nonce == nonce


def test_monitor_path_deleted_while_it_runs(bench: Bench) -> None:
    """The connection is there, so nothing is lost but what a new connection would need."""
    desk, _ = bench.started()
    machine = desk.type._machine
    os.unlink(machine.folder.monitor)
    assert desk.type.is_alive(desk.context()) is Health.YES
    machine._monitor.close()
    assert "monitor.sock cannot be reached" in refusal(desk)
    desk.offline()


def test_lost_connection_is_made_again(bench: Bench) -> None:
    desk, console = bench.started()
    desk.type._machine._monitor.close()
    looks = [desk.type.looks_alive(desk.context()) for _ in range(3)]
    assert looks == [Health.CANNOT_TELL, Health.NO, Health.NO]
    assert desk.type.is_alive(desk.context()) is Health.YES
    console.order("o")
    desk.heard("stopped")


def test_image_locked_by_somebody_else(bench: Bench) -> None:
    _, console = bench.started()
    other = bench.machine(resource="other")
    with pytest.raises(ResourceFailed) as caught:
        other.online()
    assert str(bench.image) in str(caught.value)
    assert "lock" in str(caught.value)
    assert other.processes.members() == []
    assert console.next_line().boots == 1


def test_node_without_qemu(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(NotOnThisNode, match="qemu-system-x86"):
        bench.machine().online()


def test_qemu_refuses_what_the_definition_says(bench: Bench) -> None:
    bench.define('machine = "no-such-machine"')
    with pytest.raises(ResourceFailed, match="unsupported machine type"):
        bench.machine().online()


def test_kvm_only_where_it_runs_guests(bench: Bench) -> None:
    """Either it does, or the message says why not; never a guest that crawls."""
    desk = bench.machine(accelerator="kvm")
    try:
        desk.online()
    except NotOnThisNode as error:
        assert "use tcg" in str(error)
        assert desk.processes.members() == []
    else:
        assert bench.console(desk).wait_line().boots == 1


# ---- saved states ----


def damaged(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(HEADER_SIZE + 5000)
        file.write(b"\0damage\0" * 100)


def cut_short(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def without_header(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"\0" * HEADER_SIZE)


def of_other_version(path: Path) -> None:
    head = path.read_bytes()[:HEADER_SIZE]
    at = head.index(b'"qemu_version": "') + len(b'"qemu_version": "')
    with path.open("r+b") as file:
        file.seek(at)
        file.write(b"1")


def of_other_machine(path: Path) -> None:
    head = path.read_bytes()[:HEADER_SIZE].replace(b'"resource": "vm"', b'"resource": "xx"')
    with path.open("r+b") as file:
        file.write(head)


@pytest.mark.parametrize(
    ("spoil", "because"),
    [
        (damaged, "damaged"),
        (cut_short, "damaged"),
        (without_header, "header is damaged"),
        (of_other_version, "QEMU 1.2"),
        (of_other_machine, "belongs to xx"),
    ],
)
def test_saved_state_that_may_not_come_back(bench: Bench, spoil: Callable[[Path], None], because: str) -> None:
    desk, _ = bench.started()
    desk.offline()
    saved = bench.folder / "vm.saved"
    spoil(saved)
    desk.online()
    assert bench.console(desk).wait_line().boots == 2
    assert because in desk.log.warnings[0]
    assert not saved.exists()
    assert (bench.folder / "vm.saved.set-aside").exists()
    assert len(desk.processes.members()) == 1


def test_saved_state_of_an_older_disk_is_set_aside(bench: Bench) -> None:
    desk, _ = bench.started()
    desk.offline()
    with bench.image.open("r+b") as file:
        file.seek(1 << 19)
        file.write(b"written meanwhile")
    desk.online()
    assert bench.console(desk).wait_line().boots == 2
    assert "disk system was written" in desk.log.warnings[0]


def test_saved_state_of_an_older_definition_is_set_aside(bench: Bench) -> None:
    desk, _ = bench.started()
    desk.offline()
    bench.define(memory_mib=2)
    desk.online()
    assert bench.console(desk).wait_line().boots == 2
    assert "definition was changed" in desk.log.warnings[0]


def test_memory_that_could_not_come_back_is_not_saved(bench: Bench) -> None:
    """The definition was edited while it ran: the guest is asked to switch itself off instead."""
    desk, console = bench.started()
    bench.define(memory_mib=2)
    with pytest.raises(ResourceFailed, match="was changed since the start"):
        desk.type.control(desk.context(), "save", b"")
    console.next_line()
    desk.offline()
    console.wait_text("BYE")
    assert "is shut down instead of saved: definition" in desk.log.warnings[0]
    assert not (bench.folder / "vm.saved").exists()


def test_locked_image_does_not_use_up_the_saved_state(bench: Bench) -> None:
    desk, console = bench.started()
    nonce = console.wait_line().nonce
    desk.offline()
    with bench.image.open("r+b") as holder:
        lock = struct.pack("hhqqi", fcntl.F_WRLCK, os.SEEK_SET, 100, 200, 0)  # the bytes that QEMU locks
        fcntl.fcntl(holder, fcntl.F_OFD_SETLK, lock)
        with pytest.raises(ResourceFailed, match="lock"):
            desk.online()
    assert desk.processes.members() == []
    desk.online()
    assert bench.console(desk).wait_line().nonce == nonce


# ---- disks that are only read ----


def cd(bench: Bench, path: Path) -> str:
    return f'[[disks]]\nid = "{"cd" + "x" * 28}"\npath = "{path}"\nbus = "ide"\nis_read_only = true\n'


def test_image_that_two_machines_only_read(bench: Bench) -> None:
    """On a bus whose disks are all written to it is a CD-ROM; its long name is QEMU's, too."""
    path = bench.folder / "install.iso"
    path.write_bytes(bytes(1 << 20))
    bench.define(disk=cd(bench, path))
    bench.started()
    shutil.copy(bench.image, bench.folder / "second.img")
    bench.image = bench.folder / "second.img"
    bench.define(disk=cd(bench, path))
    bench.started(resource="other")
