"""A real Linux with its guest agent. Built once into a cache folder, which takes some seconds and a Debian mirror."""

import fcntl
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clusterd.resource_api import Health, ResourceFailed
from tests.vm.conftest import GUESTS, Bench, needs_qemu
from tests.vm.console import Console
from tests.vm.desk import Desk

pytestmark = [needs_qemu, pytest.mark.lab]
BUILD_WITHIN_S = 100
BOOT_WITHIN_S = 60


def cache_folder() -> Path:
    usual = os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache"))
    return Path(usual) / "clusterd" / "guests"


@pytest.fixture(scope="module")
def linux() -> Path:
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        built = subprocess.run(
            ["sh", str(GUESTS / "build-linux.sh"), str(folder)],
            timeout=BUILD_WITHIN_S,
            capture_output=True,
            check=False,
            text=True,
        )
    if built.returncode != 0:
        pytest.skip(f"the Linux guest cannot be built here: {built.stderr.strip()}")
    return folder


@pytest.fixture
def linux_bench(bench: Bench, linux: Path) -> Iterator[Bench]:
    bench.define(
        f'kernel = "{linux}/vmlinuz"\ninitial_ramdisk = "{linux}/initrd.gz"\n'
        'kernel_arguments = "console=ttyS0 quiet panic=-1"',
        memory_mib=128,
        agent="virtio",
    )
    yield bench


def booted(bench: Bench, **properties: Any) -> tuple[Desk, Console]:
    desk = bench.machine(**properties)
    desk.online()
    console = bench.console(desk)
    console.wait_line(2, within_s=BOOT_WITHIN_S)
    return desk, console


def wait_for_heartbeat(desk: Desk) -> None:
    until = time.monotonic() + BOOT_WITHIN_S
    while b'"heartbeat": true' not in desk.type.control(desk.context(), "status", b""):
        assert desk.type.is_alive(desk.context()) is Health.YES
        assert time.monotonic() < until


def test_agent_that_falls_silent_fails_the_machine(linux_bench: Bench) -> None:
    desk, console = booted(linux_bench, heartbeat_timeout="1s")
    wait_for_heartbeat(desk)
    console.order("h\n")
    until = time.monotonic() + 20
    with pytest.raises(ResourceFailed, match="the guest hangs"):
        while time.monotonic() < until:
            assert desk.type.is_alive(desk.context()) is Health.YES


def test_save_resume_migrate_and_shut_down(linux_bench: Bench) -> None:
    """One boot, which is what takes the time, and everything that keeps it."""
    here, console = booted(linux_bench, offline_action="save")
    nonce = console.lines[-1].nonce
    here.offline()
    count = console.lines[-1].count
    here.generation = 2
    here.online()
    console = linux_bench.console(here)
    line = console.wait_line(1)
    assert (line.nonce, line.generation) == (nonce, 2)
    assert line.count > count
    there = linux_bench.machine("n2", offline_action="forced-shut-down")
    there.generation = 3
    text = there.type.prepare_migration(there.context())
    here.type.migrate(here.context(), text)
    last = console.lines[-1]
    there.online()
    console = linux_bench.console(there)
    first = console.wait_line(1)
    assert (first.nonce, first.generation) == (nonce, 3)
    assert 0 < first.count - last.count < 20
    here.offline(reason="migrated")
    wait_for_heartbeat(there)
    there.offline()
    console.wait_text("BYE")


def test_panic_of_the_kernel_is_told(linux_bench: Bench) -> None:
    desk, console = booted(linux_bench)
    console.order("p\n")
    assert "panicked" in desk.heard("failed", within_s=20)
