"""A running guest goes to another node: its memory goes along, and it runs in one place whatever happens."""

import json
import os
import shutil
import signal
import threading
import time
from typing import Any

import pytest

from clusterd.resource_api import CallCancelled, Health, NotOnThisNode, ResourceFailed
from tests.vm.conftest import Bench, needs_qemu
from tests.vm.console import Console
from tests.vm.desk import Desk, in_thread

pytestmark = needs_qemu
SLOW: dict[str, Any] = {"migration_bandwidth_mib": 1, "migration_downtime": "1ms"}
"""A guest of 64 MiB that dirties half a MiB a tick does not get there in the time of a test."""


def prepared(bench: Bench, **properties: Any) -> tuple[Desk, str]:
    """A destination that waits."""
    there = bench.machine("n2", **properties)
    there.generation = 2
    return there, there.type.prepare_migration(there.context())


def migrate(here: Desk, text: str, context: object = None) -> int:
    return int(here.type.migrate(context or here.context(), text))


def kill(desk: Desk, number: int = signal.SIGKILL) -> None:
    main = desk.processes.main()
    assert main is not None
    main.signal(number)
    if number == signal.SIGKILL:
        main.wait(5000)


def still_runs(desk: Desk, console: Console) -> bool:
    count = console.lines[-1].count
    line = console.next_line()
    return line.count > count and desk.type.is_alive(desk.context()) is Health.YES


def wait_for_progress(here_context: Any) -> None:
    until = time.monotonic() + 15
    while not here_context.progressed:
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.mark.parametrize("network", ["", "127.0.0.0/8"])
def test_memory_goes_along(bench: Bench, network: str) -> None:
    here, console = bench.started(migration_network=network)
    console.order("fw")
    nonce = console.wait_line(10).nonce
    there, text = prepared(bench, migration_network=network)
    assert len(text) < 4096
    began = time.monotonic()
    stood_still_ms = migrate(here, text)
    took_ms = (time.monotonic() - began) * 1000
    assert 0 <= stood_still_ms <= took_ms + 1
    last = console.lines[-1]
    new = bench.console(there)
    assert new.falls_silent(0.1), "nothing runs before the cluster says so"
    began = time.monotonic()
    runs_for_ms = there.type.online(there.context())
    assert 0 <= runs_for_ms <= (time.monotonic() - began) * 1000 + 1
    first = new.wait_line()
    assert (first.nonce, first.boots) == (nonce, 1)
    assert 0 < first.count - last.count < 5
    assert first.generation == 2
    here.offline(reason="migrated")
    assert there.type.is_alive(there.context()) is Health.YES
    there.terminate()
    assert "G=00000002" in bench.ledger()
    assert here.told == there.told == []


def test_there_and_back(bench: Bench) -> None:
    here, console = bench.started()
    nonce = console.wait_line().nonce
    there, text = prepared(bench)
    migrate(here, text)
    there.online()
    here.offline(reason="migrated")
    text = here.type.prepare_migration(here.context())
    migrate(there, text)
    here.online()
    assert bench.console(here).wait_line().nonce == nonce
    there.terminate()


def test_hand_over_that_falls_through(bench: Bench) -> None:
    here, console = bench.started()
    there, text = prepared(bench)
    migrate(here, text)
    there.type.abandon_migration(there.context())
    assert there.processes.members() == []
    here.type.resume_after_migration(here.context())
    here.type.resume_after_migration(here.context())
    assert still_runs(here, console)


def test_destination_holds_no_lock_before_it_goes_on(bench: Bench) -> None:
    here, console = bench.started()
    there, text = prepared(bench)
    migrate(here, text)
    here.type.resume_after_migration(here.context())
    assert still_runs(here, console)
    with pytest.raises(ResourceFailed, match="lock"):
        there.online()


