"""What a service tells over its notify socket, who may tell it, and what becomes of the socket."""

import os
import pwd
import shutil
import socket
import sys
import time
from pathlib import Path

import pytest

from clusterd.wire import host_pb2
from resource_types.notify import EXTENSION_MS_MAX, NotifySocket, Said
from tests.reshost.conftest import Bench, contained

__all__ = ["contained"]

DONE, FAILED = host_pb2.OUTCOME_DONE, host_pb2.OUTCOME_FAILED
TELL = """
import os, socket, sys, time
address = os.environ["NOTIFY_SOCKET"].replace("@", "\\0", 1)
def tell(text):
    socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(text.encode(), address)
"""


def service(body: str) -> list[str]:
    return [sys.executable, "-S", "-E", "-I", "-c", TELL + body]


async def online(bench: Bench, body: str, **more: object) -> host_pb2.CallResult:
    return await bench.call("online", "generic_service", command=service(body), ready="notify", **more)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (b"READY=1", (True, "", 0)),
        (b"STATUS=warming up\nREADY=1\n", (True, "warming up", 0)),
        (b"READY=0", (False, "", 0)),
        (b"XREADY=1", (False, "", 0)),
        (b"EXTEND_TIMEOUT_USEC=2000000", (False, "", 2)),
        (b"EXTEND_TIMEOUT_USEC=-1", (False, "", 0)),
        (b"EXTEND_TIMEOUT_USEC=1e9", (False, "", 0)),
        (b"EXTEND_TIMEOUT_USEC=" + b"9" * 19, (False, "", EXTENSION_MS_MAX / 1000)),
        (b"EXTEND_TIMEOUT_USEC=" + b"9" * 4000, (False, "", 0)),
        (b"STATUS=" + b"x" * 4000, (False, "x" * 200, 0)),
        (b"\xff\xfe\0=\n=\n", (False, "", 0)),
        (b"", (False, "", 0)),
    ],
)
def test_messages(message: bytes, expected: tuple[bool, str, float]) -> None:
    said = Said()
    said.take(message, 0.0)
    assert (said.is_ready, said.status, said.extended_until) == expected


def test_strangers_are_not_heard_and_nobody_has_to_wait() -> None:
    notify = NotifySocket(lambda: [], set())
    sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sender.settimeout(5)
    for _ in range(100):  # more than a socket holds unread
        sender.sendto(b"STATUS=x", "\0" + notify.address[1:])
    until = time.monotonic() + 5
    while not notify.said.status and time.monotonic() < until:
        notify.wait(10)
    assert notify.said.status == "x"
    if os.geteuid() == 0:
        pid = os.fork()
        if pid == 0:
            os.setuid(pwd.getpwnam("nobody").pw_uid)
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"READY=1", "\0" + notify.address[1:])
            os._exit(0)
        os.waitpid(pid, 0)
        assert not notify.wait(200)
    address = notify.address[1:]
    notify.close()
    with pytest.raises(OSError):
        while True:
            sender.sendto(b"READY=1", "\0" + address)
    sender.close()


async def test_more_time_is_given_when_it_is_asked_for(bench: Bench) -> None:
    bench.node.deadlines.pending_timeout_ms = 500
    body = 'tell("STATUS=reading\\nEXTEND_TIMEOUT_USEC=8000000"); time.sleep(1.2); tell("READY=1"); time.sleep(1000)'
    answer = await online(bench, body)
    assert answer.outcome == DONE, answer.message


async def test_who_asks_for_time_and_is_never_ready_fails_with_its_status(bench: Bench) -> None:
    bench.node.deadlines.pending_timeout_ms = 400
    answer = await online(bench, 'tell("STATUS=reading\\nEXTEND_TIMEOUT_USEC=300000"); time.sleep(1000)')
    assert answer.outcome == FAILED
    assert "never sent READY=1" in answer.message and "its last status: reading" in answer.message


async def test_more_time_than_a_call_may_take_is_not_given(bench: Bench) -> None:
    bench.node.deadlines.pending_timeout_ms = 300
    bench.node.deadlines.deadlock_timeout_ms = 2000
    answer = await online(bench, 'tell("EXTEND_TIMEOUT_USEC=600000000"); time.sleep(1000)')
    assert answer.outcome == FAILED and "never sent READY=1" in answer.message


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("perl") is None, reason="needs root, and Perl")
async def test_a_helper_that_has_ended_is_heard(contained: str, bench: Bench) -> None:
    """As systemd-notify in a script: by the time anybody looks, it is gone. Ten times, because it is a race."""
    for _ in range(10):
        answer = await bench.call(
            "online",
            "generic_service",
            command=["perl", "-e", _PERL],
            ready="notify",
            user="nobody",
        )
        assert answer.outcome == DONE, answer.message
        await bench.call("terminate", "generic_service")


_PERL = """
use Socket; my $path = $ENV{NOTIFY_SOCKET}; $path =~ s/^@/\\0/;
if (fork() == 0) {
    socket(my $s, AF_UNIX, SOCK_DGRAM, 0); send($s, "READY=1", 0, pack_sockaddr_un($path)); exit 0;
}
wait; sleep 1000;
"""


async def test_the_socket_stays_until_the_stop(bench: Bench, tmp_path: Path) -> None:
    body = """
tell("READY=1")
for _ in range(40):
    tell("WATCHDOG=1\\\\nSTATUS=serving")
open(sys.argv[1], "w").close()
time.sleep(1000)
"""
    answer = await online(bench, body, startup_parameters=[str(tmp_path / "told")])
    assert answer.outcome == DONE, answer.message
    await bench.node.until(lambda: (tmp_path / "told").exists() or None, 5000, what="forty messages")
    name = f"clusterd-notify-{bench.host.started.pid}-"
    assert name in Path("/proc/net/unix").read_text()
    assert (await bench.call("offline", "generic_service")).outcome == DONE
    await bench.node.until(lambda: name not in Path("/proc/net/unix").read_text() or None, 5000, what="its end")
