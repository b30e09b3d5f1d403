"""Real guests, real faults: a guest comes back, with its memory where that was promised, and never runs in two places."""

import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.labs import Lab, lab
from clusterd.checkers import GuestLine
from tests.system.guests import MISSING, Guests, fresh_name, guest, machine, mend, remove, until
from tests.system.memory_limit import MemoryLimit, NoLimit

pytestmark = [
    pytest.mark.lab,
    pytest.mark.timeout(180),
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
]

TWELVE_WITHIN_S = 5.0
QUICKLY_LOOKED_AT = {"looks_alive_poll_interval": "200ms", "check_timeout": "500ms"}
FULL_MIB = 64
REST_S = 1.0
"""Longer than a restart in place takes."""


@pytest.fixture
def guests() -> Iterator[Guests]:
    """A short path: sockets lie below it."""
    with tempfile.TemporaryDirectory(prefix="gs-", dir="/tmp") as folder, Guests(Path(folder)) as found:
        yield found


@pytest.fixture(scope="module")
def running() -> Iterator[Lab]:
    with lab(profile="fast") as made:
        yield made


@pytest.fixture
def one(running: Lab, guests: Guests, request: pytest.FixtureRequest) -> Iterator[str]:
    """A guest on n1. Afterwards the cluster is whole again, and nobody broke a promise."""
    name = fresh_name()
    made = guests.group(name, properties=getattr(request, "param", {}), preferred_owners=["n1"])
    running.apply({"groups": [made]})
    guests.goes_on(name)
    assert running.group(name)["owner"] == "n1"
    yield name
    assert guests.breaches() == []
    mend(running)
    remove(running, name)


def test_power_loss_of_the_owner(running: Lab, guests: Guests, one: str) -> None:
    before = guests.last(one)
    running.ctl("lab", "kill", "n1")
    after = guests.wait(one, "to run elsewhere", lambda line: line.generation > before.generation)
    assert after.boots == before.boots + 1
    assert after.nonce != before.nonce
    until(lambda: guests.written[one][-1].generation == after.generation, "the new owner's guest writes")
    assert running.group(one)["owner"] != "n1"


def test_a_quick_move_keeps_the_memory(running: Lab, guests: Guests, one: str) -> None:
    before = guests.last(one)
    running.ctl("group", "move", one, "n2", "--kind", "quick")
    after = guests.wait(one, "to go on there", lambda line: line.generation > before.generation)
    assert (after.nonce, after.boots) == (before.nonce, before.boots)
    assert running.group(one)["owner"] == "n2"


def test_a_drain_takes_it_along(running: Lab, guests: Guests, one: str) -> None:
    before = guests.last(one)
    running.ctl("node", "drain", "n1")
    after = guests.goes_on(one)
    assert (after.nonce, after.boots) == (before.nonce, before.boots)
    assert running.group(one)["owner"] != "n1"
    running.ctl("node", "resume", "n1")


def test_a_guest_that_switches_itself_off_rests(running: Lab, guests: Guests, one: str) -> None:
    before = guests.last(one)
    guests.order(one, "o")
    until(lambda: machine(running, one)["state"] == "offline", "the cluster sees that it is off")
    assert guests.falls_silent(one, REST_S)
    running.ctl("vm", "start", one)
    assert guests.goes_on(one).boots == before.boots + 1


def test_a_panic_is_restarted_in_place_and_the_next_one_moves_it(running: Lab, guests: Guests, one: str) -> None:
    before = guests.last(one)
    guests.order(one, "p")
    first = guests.wait(one, "to be restarted", lambda line: line.boots > before.boots)
    assert first.generation == before.generation, "in place"
    assert running.group(one)["owner"] == "n1"
    guests.order(one, "p")
    second = guests.wait(one, "to be moved", lambda line: line.boots > first.boots)
    assert second.generation > first.generation
    assert running.group(one)["owner"] != "n1"


def test_qemu_is_killed(running: Lab, guests: Guests, one: str) -> None:
    before = guests.last(one)
    os.kill(guest(running, one)["pid"], signal.SIGKILL)
    after = guests.wait(one, "to be restarted", lambda line: line.boots > before.boots)
    assert (after.boots, after.generation) == (before.boots + 1, before.generation)