def test_cancel_leaves_it_running_here(bench: Bench) -> None:
    bench.define(memory_mib=64)
    here, console = bench.started(**SLOW)
    console.order("fd")
    console.wait_line(20)
    there, text = prepared(bench)
    context = here.context()
    with in_thread(lambda: migrate(here, text, context)) as moving:
        wait_for_progress(context)
        assert still_runs(here, console), "it runs while it moves"
        context.cancelled.set()
        assert isinstance(moving.wait(), CallCancelled)
    assert "migrating to n2" in context.progressed[0]
    assert still_runs(here, console)
    there.type.abandon_migration(there.context())
    there, text = prepared(bench)
    here.properties = {**here.properties, "migration_bandwidth_mib": 0, "migration_downtime": 500}
    migrate(here, text)
    there.online()
    here.offline(reason="migrated")


def test_destination_without_the_definition_takes_nothing_over(bench: Bench) -> None:
    """A guest that nobody there could watch or start again must not get there."""
    here, console = bench.started()
    there = bench.machine("n2", configuration=str(bench.folder / "not-there.toml"))
    with pytest.raises(NotOnThisNode, match="there is no definition"):
        there.type.prepare_migration(there.context())
    assert there.processes.members() == []
    assert still_runs(here, console)


def test_destination_dead_before_the_start(bench: Bench) -> None:
    here, console = bench.started()
    there, text = prepared(bench)
    kill(there)
    with pytest.raises(ResourceFailed, match="migration to n2 failed"):
        migrate(here, text)
    assert still_runs(here, console)


def test_destination_killed_on_the_way(bench: Bench) -> None:
    bench.define(memory_mib=64)
    here, console = bench.started(**SLOW)
    console.order("fd")
    console.wait_line(20)
    there, text = prepared(bench)
    context = here.context()
    with in_thread(lambda: migrate(here, text, context)) as moving:
        wait_for_progress(context)
        kill(there)
        error = moving.wait()
    assert isinstance(error, ResourceFailed)
    assert still_runs(here, console)
    assert here.told == []


def test_panic_on_the_way_is_told_when_it_falls_through(bench: Bench) -> None:
    bench.define(memory_mib=64)
    here, console = bench.started(**SLOW)
    console.order("fmd")
    console.wait_line(20)
    there, text = prepared(bench)
    context = here.context()
    with in_thread(lambda: migrate(here, text, context)) as moving:
        wait_for_progress(context)
        console.order("p")
        assert console.falls_silent(0.2)
        kill(there)
        assert isinstance(moving.wait(), ResourceFailed)
    assert "panicked" in here.heard("failed")


@pytest.mark.parametrize("text", ["", "fast", "-1", "1e300", "nan"])
def test_bandwidth_that_is_none(bench: Bench, text: str) -> None:
    here, _ = bench.started()
    with pytest.raises(ResourceFailed, match="MiB a second"):
        here.type.control(here.context(), "migration-bandwidth", text.encode())


def test_bandwidth_of_what_does_not_move(bench: Bench) -> None:
    here, _ = bench.started()
    with pytest.raises(ResourceFailed, match="does not move live now; its next move goes by migration_bandwidth_mib"):
        here.type.control(here.context(), "migration-bandwidth", b"50")


def test_bandwidth_is_changed_on_the_way(bench: Bench) -> None:
    """It would take more than a minute; let go, it is there at once."""
    bench.define(memory_mib=64)
    here, console = bench.started(migration_bandwidth_mib=1)
    console.order("fm")
    console.wait_line(5)
    there, text = prepared(bench)
    context = here.context()
    with in_thread(lambda: migrate(here, text, context)) as moving:
        wait_for_progress(context)
        here.type.control(here.context(), "migration-bandwidth", b"0")
        assert moving.wait() is None
    there.online()
    here.offline(reason="migrated")


