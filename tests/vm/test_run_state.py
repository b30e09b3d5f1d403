"""What the guest does on its way goes along: who is off stays off, who panicked has failed, and nobody boots again."""

import json
from typing import Any

import pytest

from clusterd.resource_api import Health, ResourceFailed
from resource_types.virtual_machine.migration import _Convergence
from tests.vm.conftest import Bench, needs_qemu
from tests.vm.desk import Desk, in_thread
from tests.vm.test_migration import SLOW, migrate, prepared, wait_for_progress


def send_as_it_is(here: Desk, text: str) -> None:
    """As QEMU does it when the guest ends so late that nobody can take the move back any more."""
    machine = here.type._machine
    machine.watch.hush()
    machine.set_capability("return-path", is_on=True)
    machine.call("migrate", {"uri": json.loads(text)["address"]})
    assert machine.watch.wait(machine.watch.migration_ended, here.context(), 10_000)
    assert machine.watch.migration == "completed"
    machine.was_moved = True


@needs_qemu
def test_guest_that_is_off_when_it_arrives_stays_off(bench: Bench) -> None:
    here, console = bench.started()
    console.order("o")
    here.heard("stopped")
    there, text = prepared(bench)
    send_as_it_is(here, text)
    there.online()
    here.offline(reason="migrated")
    assert there.heard("stopped") == "the guest switched itself off"
    assert there.type.is_alive(there.context()) is Health.YES
    there.offline()
    there.online()
    assert bench.console(there).wait_line().boots == 2, "it booted once more than it was asked to"


@needs_qemu
def test_guest_that_panicked_on_the_way_has_failed_when_it_arrives(bench: Bench) -> None:
    here, console = bench.started()
    console.order("p")
    here.heard("failed")
    there, text = prepared(bench)
    send_as_it_is(here, text)
    with pytest.raises(ResourceFailed, match="the guest panicked while it was moved"):
        there.online()
    here.offline(reason="migrated")
    there.terminate()


@needs_qemu
@pytest.mark.parametrize(("order", "told"), [("o", "stopped"), ("p", "failed")])
def test_move_of_a_guest_that_ends_on_the_way_is_given_up(bench: Bench, order: str, told: str) -> None:
    bench.define(memory_mib=64)
    here, console = bench.started(**SLOW)
    console.order("fmd")
    console.wait_line(20)
    there, text = prepared(bench)
    context = here.context()
    with in_thread(lambda: migrate(here, text, context)) as moving:
        wait_for_progress(context)
        console.order(order)
        assert isinstance(moving.wait(), ResourceFailed)
    here.heard(told)
    there.type.abandon_migration(there.context())
    here.offline()


@needs_qemu
@pytest.mark.parametrize(("order", "told"), [("o", "stopped"), ("p", "failed")])
def test_guest_that_ended_does_not_go_on_where_it_was(bench: Bench, order: str, told: str) -> None:
    """The move had come to its end, and the destination is lost."""
    here, console = bench.started()
    console.order(order)
    here.heard(told)
    here.told.clear()
    there, text = prepared(bench)
    send_as_it_is(here, text)
    there.type.abandon_migration(there.context())
    here.type.resume_after_migration(here.context())
    here.heard(told)
    assert console.falls_silent(0.2)
    here.terminate()


# ---- a guest that writes faster than it is sent ----


def seen(passes: int, **ram: Any) -> dict[str, Any]:
    return {"status": "active", "ram": {"dirty-sync-count": passes, "mbps": 80.0, "dirty-pages-rate": 9000, **ram}}


def test_first_pass_may_take_as_long_as_it_takes() -> None:
    convergence = _Convergence(60_000)
    assert [convergence.look(seen(1), at_s) for at_s in (0, 1e3, 1e6)] == ["", "", ""]
    assert not convergence.is_over


def test_later_passes_are_told_of_and_limited() -> None:
    convergence = _Convergence(60_000)
    assert convergence.look(seen(2), 100.0) == ""
    assert convergence.look(seen(5), 110.0) == ""
    told = convergence.look(seen(9), 125.0)
    assert told.startswith("the guest writes 37 MB/s and 10 MB/s are sent, pass 9; it is given up 60 s after")
    assert not convergence.is_over
    convergence.look(seen(20), 160.0)
    assert convergence.is_over


def test_no_limit() -> None:
    convergence = _Convergence(0)
    convergence.look(seen(2), 0.0)
    assert convergence.look(seen(99), 1e6) == "the guest writes 37 MB/s and 10 MB/s are sent, pass 99"
    assert not convergence.is_over


@needs_qemu
def test_move_that_does_not_converge_is_given_up(bench: Bench) -> None:
    bench.define(memory_mib=64)
    here, console = bench.started(**SLOW, migration_timeout="1ms")
    console.order("fd")
    console.wait_line(20)
    there, text = prepared(bench)
    with pytest.raises(
        ResourceFailed, match=r"migration to n2 was given up: the guest writes .* \(migration_timeout\)"
    ):
        migrate(here, text)
    there.type.abandon_migration(there.context())
    assert here.heard("concern").startswith("moving live to n2: the guest writes")
    assert here.told[-1] == ("concern", "")
    count = console.lines[-1].count
    assert console.next_line().count > count