@pytest.mark.parametrize("one", [QUICKLY_LOOKED_AT], indirect=True, ids=[""])
def test_qemu_is_stopped(running: Lab, guests: Guests, one: str) -> None:
    before = guests.last(one)
    os.kill(guest(running, one)["pid"], signal.SIGSTOP)
    after = guests.wait(one, "to be restarted", lambda line: line.boots > before.boots)
    assert (after.boots, after.generation) == (before.boots + 1, before.generation)


def test_qemu_runs_out_of_memory(running: Lab, guests: Guests) -> None:
    """It is killed for what its guest takes: restarted in place, and moved when that happens again."""
    one = fresh_name()
    running.apply({"groups": [guests.group(one, memory_mib=FULL_MIB, preferred_owners=["n1"])]})
    before = guests.goes_on(one)
    first = _out_of_memory(running, guests, one)
    assert (first.boots, first.generation) == (before.boots + 1, before.generation), "in place"
    second = _out_of_memory(running, guests, one)
    assert second.boots == first.boots + 1 and second.generation > first.generation
    assert running.group(one)["owner"] != "n1"
    assert guests.breaches() == []
    remove(running, one)


def _out_of_memory(running: Lab, guests: Guests, name: str) -> GuestLine:
    before = guests.goes_on(name)
    try:
        with MemoryLimit(guest(running, name)["pid"], FULL_MIB // 2):
            guests.order(name, "m")
            return guests.wait(name, "to be started again", lambda line: line.boots > before.boots)
    except NoLimit as reason:
        remove(running, name)
        pytest.skip(str(reason))


def test_twelve_on_the_node_that_dies(running: Lab, guests: Guests) -> None:
    """The last one in its lab, which goes with them."""
    names = [f"vm{number}" for number in range(12)]
    running.apply({"groups": [guests.group(name, preferred_owners=["n1"]) for name in names]})
    until(lambda: all(guests.said[name] for name in names), "all of them run")
    assert {each["owner"] for each in running.ctl("vm", "list")["machines"]} == {"n1"}
    before = {name: guests.last(name) for name in names}
    begun = time.monotonic()
    running.ctl("lab", "kill", "n1")
    for name in names:
        after = _moved(guests, name, before[name])
        assert after.boots == before[name].boots + 1
    took_s = time.monotonic() - begun
    assert guests.breaches() == []
    assert took_s < TWELVE_WITHIN_S


def test_a_node_without_qemu_is_passed_over(guests: Guests, tmp_path: Path) -> None:
    """n2 cannot find QEMU: the guest ends on n3."""
    (tmp_path / "programs.json").write_text(json.dumps({"guard": _guard_without_qemu(tmp_path, "n2")}))
    with lab(profile="fast", more=["--programs", str(tmp_path / "programs.json")]) as running:
        running.apply({"groups": [guests.group("one", preferred_owners=["n1", "n2", "n3"])]})
        before = guests.goes_on("one")
        running.ctl("lab", "kill", "n1")
        after = _moved(guests, "one", before)
        assert running.group("one")["owner"] == "n3"
        told = json.dumps(running.ctl("explain", "group", "one"))
        assert "install the package qemu-system-x86" in told
        assert after.boots == before.boots + 1
        assert guests.breaches() == []


def _guard_without_qemu(folder: Path, without: str) -> list[str]:
    """The guard's arguments, with a search path of its own for each node."""
    for name in ("n1", "n2", "n3"):
        programs = folder / name
        programs.mkdir()
        for place in ("/usr/local/bin", "/usr/sbin", "/usr/bin"):
            for path in Path(place).iterdir():
                if not (name == without and path.name.startswith("qemu")) and not (programs / path.name).exists():
                    (programs / path.name).symlink_to(path)
    run = ["--run-dir", "{run_dir}", "--cluster", "{cluster}", "--node", "{node}", "--run-id", "{run_id}"]
    path = f"PATH={folder}/{{node}}"
    return [shutil.which("env") or "env", path, sys.executable, "-m", "clusterd.main.guard", *run]


def _moved(guests: Guests, name: str, before: GuestLine) -> GuestLine:
    """Its first line under a newer generation, which may be there already."""
    until(lambda: guests.last(name).generation > before.generation, f"{name} runs under a new owner")
    return next(line for line in guests.said[name] if line.generation > before.generation)
