"""A service on its good and its bad days."""

import os
import pwd
import signal
import socket
import sys
import time
from pathlib import Path

import pytest

from clusterd.resource_api.properties import TEXT_SIZE_MAX
from clusterd.wire import host_pb2
from tests.guard.survivors import Marked
from tests.reshost.conftest import Bench

DONE, FAILED = host_pb2.OUTCOME_DONE, host_pb2.OUTCOME_FAILED
PYTHON = [sys.executable, "-S", "-E", "-I", "-c"]
LISTEN = "import socket, sys, time; s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); time.sleep(1000)"
STUBBORN = """
import signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(1000)
"""
OBEDIENT = """
import pathlib, signal, sys, time
def stop(*_):
    pathlib.Path(sys.argv[1]).touch()
    sys.exit()
signal.signal(signal.SIGUSR1, stop)
print("ready", flush=True)
time.sleep(1000)
"""
SHOW = """
import os, sys, time
print(os.getcwd(), os.environ['COLOUR'], sys.argv[1:], flush=True)
time.sleep(99)
"""
NOTIFY = """
import os, socket, sys, time
time.sleep(0.1)
address = os.environ["NOTIFY_SOCKET"].replace("@", "\\0", 1)
socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(sys.argv[1].encode(), address)
time.sleep(1000)
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


async def online(bench: Bench, **properties: object) -> host_pb2.CallResult:
    return await bench.call("online", "generic_service", **properties)


# ---- good days ----


async def test_ready_when_it_listens(bench: Bench) -> None:
    port = free_port()
    answer = await online(bench, command=[*PYTHON, LISTEN, str(port)], ready={"tcp": port})
    assert answer.outcome == DONE, answer.message
    socket.create_connection(("127.0.0.1", port), 1).close()
    assert (await bench.call("offline", "generic_service")).outcome == DONE
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 1)


async def test_ready_when_it_says_so(bench: Bench) -> None:
    began = time.monotonic()
    answer = await online(bench, command=[*PYTHON, NOTIFY, "STATUS=up\nREADY=1"], ready="notify")
    assert answer.outcome == DONE, answer.message
    assert time.monotonic() - began >= 0.1


async def test_ready_when_a_command_says_so(bench: Bench, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    command = [
        *PYTHON,
        "import pathlib, sys, time; time.sleep(0.1); pathlib.Path(sys.argv[1]).touch(); time.sleep(1000)",
    ]
    answer = await online(bench, command=[*command, str(flag)], ready={"command": ["test", "-e", str(flag)]})
    assert answer.outcome == DONE, answer.message
    assert flag.exists()


async def test_daemon_that_forks_away_on_purpose(bench: Bench, marked: Marked) -> None:
    script = "import os, sys\nif os.fork(): os._exit(0)\nos.setsid()\nos.execv('/bin/sleep', ['sleep', sys.argv[1]])"
    answer = await online(bench, command=[*PYTHON, script, marked.mark], forking=True)
    assert answer.outcome == DONE, answer.message
    await bench.node.until(lambda: marked.is_settled(1), 2000, what="the daemon")
    bench.host.events.clear()
    os.kill(marked.pids()[0], signal.SIGKILL)
    await bench.told(host_pb2.RESOURCE_EVENT_KIND_FAILED)


async def test_surroundings(bench: Bench, tmp_path: Path) -> None:
    command = [
        *PYTHON,
        "import os, sys, time; print(os.getcwd(), os.environ['COLOUR'], sys.argv[1:], flush=True); time.sleep(99)",
    ]
    answer = await online(
        bench,
        command=command,
        startup_parameters=["a b", "$HOME; rm -rf /"],
        environment={"COLOUR": "red"},
        working_directory=str(tmp_path),
        ready={"command": ["true"]},
    )
    assert answer.outcome == DONE, answer.message
    shown = b""
    while not shown.endswith(b"\n"):
        shown = (await bench.control("logs")).control_body
    assert shown.decode() == f"{tmp_path} red ['a b', '$HOME; rm -rf /']\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start something as another user")
async def test_other_user(bench: Bench, marked: Marked) -> None:
    account = pwd.getpwnam("nobody")
    pid = (await online(bench, command=marked.sleep(), user="nobody")).pid
    assert os.stat(f"/proc/{pid}").st_uid == account.pw_uid
    assert surroundings(pid).items() >= {"HOME": account.pw_dir, "USER": "nobody", "LOGNAME": "nobody"}.items()
    assert (await bench.call("terminate", "generic_service")).outcome == DONE


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start something as another user")
async def test_what_the_manifest_says_of_the_surroundings_counts(bench: Bench, marked: Marked) -> None:
    pid = (await online(bench, command=marked.sleep(), user="nobody", environment={"HOME": "/srv"})).pid
    assert surroundings(pid)["HOME"] == "/srv"
    assert (await bench.call("terminate", "generic_service")).outcome == DONE


def surroundings(pid: int) -> dict[str, str]:
    texts = Path(f"/proc/{pid}/environ").read_text().split("\0")
    return dict(each.split("=", 1) for each in texts if each)


async def test_as_much_as_a_program_takes(bench: Bench) -> None:
    most = "x" * (TEXT_SIZE_MAX - 2)
    answer = await online(bench, command=["sleep", "1000"], environment={"A": most})
    assert answer.outcome == DONE, answer.message
    assert surroundings(answer.pid)["A"] == most
    await bench.call("offline", "generic_service")
    answer = await online(bench, command=["sleep", "1000"], environment={"A": f"{most}x"})
    assert answer.outcome == host_pb2.OUTCOME_BAD_PROPERTIES
    assert "environment.A: has more than 131071 bytes" in answer.message


@pytest.mark.parametrize("name", ["CLUSTERD_NODE_TAG", "CLUSTERD_GENERATION", "NOTIFY_SOCKET", "A=B", ""])
async def test_variables_that_nobody_can_set(bench: Bench, name: str) -> None:
    answer = await online(bench, command=["sleep", "1000"], environment={name: "x"})
    assert answer.outcome == host_pb2.OUTCOME_BAD_PROPERTIES
    assert f"environment.{name}: " in answer.message


async def test_stop_signal(bench: Bench, tmp_path: Path) -> None:
    flag = tmp_path / "asked"
    await online(bench, command=[*PYTHON, OBEDIENT, str(flag)], stop_signal="SIGUSR1")
    while not (await bench.control("logs")).control_body:
        continue
    assert (await bench.call("offline", "generic_service")).outcome == DONE
    assert flag.exists()


async def test_health_command(bench: Bench, tmp_path: Path) -> None:
    bench.node.deadlines.is_alive_interval_ms = 30
    flag = tmp_path / "healthy"
    flag.touch()
    await online(bench, command=["sleep", "1000"], health_command=["ls", str(flag)])
    assert (await bench.call("is_alive", "generic_service")).health == host_pb2.HEALTH_YES
    flag.unlink()
    event = await bench.told(host_pb2.RESOURCE_EVENT_KIND_FAILED)
    assert "the health command exited with status 2: ls: cannot access" in event.message


# ---- bad days ----


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ({"command": ["/no/such/program"]}, "there is no /no/such/program on this node"),
        ({"command": ["no-such-program"]}, "there is no command no-such-program in PATH"),
        ({"command": ["/etc/passwd"]}, "/etc/passwd cannot be run: it is not executable"),
        ({"command": ["/tmp"]}, "/tmp is a folder, not a program"),
        ({"command": ["true"], "working_directory": "/no/such"}, "working directory /no/such: No such file"),
        ({"command": ["true"], "user": "no-such-user"}, "there is no user no-such-user on this node"),
        ({"command": []}, "command: must have at least 1 item, not 0"),
        ({"unit": "no-such"}, "systemd does not run on this node"),
    ],
)
async def test_start_that_is_refused(bench: Bench, properties: dict[str, object], message: str) -> None:
    answer = await online(bench, **properties)
    assert answer.outcome != DONE
    assert message in answer.message
    assert (await bench.call("terminate", "generic_service")).outcome == DONE


async def test_text_that_is_no_program(bench: Bench, tmp_path: Path) -> None:
    script = tmp_path / "garbage"
    script.write_text("neither a program nor a script")
    script.chmod(0o755)
    assert "exec format error" in (await online(bench, command=[str(script)])).message
    script.write_text("#!/no/such/interpreter\n")
    assert "or not what its first line names" in (await online(bench, command=[str(script)])).message


@pytest.mark.parametrize("ready", ["notify", {"tcp": 1}, {"command": ["false"]}])
async def test_exits_before_it_is_ready(bench: Bench, ready: object) -> None:
    script = "import sys; print('the disk is full', flush=True); sys.exit(3)"
    answer = await online(bench, command=[*PYTHON, script], ready=ready)
    assert answer.outcome == FAILED
    assert "exited with status 3" in answer.message
    assert "its last output: the disk is full" in answer.message


async def test_exits_at_once_without_readiness(bench: Bench) -> None:
    answer = await online(bench, command=["false"])
    message = answer.message
    if answer.outcome == DONE:
        message = (await bench.told(host_pb2.RESOURCE_EVENT_KIND_FAILED)).message
    assert "exited with status 1" in message


async def test_never_ready(bench: Bench, marked: Marked) -> None:
    bench.node.deadlines.pending_timeout_ms = 500
    for ready, message in (
        ("notify", "never sent READY=1"),
        ({"tcp": free_port()}, "does not listen on port"),
        ({"command": ["false"]}, "the ready command never ended with status 0"),
    ):
        answer = await online(bench, command=marked.sleep(), ready=ready)
        assert answer.outcome == FAILED
        assert message in answer.message
        assert (await bench.call("terminate", "generic_service")).outcome == DONE
        assert marked.pids() == []


async def test_forks_away_unasked(bench: Bench, marked: Marked) -> None:
    script = "import os, sys\nif os.fork(): os._exit(0)\nos.setsid()\nos.execv('/bin/sleep', ['sleep', sys.argv[1]])"
    answer = await online(bench, command=[*PYTHON, script, marked.mark], ready={"command": ["false"]})
    assert answer.outcome == FAILED
    assert "it left processes behind: if it is meant to, set forking: true" in answer.message
    assert (await bench.call("terminate", "generic_service")).outcome == DONE
    assert marked.pids() == []


async def test_ignores_the_stop_signal(bench: Bench) -> None:
    pid = (await online(bench, command=[*PYTHON, STUBBORN], stop_grace="200ms")).pid
    while not (await bench.control("logs")).control_body:
        continue
    began = time.monotonic()
    assert (await bench.call("offline", "generic_service")).outcome == DONE
    assert 0.15 < time.monotonic() - began < 2
    assert not os.path.exists(f"/proc/{pid}")


@pytest.mark.parametrize("address", ["0.0.0.0", "127.0.0.1"])
async def test_port_of_a_stranger(bench: Bench, address: str) -> None:
    with socket.create_server((address, 0)) as server:
        port = server.getsockname()[1]
        answer = await online(bench, command=[*PYTHON, LISTEN, str(port)], ready={"tcp": port})
    assert answer.outcome == FAILED
    assert f"port {port} is in use by pid {os.getpid()}" in answer.message


async def test_same_port_on_another_address_is_no_stranger(bench: Bench) -> None:
    with socket.create_server(("127.0.0.77", 0)) as server:
        port = server.getsockname()[1]
        answer = await online(bench, command=[*PYTHON, LISTEN, str(port)], ready={"tcp": port})
        assert answer.outcome == DONE, answer.message


async def test_both_or_neither_of_command_and_unit(bench: Bench) -> None:
    for properties in ({}, {"command": ["true"], "unit": "x"}):
        answer = await online(bench, **properties)
        assert answer.outcome == host_pb2.OUTCOME_BAD_PROPERTIES
        assert "exactly one of command, unit must be given" in answer.message
