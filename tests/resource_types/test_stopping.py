"""Who is asked to stop, for how long, and what is left: real processes in both kinds of containment."""

import os
import shutil
import signal
import sys
from pathlib import Path

import pytest

from clusterd.wire import host_pb2
from tests.guard.survivors import Marked
from tests.reshost.conftest import Bench, contained

__all__ = ["contained"]

DONE = host_pb2.OUTCOME_DONE
PYTHON = [sys.executable, "-S", "-E", "-I", "-c"]
# Takes its time to stop, and notes that it did so in good order.
CAREFUL = """
import pathlib, signal, sys, time
def stop(number, _):
    time.sleep(float(sys.argv[2]))
    with open(sys.argv[1], "a") as file:
        file.write(signal.Signals(number).name + "\\n")
    sys.exit()
for each in (signal.SIGTERM, signal.SIGINT):
    signal.signal(each, stop)
pathlib.Path(sys.argv[1]).touch()
while True:
    time.sleep(100)
"""


class Careful:
    """A server that notes its stops in a file."""

    def __init__(self, folder: Path, name: str, takes_s: float = 0.3) -> None:
        self.notes = folder / name
        program = folder / f"{name}.py"
        program.write_text(CAREFUL)
        self.command = f"{sys.executable} -S -E -I {program} {self.notes} {takes_s}"

    async def is_up(self, bench: Bench) -> None:
        await bench.node.until(lambda: self.notes.exists() or None, 10_000, what="the server")

    @property
    def stops(self) -> list[str]:
        return self.notes.read_text().split()


async def offline(bench: Bench) -> host_pb2.CallResult:
    return await bench.call("offline", "generic_service")


@pytest.mark.parametrize(
    ("line", "how"),
    [
        ("{0}; true", "a shell that dies of the signal"),
        ("trap 'wait' TERM; {0} & wait", "a shell that waits for the server"),
        ("trap '' TERM; {0}; true", "a shell that does not hear"),
        ("{0} & {1} & wait", "two servers"),
        ("(setsid {0} &); sleep 1000", "a server in a session of its own"),
    ],
)
async def test_everything_is_asked_and_has_the_grace(
    contained: str, bench: Bench, tmp_path: Path, line: str, how: str
) -> None:
    servers = [Careful(tmp_path, name) for name in ("first", "second")][: line.count("{")]
    text = line.format(*(each.command for each in servers))
    answer = await bench.call("online", "generic_service", command=["sh", "-c", text], stop_grace="10s")
    assert answer.outcome == DONE, answer.message
    for each in servers:
        await each.is_up(bench)
    stopped = await offline(bench)
    assert (stopped.outcome, stopped.message) == (DONE, "")
    assert [each.stops for each in servers] == [["SIGTERM"]] * len(servers), how


async def test_what_forked_away_is_asked_too(contained: str, bench: Bench, tmp_path: Path) -> None:
    server = Careful(tmp_path, "server")
    await bench.call("online", "generic_service", command=["sh", "-c", f"{server.command} & exit 0"], forking=True)
    await server.is_up(bench)
    assert (await offline(bench)).message == ""
    assert server.stops == ["SIGTERM"]


async def test_only_the_main_process_first(bench: Bench, tmp_path: Path) -> None:
    """As with KillMode=mixed: the others hear of it when it has ended, with what is left of the grace."""
    main, worker = Careful(tmp_path, "main", 0.5), Careful(tmp_path, "worker", 0)
    text = f"{worker.command} & exec {main.command}"
    await bench.call(
        "online", "generic_service", command=["sh", "-c", text], stop_asks="main-process", stop_signal="INT"
    )
    await main.is_up(bench)
    await worker.is_up(bench)
    assert (await offline(bench)).message == ""
    assert (main.stops, worker.stops) == (["SIGINT"], ["SIGINT"])
    assert worker.notes.stat().st_mtime_ns > main.notes.stat().st_mtime_ns