def test_destination_stopped_on_the_way(bench: Bench) -> None:
    bench.define(memory_mib=64)
    here, console = bench.started(migration_bandwidth_mib=20, migration_downtime="1ms")
    console.order("fd")
    console.wait_line(20)
    there, text = prepared(bench)
    context = here.context(within_ms=1500)
    kill(there, signal.SIGSTOP)
    with pytest.raises(ResourceFailed, match="made no progress"):
        migrate(here, text, context)
    assert still_runs(here, console)


def test_destination_killed_when_everything_was_there(bench: Bench) -> None:
    here, console = bench.started()
    there, text = prepared(bench)
    migrate(here, text)
    kill(there)
    here.type.resume_after_migration(here.context())
    assert still_runs(here, console)


def test_both_dead_when_everything_was_there(bench: Bench) -> None:
    here, _ = bench.started()
    there, text = prepared(bench)
    migrate(here, text)
    kill(here)
    kill(there)
    there.online()
    assert bench.console(there).wait_line().boots == 2


def test_source_killed_on_the_way(bench: Bench) -> None:
    bench.define(memory_mib=64)
    here, console = bench.started(**SLOW)
    console.order("fd")
    console.wait_line(20)
    there, text = prepared(bench)
    context = here.context()
    with in_thread(lambda: migrate(here, text, context)) as moving:
        wait_for_progress(context)
        kill(here)
        assert isinstance(moving.wait(), ResourceFailed)
    main = there.processes.main()
    assert main is not None and main.wait(5000) is not None, "what arrived is not whole: it ends by itself"
    there.online()
    assert bench.console(there).wait_line().boots == 2, "afresh"


def test_nothing_arrived_starts_afresh(bench: Bench) -> None:
    here, _ = bench.started()
    there, _ = prepared(bench)
    here.terminate()
    there.online()
    assert bench.console(there).wait_line().boots == 2


def test_other_definition_is_refused(bench: Bench) -> None:
    here, console = bench.started()
    bench.define(memory_mib=2)
    _, text = prepared(bench)
    with pytest.raises(ResourceFailed, match="definition on n2 is not the one that runs here"):
        migrate(here, text)
    assert still_runs(here, console)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"address": "unix:/no/such.sock"}, "set migration_network"),
        ({"qemu_version": "5.2.0"}, "n2 cannot take the memory over"),
        ({"extra": 1}, "cannot be read"),
        ({"address": 3}, "cannot be read"),
    ],
)
def test_what_the_destination_said_is_checked(bench: Bench, change: dict[str, object], message: str) -> None:
    here, console = bench.started()
    _, text = prepared(bench)
    with pytest.raises(ResourceFailed, match=message):
        migrate(here, json.dumps({**json.loads(text), **change}))
    assert still_runs(here, console)


def test_no_address_in_the_migration_network(bench: Bench) -> None:
    there = bench.machine("n2", migration_network="203.0.113.0/24")
    with pytest.raises(ResourceFailed, match=r"migration_network 203\.0\.113\.0/24"):
        there.type.prepare_migration(there.context())
    assert there.processes.members() == []


def test_destination_without_the_disk(bench: Bench) -> None:
    here, console = bench.started()
    away = bench.folder / "away.img"
    shutil.move(bench.image, away)
    there = bench.machine("n2")
    with pytest.raises(ResourceFailed, match=str(bench.image)):
        there.type.prepare_migration(there.context())
    os.rename(away, bench.image)
    assert still_runs(here, console)


def test_terminate_during_a_migration_leaves_nothing(bench: Bench) -> None:
    bench.define(memory_mib=64)
    here, console = bench.started(**SLOW)
    console.order("fd")
    console.wait_line(20)
    _, text = prepared(bench)
    context = here.context()
    with in_thread(lambda: migrate(here, text, context)) as moving:
        wait_for_progress(context)
        threading.Timer(0.01, context.cancelled.set).start()
        here.type.terminate(here.context())
        here.processes.kill()
        assert moving.wait() is not None
    here.terminate()
    assert here.told == []
