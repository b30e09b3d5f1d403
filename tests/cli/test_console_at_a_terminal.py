"""Is a terminal the machine's serial line until Ctrl-], and what it was before afterwards?"""

import os
import pty
import select
import socket
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LEAVE = b"\x1d"
WITHIN_S = 10.0
ATTACH = "from clusterd.cli.vm_console import attach; attach({path!r}, machine='shop', node='n1', longest_ms=None)"


class Serial:
    """The machine's end: it hears everything, answers each line, and can end."""

    def __init__(self, path: Path) -> None:
        self.heard = b""
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._line: socket.socket | None = None
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def end(self) -> None:
        if self._line is not None:
            with suppress(OSError):
                self._line.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.close()
        self._thread.join(WITHIN_S)

    def _serve(self) -> None:
        self._line, _ = self._listener.accept()
        with self._line:
            self._line.sendall(b"login: ")
            with suppress(ConnectionError):
                while said := self._line.recv(100):
                    self.heard += said
                    self._line.sendall(b"<" + said + b">")


class Terminal:
    """Somebody's terminal with the console in it."""

    def __init__(self, path: Path) -> None:
        self.mine, its = pty.openpty()
        self.before = termios.tcgetattr(its)
        self._its = its
        command = [sys.executable, "-c", ATTACH.format(path=str(path))]
        self._process = subprocess.Popen(command, stdin=its, stdout=its, stderr=its)
        self.shown = b""

    def type(self, keys: bytes) -> None:
        os.write(self.mine, keys)

    def wait_for(self, text: bytes) -> None:
        until = time.monotonic() + WITHIN_S
        while text not in self.shown:
            assert time.monotonic() < until, f"{text!r} was not shown: {self.shown!r}"
            if select.select([self.mine], [], [], 0.1)[0]:
                self.shown += os.read(self.mine, 4096)

    def modes(self) -> list[object]:
        return list(termios.tcgetattr(self._its))

    def status(self) -> int:
        return self._process.wait(WITHIN_S)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self.mine)
        os.close(self._its)


@contextmanager
def console(folder: Path) -> Iterator[tuple[Serial, Terminal]]:
    serial = Serial(folder / "console.sock")
    terminal = Terminal(folder / "console.sock")
    try:
        terminal.wait_for(b"login: ")
        yield serial, terminal
    finally:
        terminal.close()
        serial.end()
        serial.close()


def test_every_key_goes_to_the_guest_until_ctrl_bracket(tmp_path: Path) -> None:
    with console(tmp_path) as (serial, terminal):
        assert b"console of shop on n1; Ctrl-] leaves it" in terminal.shown
        terminal.type(b"root\r")
        terminal.wait_for(b"<root\r>")
        terminal.type(b"\x03\x1a\x04")  # what would interrupt, stop or end a program here is the guest's
        terminal.wait_for(b"\x03\x1a\x04>")
        assert terminal.modes() != terminal.before, "raw: the guest echoes, not the terminal"
        terminal.type(b"bye" + LEAVE + b"not sent")
        assert terminal.status() == 0
        assert serial.heard.endswith(b"bye")
        assert terminal.modes() == terminal.before


def test_the_machine_ends(tmp_path: Path) -> None:
    with console(tmp_path) as (serial, terminal):
        serial.end()
        terminal.wait_for(b"the machine has ended")
        assert terminal.status() == 0
        assert terminal.modes() == terminal.before


def test_the_machine_ends_while_somebody_types(tmp_path: Path) -> None:
    with console(tmp_path) as (serial, terminal):
        serial.end()
        terminal.type(b"x")
        assert terminal.status() == 0
        assert terminal.modes() == terminal.before
