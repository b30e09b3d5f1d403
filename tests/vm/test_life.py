"""A machine on its good days: start, save, stop, and what the guest sees of it."""

import json
import os
from typing import cast

import pytest

from clusterd.reshost.conformance import conformance
from clusterd.resource_api import Health
from tests.vm.conftest import Bench, needs_qemu
from tests.vm.desk import Desk

pytestmark = needs_qemu


def control(desk: Desk, verb: str, body: bytes = b"") -> bytes:
    answer: bytes = desk.type.control(desk.context(), verb, body)
    return answer


def is_alive(desk: Desk) -> Health:
    health: Health = desk.type.is_alive(desk.context())
    return health


def test_guest_runs_and_is_told_its_generation(bench: Bench) -> None:
    desk = bench.machine()
    desk.generation = 7
    desk.online()
    console = bench.console(desk)
    line = console.wait_line()
    assert (line.boots, line.generation) == (1, 7)
    assert desk.type.looks_alive(desk.context()) is Health.YES
    assert is_alive(desk) is Health.YES
    assert console.next_line().count > line.count


def test_save_and_resume_continue_the_guest(bench: Bench) -> None:
    desk, console = bench.started()
    nonce = console.wait_line(2).nonce
    desk.offline()
    count = console.lines[-1].count
    assert os.listdir(bench.folder / "run") == []
    assert (bench.folder / "vm.saved").exists()
    desk.generation = 2
    desk.online()
    line = bench.console(desk).wait_line()
    assert (line.nonce, line.boots, line.generation) == (nonce, 1, 2)
    assert 0 < line.count - count < 10
    assert not (bench.folder / "vm.saved").exists(), "a saved state is used once"
    assert is_alive(desk) is Health.YES


def test_turn_off_boots_afresh(bench: Bench) -> None:
    desk, console = bench.started(offline_action="turn-off")
    first = console.wait_line()
    desk.offline()
    assert "BYE" not in console.text
    desk.online()
    line = bench.console(desk).wait_line()
    assert line.boots == 2
    assert line.nonce != first.nonce


@pytest.mark.parametrize("action", ["shut-down", "forced-shut-down"])
def test_shut_down_through_the_power_button(bench: Bench, action: str) -> None:
    desk, console = bench.started(offline_action=action)
    desk.offline()
    console.wait_text("BYE")
    assert desk.told == []
    assert desk.log.warnings == []


def test_power_button_ignored_ends_in_turn_off(bench: Bench) -> None:
    desk, console = bench.started(offline_action="shut-down", offline_timeout="300ms")
    console.order("n")
    console.next_line()
    desk.offline()
    assert "BYE" not in console.text
    assert "did not switch itself off within 300 ms" in desk.log.warnings[0]


def test_save_that_cannot_be_written_shuts_down(bench: Bench) -> None:
    desk, console = bench.started(saved_state_folder="/proc/no-such-folder")
    desk.offline()
    console.wait_text("BYE")
    assert "/proc/no-such-folder/vm.saved" in desk.log.warnings[0]


def test_deleting_leaves_no_saved_state(bench: Bench) -> None:
    desk, console = bench.started()
    desk.offline(reason="deleting")
    console.wait_text("BYE")
    assert not (bench.folder / "vm.saved").exists()


def test_next_offline_action_holds_once(bench: Bench) -> None:
    desk, console = bench.started()
    control(desk, "next-offline-action", b"turn-off")
    desk.offline()
    assert not (bench.folder / "vm.saved").exists()
    assert "BYE" not in console.text


def test_save_verb_stops_the_machine_and_keeps_its_memory(bench: Bench) -> None:
    desk, console = bench.started()
    nonce = console.wait_line().nonce
    control(desk, "save")
    assert "saved" in desk.heard("stopped")
    desk.terminate()
    desk.online()
    assert bench.console(desk).wait_line().nonce == nonce


def test_power_button_and_reset_verbs(bench: Bench) -> None:
    desk, console = bench.started()
    control(desk, "reset")
    console.wait_text("B=00000002")
    control(desk, "power-button")
    assert "switched itself off" in desk.heard("stopped")
    desk.offline()


def test_status_tells_what_runs(bench: Bench) -> None:
    desk, _ = bench.started()
    status = json.loads(control(desk, "status"))
    assert (status["status"], status["memory_mib"], status["migration"]) == ("running", 1, "none")
    main = desk.processes.main()
    assert main is not None and status["pid"] == main.pid


def test_screenshot_is_a_picture(bench: Bench) -> None:
    bench.define("display = true", memory_mib=4)
    desk, _ = bench.started()
    png = control(desk, "screenshot")
    assert png.startswith(b"\x89PNG")
    assert png.endswith(b"IEND\xae\x42\x60\x82")


def test_online_twice_is_online_once(bench: Bench) -> None:
    desk, _ = bench.started()
    desk.online()
    assert len(desk.processes.started) == 1


def test_ledger_holds_counter_and_generation(bench: Bench) -> None:
    desk, console = bench.started()
    console.order("w")
    console.next_line()
    console.next_line()
    line = console.next_line()
    desk.terminate()
    ledger = bench.ledger()
    assert f"N={line.nonce}" in ledger
    assert "G=00000001" in ledger


async def test_both_types_conform(bench: Bench) -> None:
    run = {"run_folder": str(bench.folder / "run")}
    for name, properties in (
        ("virtual_machine_configuration", {"definition": str(bench.definition)}),
        ("virtual_machine", {"configuration": str(bench.definition), **run}),
    ):
        results = await conformance(name, cast("dict[str, object]", properties))
        assert len(results) > 10
        assert [each for each in results if not each.passed] == []
    bench.machine().online()  # sweeps what the killed host left
