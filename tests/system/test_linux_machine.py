"""A newcomer's Linux guest in a cluster: created in one command, typed to, photographed, saved, watched by its agent."""

import os
import pty
import re
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.labs import CLUSTERCTL, Lab, lab
from tests.system.guests import MISSING, guest, machine, until
from tests.vm.test_linux_guest import linux

__all__ = ["linux"]
pytestmark = [
    pytest.mark.lab,
    pytest.mark.timeout(240),
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
]
BOOT_WITHIN_S = 60.0
LINE = re.compile(rb"N=([0-9a-f]{8}) B=\w+ C=([0-9a-f]{8}) G=([0-9a-f]{8})\r?\n")
LEAVE = b"\x1d"


@pytest.fixture
def running(linux: Path, tmp_path: Path) -> Iterator[Lab]:
    """One that was built already saves the time of a build."""
    (tmp_path / "templates").mkdir()
    for name in ("vmlinuz", "initrd.gz"):
        shutil.copy(linux / name, tmp_path / "templates" / name)
    with lab(profile="fast") as made:
        yield made


class Terminal:
    """`clusterctl vm console` on a terminal of its own."""

    def __init__(self, running: Lab, name: str) -> None:
        self._mine, its = pty.openpty()
        command = [CLUSTERCTL, "--lab", running.name, "vm", "console", name]
        self._process = subprocess.Popen(command, stdin=its, stdout=its, stderr=its)
        os.close(its)
        self.shown = b""

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._mine)

    def type(self, keys: bytes) -> None:
        os.write(self._mine, keys)

    def line(self, within_s: float = BOOT_WITHIN_S) -> tuple[bytes, int, int]:
        """The next line of the guest: nonce, count and generation."""
        self.shown = b""
        end = time.monotonic() + within_s
        while not (found := LINE.search(self.shown)):
            assert time.monotonic() < end, self.shown
            if select.select([self._mine], [], [], 0.2)[0]:
                self.shown += os.read(self._mine, 4096)
        return found[1], int(found[2], 16), int(found[3], 16)

    def leave(self) -> int:
        self.type(LEAVE)
        return self._process.wait(10)


def test_the_whole_way(running: Lab, tmp_path: Path) -> None:
    running.ctl("vm", "create", "box", "--template", "linux", "--display", "--folder", str(tmp_path))
    with Terminal(running, "box") as terminal:
        nonce, count, _ = terminal.line()
        assert terminal.leave() == 0
    until(lambda: guest(running, "box")["heartbeat"] is True, "its agent answers")

    picture = tmp_path / "box.png"
    running.ctl("vm", "screenshot", "box", str(picture))
    content = picture.read_bytes()
    assert content.startswith(b"\x89PNG")
    assert len(content) > 3000, "a dark screen compresses to less"

    running.ctl("vm", "save", "box")
    assert machine(running, "box")["state"] == "offline"
    running.ctl("vm", "start", "box")
    with Terminal(running, "box") as terminal:
        again, later, _ = terminal.line()
        assert (again, later > count) == (nonce, True), "its memory was kept"
        terminal.leave()

    verified = running.ctl("group", "verify", "box", "--kind", "live")
    assert [each["result"] for each in verified["moves"]] == ["moved"] * 3
    with Terminal(running, "box") as terminal:
        assert terminal.line()[0] == nonce
        terminal.leave()

    running.ctl("vm", "stop", "box", "--kind", "shut-down")
    assert machine(running, "box")["state"] == "offline"
    running.ctl("vm", "start", "box")
    with Terminal(running, "box") as terminal:
        assert terminal.line()[0] != nonce, "it was shut down and booted again"
        terminal.leave()


def test_an_agent_that_falls_silent_has_it_restarted(running: Lab, tmp_path: Path) -> None:
    running.ctl("vm", "create", "box", "--template", "linux", "--folder", str(tmp_path), "--offline")
    running.ctl(
        "resource", "set", "box", "heartbeat_timeout=500ms", "is_alive_poll_interval=500ms", "restart_delay=0ms"
    )
    running.ctl("vm", "start", "box")
    owner = machine(running, "box")["owner"]
    with Terminal(running, "box") as terminal:
        nonce, _, _ = terminal.line()
        until(lambda: guest(running, "box").get("heartbeat") is True, "its agent answers")
        terminal.type(b"h\n")
        until(lambda: running.group("box")["resources"][0]["restarts"]["used"] == 1, "it is restarted")
    running.ctl("wait", "--for", "resource box online")
    with Terminal(running, "box") as terminal:
        assert terminal.line()[0] != nonce
        terminal.leave()
    assert machine(running, "box")["owner"] == owner, "a first failure is mended in place"
    told = [each["because"] for each in running.ctl("events", "--last", "20", "--group", "box")["events"]]
    assert any("the guest hangs" in each for each in told), told
