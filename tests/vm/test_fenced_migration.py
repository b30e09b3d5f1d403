"""A guest on a disk that one node at a time may write goes to another node: memory and disk pass over together."""

import json
import signal
import time

import pytest

from clusterd.resource_api import CallCancelled, Health, ResourceFailed
from tests.vm.conftest import needs_qemu
from tests.vm.console import Console
from tests.vm.fenced import Fenced, fenced, tgt

__all__ = ["fenced", "tgt"]
pytestmark = needs_qemu


def goes_on(console: Console) -> bool:
    """The guest counts, and its disk takes what it writes."""
    count = console.wait_line().count
    before = console.text.count("\nE")
    return (
        console.next_line().count > count and console.next_line().count > count and console.text.count("\nE") == before
    )


def test_memory_and_disk_pass_over_and_never_two_write(fenced: Fenced) -> None:
    console = fenced.started()
    nonce = console.lines[0].nonce
    assert fenced.writers() == ["n1"]
    prepared = fenced.n2.prepare(2)
    assert all(len(each) < 4096 for each in prepared.values())
    assert fenced.writers() == ["n1"] and goes_on(console)
    fenced.n1.machine.type.migrate(fenced.n1.machine.context(), prepared["vm"])
    assert fenced.writers() == ["n1"], "the disk stays until it is handed over itself"
    last, written = console.lines[-1], fenced.ledger()
    fenced.n1.disk.type.migrate(fenced.n1.disk.context(), prepared[fenced.n1.disk.resource])
    assert fenced.writers() == [], "between two owners nobody writes"
    fenced.n2.disk.online()
    assert fenced.writers() == ["n2"]
    new = fenced.bench.console(fenced.n2.machine)
    assert new.falls_silent(0.1)
    fenced.n2.machine.online()
    first = new.wait_line()
    assert (first.nonce, first.boots, first.generation) == (nonce, 1, 2)
    assert 0 < first.count - last.count < 10
    assert goes_on(new)
    fenced.n1.machine.terminate()
    fenced.n1.disk.terminate()
    assert fenced.writers() == ["n2"]
    assert fenced.n2.machine.type.is_alive(fenced.n2.machine.context()) is Health.YES
    assert fenced.n2.disk.type.is_alive(fenced.n2.disk.context()) is Health.YES
    now = fenced.ledger()
    assert (written["G"], now["G"]) == (1, 2) and now["C"] > written["C"]
    assert fenced.n1.disk.told == fenced.n2.disk.told == fenced.n2.machine.told == []


def test_there_and_back(fenced: Fenced) -> None:
    nonce = fenced.started().lines[0].nonce
    fenced.n1.migrate(fenced.n2.prepare(2))
    fenced.n2.online()
    fenced.n1.offline(reason="migrated")
    fenced.n2.migrate(fenced.n1.prepare(3))
    fenced.n1.online()
    fenced.n2.offline(reason="migrated")
    console = fenced.bench.console(fenced.n1.machine)
    line = console.wait_line()
    assert (line.nonce, line.generation) == (nonce, 3) and goes_on(console)
    assert fenced.writers() == ["n1"]


def test_blackout_of_the_parts(fenced: Fenced) -> None:
    """Without the cluster's own steps: the guest stands still for no longer than this."""
    fenced.started()
    prepared = fenced.n2.prepare(2)
    began = time.monotonic()
    fenced.n1.migrate(prepared)
    moved = time.monotonic()
    fenced.n2.online()
    ended = time.monotonic()
    print(f"{fenced.kind}: moved in {(moved - began) * 1000:.1f} ms, went on in {(ended - moved) * 1000:.1f} ms")
    assert ended - moved < 2


def test_hand_over_that_falls_through(fenced: Fenced) -> None:
    console = fenced.started()
    fenced.n1.migrate(fenced.n2.prepare(2))
    assert fenced.writers() == []
    fenced.n2.abandon()
    fenced.n1.resume()
    fenced.n1.resume()
    assert goes_on(console) and fenced.writers() == ["n1"]
    assert fenced.n1.disk.type.is_alive(fenced.n1.disk.context()) is Health.YES


def test_cancel_before_the_disk_went(fenced: Fenced) -> None:
    """The machine has moved, its disk has not: it is asked to, and the call is given up."""
    console = fenced.started()
    prepared = fenced.n2.prepare(2)
    fenced.n1.machine.type.migrate(fenced.n1.machine.context(), prepared["vm"])
    context = fenced.n1.disk.context()
    context.cancelled.set()
    with pytest.raises(CallCancelled):
        fenced.n1.disk.type.migrate(context, prepared[fenced.n1.disk.resource])
    assert fenced.writers() == ["n1"]
    fenced.n2.abandon()
    fenced.n1.machine.type.resume_after_migration(fenced.n1.machine.context())
    assert goes_on(console)


