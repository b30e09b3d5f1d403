"""A deletion that was interrupted, or met something that is written to, stands in nobody's way."""

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from clusterd.lab import foundation
from clusterd.lab.control import LabError, end_lab, let_go, start_launcher
from clusterd.lab.foundation import lay
from clusterd.lab.layout import MACHINES_MARK, MACHINES_NAME, RECORD_NAME, LabRecord, find_lab, lock_when_over
from clusterd.lab.locks import lock
from clusterd.lab.options import LabOptions
from clusterd.lab.ports import Ports
from clusterd.lab.removal import remove_lab, remove_remains
from clusterd.model.errors import NotFound, Refused
from tests.lab.seen import PROGRAMS, LabSeen, wait_for


class Interrupted(Exception):
    """Stands for SIGKILL, or a power loss."""


def lay_ended(name: str = "t") -> LabRecord:
    """A lab that was laid, and whose launcher has ended."""
    ports = Ports.take(2)
    try:
        record = lay(LabOptions(name=name, node_count=2), ports)
    finally:
        ports.release()
    ended = msgspec.structs.replace(record, pid_start_ticks=1)
    ended.write()
    machines = Path(ended.dir) / MACHINES_NAME
    machines.mkdir(exist_ok=True)
    (machines / MACHINES_MARK).touch()
    return ended


def end_record() -> None:
    """The process that was to be the launcher is no more."""
    try:
        msgspec.structs.replace(find_lab("t"), pid_start_ticks=1).write()
    except NotFound:
        return


def interrupt_at(monkeypatch: pytest.MonkeyPatch, count: int) -> Callable[[], bool]:
    """The removal number `count` of a file or folder does not come to be. Returns whether there were so many."""
    seen = [0]

    def counted(remove: Callable[..., object]) -> Callable[..., object]:
        def removed(*given: object, **more: object) -> object:
            seen[0] += 1
            if seen[0] == count:
                raise Interrupted
            return remove(*given, **more)

        return removed

    monkeypatch.setattr(foundation.shutil, "rmtree", counted(shutil.rmtree))
    monkeypatch.setattr(foundation.Path, "unlink", counted(Path.unlink))
    return lambda: seen[0] >= count


@pytest.mark.parametrize("then", ["down --delete", "lab up"])
def test_wherever_it_is_interrupted_it_can_be_done_again(
    lab_root: Path, monkeypatch: pytest.MonkeyPatch, then: str
) -> None:
    for count in range(1, 100):
        with monkeypatch.context() as patched:
            is_reached = interrupt_at(patched, count)
            record = None
            try:
                record = lay_ended()
                remove_lab(record)
            except Interrupted:
                end_record()
            if not is_reached():
                break
        if then == "lab up":
            lay_ended()
        try:
            remove_lab(find_lab("t"))
        except NotFound:
            remove_remains("t")
        assert [each.name for each in lab_root.iterdir()] == [], count
    assert count > 10


def test_a_record_that_cannot_be_read_hides_no_lab(lab_root: Path) -> None:
    record = lay_ended()
    (Path(record.dir) / RECORD_NAME).write_bytes(b"")
    (Path(record.dir) / f"{RECORD_NAME}.new").touch()
    lay_ended()
    (Path(record.dir) / RECORD_NAME).unlink()
    remove_remains("t")
    assert list(lab_root.iterdir()) == []


def test_what_is_none_of_a_labs_is_let_be(lab_root: Path) -> None:
    record = lay_ended()
    (Path(record.dir) / RECORD_NAME).unlink()
    (Path(record.dir) / "thesis.txt").touch()
    with pytest.raises(Refused, match="holds no lab"):
        remove_remains("t")
    with pytest.raises(Refused, match="holds no lab"):
        lay_ended()
    assert (Path(record.dir) / "n1").is_dir()


def test_what_is_left_is_told(lab_root: Path) -> None:
    record = lay_ended()
    machines = Path(record.dir) / MACHINES_NAME
    (machines / MACHINES_MARK).unlink()
    assert remove_lab(record) == [MACHINES_NAME], "without the mark nobody knows for whom they were made"
    assert machines.is_dir()


def test_what_is_written_while_it_is_removed_goes_too(lab_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record, removed = lay_ended(), shutil.rmtree
    late = Path(record.nodes[0].data_dir) / "marker"

    def write_once(path: Path, **more: bool) -> None:
        monkeypatch.setattr(foundation.shutil, "rmtree", removed)
        os.unlink(Path(record.nodes[0].dir) / "node.pem")
        late.touch()
        raise OSError(39, "Directory not empty", str(path))

    monkeypatch.setattr(foundation.shutil, "rmtree", write_once)
    monkeypatch.setattr(foundation, "remove_sockets", lambda base: None)
    remove_lab_without_machines(record)
    assert list(lab_root.iterdir()) == []


def remove_lab_without_machines(record: LabRecord) -> None:
    (Path(record.dir) / MACHINES_NAME / MACHINES_MARK).unlink()
    (Path(record.dir) / MACHINES_NAME).rmdir()
    remove_lab(record)


def test_what_does_not_go_is_named_and_the_lab_stays_one(lab_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = lay_ended()

    def refuse(path: Path, **more: bool) -> None:
        raise OSError(16, "Device or resource busy", str(path))

    with monkeypatch.context() as patched:
        patched.setattr(foundation.shutil, "rmtree", refuse)
        patched.setattr(foundation, "remove_sockets", lambda base: None)
        patched.setattr(foundation, "REMOVE_AGAIN_S", 0)
        with pytest.raises(Refused, match="n1 cannot be removed: Device or resource busy"):
            remove_lab_without_machines(record)
    remove_lab(find_lab("t"))
    assert list(lab_root.iterdir()) == []


@pytest.mark.lab
def test_nobody_removes_what_the_watcher_has_not_ended_yet(make_lab: Callable[..., LabSeen]) -> None:
    """The launcher is killed: until its watcher has ended all that it left, the lab is not over."""
    lab = make_lab()
    lab.wait_workloads()
    os.kill(lab.watcher_pid, signal.SIGSTOP)
    os.kill(lab.record.pid, signal.SIGKILL)
    wait_for("the launcher's end", lambda: not lab.record.is_running)
    assert lock(Path(lab.record.dir).with_name("t.lock")) is None
    with pytest.raises(Refused, match="is running"):
        remove_soon(lab.record)
    os.kill(lab.watcher_pid, signal.SIGCONT)
    remove_lab(lab.record)
    assert not Path(lab.record.dir).exists() and not lab.still_alive()


def remove_soon(record: LabRecord) -> None:
    if lock_when_over(record.name, within_ms=100) is None:
        raise Refused(f"lab {record.name} is running")


@pytest.mark.lab
def test_a_lab_that_is_killed_is_made_anew_at_once(lab_root: Path) -> None:
    for _ in range(3):
        record, watcher = start_launcher(LabOptions(name="t", node_count=2, programs=PROGRAMS))
        let_go(watcher)
        os.kill(record.pid, signal.SIGKILL)
    record, watcher = start_launcher(LabOptions(name="t", node_count=1, programs=PROGRAMS))
    let_go(watcher)
    with pytest.raises(LabError, match="is running"):
        start_launcher(LabOptions(name="t", node_count=1, programs=PROGRAMS))
    end_lab(record, wait_max_ms=10_000)
    remove_lab(record)
    assert list(lab_root.iterdir()) == []
