"""The fence of last resort: a real guard keeps a watchdog (a FIFO stands for the device) quiet only while all is well."""

import os
import select
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from clusterd.adapters.boot_clock import now_ms
from clusterd.guard.ending import Ending
from clusterd.guard.watchdog import BadWatchdog, Watchdog

TIMEOUT_MS = 1000


@pytest.fixture
def device(tmp_path: Path) -> Iterator[tuple[str, int]]:
    path = str(tmp_path / "watchdog")
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    yield path, reader
    os.close(reader)


def start_guard(run_dir: str, device: str) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-m", "clusterd.main.guard", "--run-dir", run_dir, "--cluster", "trial", "--node", "n1"]
    argv += ["--run-id", "trial", "--watchdog", device, "--watchdog-timeout-ms", str(TIMEOUT_MS)]
    return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def heard(reader: int, *, within_ms: int) -> bytes:
    """What was written until something was, or the time is up."""
    os.set_blocking(reader, False)
    until = now_ms() + within_ms
    while now_ms() < until:
        select.select([reader], [], [], max(until - now_ms(), 0) / 1000)
        try:
            found = os.read(reader, 4096)
        except BlockingIOError:
            found = b""
        if found:
            return found
    return b""


def test_a_guard_pets_its_watchdog_until_it_is_frozen(run_dir: str, device: tuple[str, int]) -> None:
    path, reader = device
    guard = start_guard(run_dir, path)
    try:
        assert heard(reader, within_ms=5000) == b"."
        assert heard(reader, within_ms=TIMEOUT_MS) == b"."
        guard.send_signal(signal.SIGSTOP)
        heard(reader, within_ms=50)
        assert heard(reader, within_ms=TIMEOUT_MS) == b"", "nobody pets it any more: the machine would be reset"
        guard.send_signal(signal.SIGCONT)
        assert heard(reader, within_ms=TIMEOUT_MS) == b"."
        guard.terminate()
        assert guard.wait(10) == 0
        assert heard(reader, within_ms=1000).endswith(b"V"), "a clean stop disarms it"
    finally:
        guard.kill()
        guard.wait()


def test_a_killed_guard_does_not_disarm_it(run_dir: str, device: tuple[str, int]) -> None:
    path, reader = device
    guard = start_guard(run_dir, path)
    assert heard(reader, within_ms=5000) == b"."
    guard.kill()
    guard.wait()
    assert b"V" not in heard(reader, within_ms=100)


def test_a_regular_file_resets_no_machine(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("")
    assert stat.S_ISREG(path.stat().st_mode)
    with pytest.raises(BadWatchdog, match="neither a watchdog device nor a FIFO"):
        Watchdog(str(path), TIMEOUT_MS)


def test_a_watchdog_that_cannot_be_armed_stops_the_guard(run_dir: str) -> None:
    guard = start_guard(run_dir, "/nowhere/watchdog")
    assert guard.wait(10) == 1


class Unkillable:
    """What sits in the kernel on a dead disk."""

    def kill(self) -> None:
        pass

    def is_empty(self) -> bool:
        return False

    def members(self) -> list[int]:
        return [42]

    def remove(self) -> None:
        raise AssertionError


def test_what_outlives_the_stop_budget_is_over_it() -> None:
    ending = Ending((Unkillable(),), "its run lease ended", now_ms=1000, budget_ms=500)
    assert not ending.step(1000)
    assert not ending.is_over_budget(1499)
    assert ending.is_over_budget(1500)
    assert ending.trouble(1500) == [42]
    assert ending.trouble(1501) == []
    assert ending.is_over_budget(1501), "telling it once does not make it well"