@pytest.mark.parametrize("what", ["session", "machine"])
def test_destination_killed_after_the_hand_over(fenced: Fenced, what: str) -> None:
    """Nobody has the disk, and the source may go on; or the destination starts afresh. Never with a dead disk."""
    console = fenced.started()
    fenced.n1.migrate(fenced.n2.prepare(2))
    if what == "session":
        fenced.n2.session(signal.SIGKILL)
    else:
        fenced.n2.machine.processes.kill()
    assert fenced.writers() == []
    fenced.n1.resume()
    assert goes_on(console) and fenced.writers() == ["n1"]


def test_session_that_died_while_it_stood_by(fenced: Fenced) -> None:
    """Another session serves the disk when the guest is to go on: it would meet errors only, so it boots."""
    fenced.started()
    fenced.n1.migrate(fenced.n2.prepare(2))
    fenced.n2.session(signal.SIGKILL)
    fenced.n2.online()
    console = fenced.bench.console(fenced.n2.machine)
    assert console.wait_line().boots == 2
    assert "boots afresh: a disk's session ended" in fenced.n2.machine.log.warnings[0]
    console.order("w")
    assert goes_on(console) and fenced.writers() == ["n2"]


def test_source_killed_before_the_disk_went(fenced: Fenced) -> None:
    """With evidence that its node is gone the cluster raises the generation: the claim that it left is ended."""
    fenced.started()
    prepared = fenced.n2.prepare(2)
    fenced.n1.machine.type.migrate(fenced.n1.machine.context(), prepared["vm"])
    fenced.n1.session(signal.SIGKILL)
    fenced.n1.machine.processes.kill()
    assert fenced.writers() == []
    fenced.n2.online()
    assert fenced.writers() == ["n2"]
    seen = json.loads(fenced.n2.disk.type.control(fenced.n2.disk.context(), "preempted", b""))
    assert [each["generation"] for each in seen["preempted"]] == [1]


@pytest.mark.parametrize("has_released", [False, True])
def test_source_frozen_and_thawed(fenced: Fenced, has_released: bool) -> None:
    """Frozen before its disk went, or after: once the cluster has given it to the other node it never writes again."""
    fenced.started()
    prepared = fenced.n2.prepare(2)
    fenced.n1.machine.type.migrate(fenced.n1.machine.context(), prepared["vm"])
    if has_released:
        fenced.n1.disk.type.migrate(fenced.n1.disk.context(), prepared[fenced.n1.disk.resource])
    fenced.n1.session(signal.SIGSTOP)
    fenced.n2.online()
    assert fenced.n2.can_write()
    fenced.n1.session(signal.SIGCONT)
    assert fenced.writers() == ["n2"]
    with pytest.raises(ResourceFailed, match=r"generation 2|another node preempted"):
        fenced.n1.disk.type.resume_after_migration(fenced.n1.disk.context())
    assert fenced.writers() == ["n2"]
    assert goes_on(fenced.bench.console(fenced.n2.machine))


def test_a_destination_that_was_not_given_it_is_refused(fenced: Fenced) -> None:
    """A claim under a generation that is over, or the same, ends nobody's."""
    console = fenced.started()
    fenced.n2.prepare(2)
    fenced.n1.migrate(fenced.n2.prepare(2))
    fenced.n1.resume()
    fenced.n2.abandon()
    fenced.n2.under(1)
    with pytest.raises(ResourceFailed, match="could not be claimed"):
        fenced.n2.disk.online(within_ms=8000)
    assert fenced.writers() == ["n1"] and goes_on(console)


def test_another_disk_of_the_same_name(fenced: Fenced) -> None:
    """What the destination reaches is not what runs here: it is looked at before anything is handed over."""
    console = fenced.started()
    prepared = fenced.n2.prepare(2)
    disk = fenced.n1.disk
    said = json.loads(prepared[disk.resource])
    for change in ({"holder": None}, {"holder": "0x01"}, {"size_bytes": 512}, {"ids": ["naa.1"]}):
        with pytest.raises(ResourceFailed, match="n2 sees"):
            disk.type.migrate(disk.context(), json.dumps({**said, **change}))
    with pytest.raises(ResourceFailed, match="cannot be read"):
        disk.type.migrate(disk.context(), "[]")
    assert fenced.writers() == ["n1"] and goes_on(console)


def test_quick_migration(fenced: Fenced) -> None:
    """Saved, disk handed over, resumed."""
    nonce = fenced.started().lines[0].nonce
    began = time.monotonic()
    fenced.n1.offline()
    assert fenced.writers() == []
    fenced.n2.under(2).online()
    print(f"{fenced.kind}: quick migration {(time.monotonic() - began) * 1000:.0f} ms")
    console = fenced.bench.console(fenced.n2.machine)
    assert console.wait_line().nonce == nonce
    assert goes_on(console) and fenced.writers() == ["n2"]


def test_a_mounted_disk_does_not_go_along(fenced: Fenced) -> None:
    """In a lab the other node's mount is there to be seen: a machine that opened its files would write to a dead mount."""
    disk = fenced.n2.disk
    disk.properties = {**disk.properties, "mount_point": "/nowhere"}
    with pytest.raises(ResourceFailed, match="quick move"):
        disk.type.prepare_migration(disk.context())
    assert disk.processes.members() == []