async def test_what_appears_after_the_signal_is_asked_too(bench: Bench, marked: Marked) -> None:
    text = f"trap 'sleep {marked.mark} & wait; exit' TERM; echo up; while :; do sleep 0.01; done"
    await bench.call("online", "generic_service", command=["sh", "-c", text], stop_grace="8s")
    while not (await bench.control("logs")).control_body:
        continue
    assert (await offline(bench)).message == ""


async def test_what_stands_still_is_asked_to_go_on(bench: Bench, tmp_path: Path) -> None:
    server = Careful(tmp_path, "server", 0)
    answer = await bench.call("online", "generic_service", command=server.command.split(), stop_grace="10s")
    await server.is_up(bench)
    os.kill(answer.pid, signal.SIGSTOP)
    assert (await offline(bench)).message == ""
    assert server.stops == ["SIGTERM"]


async def test_the_grace_is_longer_than_the_pending_timeout(bench: Bench, tmp_path: Path) -> None:
    bench.node.deadlines.pending_timeout_ms = 400
    bench.node.deadlines.deadlock_timeout_ms = 30_000
    server = Careful(tmp_path, "server", 1.5)
    await bench.call("online", "generic_service", command=server.command.split(), stop_grace="20s")
    await server.is_up(bench)
    stopped = await offline(bench)
    assert (stopped.outcome, stopped.message) == (DONE, "")
    assert server.stops == ["SIGTERM"]


async def test_a_grace_that_does_not_fit_is_told(bench: Bench, marked: Marked) -> None:
    bench.node.deadlines.deadlock_timeout_ms = 1500
    stubborn = ["sh", "-c", f"trap '' TERM; echo up; sleep {marked.mark}; sleep {marked.mark}"]
    await bench.call("online", "generic_service", command=stubborn, stop_grace="20s")
    while not (await bench.control("logs")).control_body:
        continue
    stopped = await offline(bench)
    assert stopped.outcome == DONE
    assert "did not stop within 20000 ms of SIGTERM and was killed" in stopped.message
    assert marked.pids() == []


@pytest.mark.skipif(shutil.which("postgres") is None or os.geteuid() != 0, reason="needs PostgreSQL and root")
@pytest.mark.parametrize(
    ("stop_signal", "stop_asks"), [("INT", "everything"), ("TERM", "everything"), ("INT", "main-process")]
)
async def test_a_database_stops_in_good_order(bench: Bench, tmp_path: Path, stop_signal: str, stop_asks: str) -> None:
    """A server with helpers that have their own opinion of signals."""
    bench.node.deadlines.pending_timeout_ms = bench.node.deadlines.deadlock_timeout_ms = 60_000
    folder = Path(f"/tmp/pg-{os.getpid()}-{tmp_path.name}"[:60])
    folder.mkdir()
    shutil.chown(folder, "postgres", "postgres")
    try:
        made = await bench.call(
            "online",
            "generic_service",
            resource="made",
            command=["sh", "-c", f"initdb -D {folder}/data >/dev/null && touch {folder}/made && exec sleep 1000"],
            user="postgres",
            environment={"PATH": f"/usr/lib/postgresql/15/bin:{os.environ['PATH']}"},
            ready={"command": ["test", "-e", f"{folder}/made"]},
        )
        assert made.outcome == DONE, made.message
        command = ["postgres", "-D", f"{folder}/data", "-k", str(folder), "-c", "listen_addresses="]
        answer = await bench.call(
            "online",
            "generic_service",
            command=command,
            user="postgres",
            ready={"command": ["pg_isready", "-h", str(folder)]},
            stop_signal=stop_signal,
            stop_asks=stop_asks,
            stop_grace="20s",
        )
        assert answer.outcome == DONE, answer.message
        stopped = await offline(bench)
        assert (stopped.outcome, stopped.message) == (DONE, "")
        assert b"database system is shut down" in (await bench.control("logs")).control_body
        assert b"abnormal" not in (await bench.control("logs")).control_body
    finally:
        await bench.call("terminate", "generic_service", resource="made")
        shutil.rmtree(folder)
