"""The monitor's client against servers that do what QEMU does, and what it never should."""

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clusterd.resource_api import CallCancelled
from resource_types.virtual_machine.qmp import Monitor, MonitorGone, MonitorRefused, MonitorSilent

GREETING = (
    b'{"QMP": {"version": {"qemu": {"major": 7, "minor": 2, "micro": 22}, "package": ""}, "capabilities": []}}\r\n'
)
MUTE = "nothing"


class Server:
    """Answers `qmp_capabilities`, and everything else with what `answers` says, in order."""

    def __init__(self, path: Path, greeting: bytes = GREETING) -> None:
        self.path = str(path)
        self.answers: list[bytes | str] = []
        self._greeting = greeting
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        try:
            link, _ = self._listener.accept()
        except OSError:
            return
        with link:
            link.sendall(self._greeting)
            for line in link.makefile("rb"):
                read = json.loads(line)
                answer = b'{"return": {}, "id": %d}' if read["execute"] == "qmp_capabilities" else self.answers.pop(0)
                if isinstance(answer, str):
                    continue
                if not answer:
                    return
                link.sendall(answer.replace(b"%d", b"%d" % read["id"]) + b"\r\n")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "m"


@pytest.fixture
def server(path: Path) -> Iterator[Server]:
    server = Server(path)
    yield server
    server.close()


class Heard:
    def __init__(self) -> None:
        self.events: list[tuple[str, Any, float]] = []
        self.ended = threading.Event()


def connected(server: Server, heard: Heard | None = None, within_ms: int = 2000) -> Monitor:
    heard = heard or Heard()
    return Monitor(
        server.path,
        on_event=lambda name, data, at_s: heard.events.append((name, data, at_s)),
        on_end=heard.ended.set,
        within_ms=within_ms,
    )


def test_answers_events_and_version(server: Server) -> None:
    heard = Heard()
    monitor = connected(server, heard)
    stop = b'{"timestamp": {"seconds": 7, "microseconds": 500000}, "event": "STOP", "data": {}}\r\n'
    resume = b'{"timestamp": {"seconds": 8, "microseconds": 0}, "event": "RESUME"}\r\n'
    server.answers = [stop + resume + b'{"return": {"status": "x"}, "id": %d}']
    assert monitor.execute("query-status", within_ms=2000) == {"status": "x"}
    assert heard.events == [("STOP", {}, 7.5), ("RESUME", {}, 8.0)]
    assert monitor.qemu_version == "7.2.22"
    monitor.close()
    assert not heard.ended.is_set(), "who closes it knows"


def test_refusal_says_why(server: Server) -> None:
    monitor = connected(server)
    server.answers = [b'{"error": {"class": "GenericError", "desc": "no such thing"}, "id": %d}']
    with pytest.raises(MonitorRefused, match="cont: no such thing"):
        monitor.execute("cont", within_ms=2000)
    monitor.close()


def test_silence_has_a_deadline_and_the_next_call_works(server: Server) -> None:
    monitor = connected(server)
    server.answers = [MUTE, b'{"return": 1, "id": %d}']
    with pytest.raises(MonitorSilent, match="query-status within 30 ms"):
        monitor.execute("query-status", within_ms=30)
    assert monitor.execute("query-status", within_ms=2000) == 1
    monitor.close()


def test_call_that_is_given_up(server: Server) -> None:
    monitor = connected(server)
    server.answers = [MUTE]
    with pytest.raises(CallCancelled):
        monitor.execute("query-status", within_ms=10_000, is_cancelled=lambda: True)
    monitor.close()


@pytest.mark.parametrize("answer", [b"", b"{this is no JSON", b"3"])
def test_connection_that_ends_or_breaks_wakes_the_caller(server: Server, answer: bytes) -> None:
    heard = Heard()
    monitor = connected(server, heard)
    server.answers = [answer]
    with pytest.raises(MonitorGone):
        monitor.execute("query-status", within_ms=10_000)
    assert heard.ended.wait(5)
    assert not monitor.is_open
    with pytest.raises(MonitorGone, match="was not sent"):
        monitor.execute("query-status", within_ms=10_000)


def test_no_greeting(path: Path) -> None:
    silent = contextlib.closing(Server(path, greeting=b""))
    with silent as server, pytest.raises(MonitorSilent, match="did not greet"):
        connected(server, within_ms=30)


@pytest.mark.parametrize("greeting", [b'{"QMP": {}}\r\n', b"hello\r\n", b"[]\r\n"])
def test_somebody_else_listens_there(path: Path, greeting: bytes) -> None:
    with contextlib.closing(Server(path, greeting=greeting)) as server, pytest.raises(MonitorGone):
        connected(server)


def test_nobody_listens(path: Path) -> None:
    with pytest.raises(MonitorGone, match="cannot be reached"):
        Monitor(str(path), on_event=lambda name, data, at_s: None, on_end=lambda: None, within_ms=100)
