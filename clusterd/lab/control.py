"""How does the command line start a launcher and talk to it? I/O.

Everything here blocks and has a deadline: it serves one short command.
"""

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from clusterd.lab.layout import LabRecord, check_name, find_lab, lock_when_over, make_private
from clusterd.lab.locks import lab_root
from clusterd.lab.options import LabOptions
from clusterd.model.errors import ClusterError

ORDER_WAIT_MAX_S = 30
POLL_MS = 20
REQUEST_WAIT_MAX_S = 2
LOG_LINES_SHOWN = 5


class LabError(ClusterError):
    """The launcher, or the way to it, says no. `code` is the launcher's."""

    def __init__(self, code: str, message: str, *, hint: str = "", retryable: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.code = code
        self.retryable = retryable


def ask(record: LabRecord, verb: str, **arguments: Any) -> dict[str, Any]:
    """One order to the launcher and its answer. Raises LabError."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(ORDER_WAIT_MAX_S)
            connection.connect(str(record.control_socket))
            connection.sendall(json.dumps({"verb": verb, **arguments}).encode() + b"\n")
            with connection.makefile("rb") as replies:
                line = replies.readline()
    except OSError as error:
        hint = f"clusterctl --lab {record.name} lab up"
        raise LabError(
            "unreachable", f"the launcher of lab {record.name} does not answer: {error}", hint=hint
        ) from None
    if not line:
        raise LabError("unreachable", f"the launcher of lab {record.name} ended", hint="see clusterctl lab list")
    return _checked(json.loads(line))


def start_launcher(options: LabOptions) -> tuple[LabRecord, "subprocess.Popen[bytes]"]:
    """Start the watcher, which starts the launcher; return when it serves. Raises LabError with its reason."""
    from clusterd.lab.removal import sweep  # loads all that lays a lab, which the other orders have no use for

    check_name(options.name)
    root = lab_root()
    make_private(root)
    sweep(root)
    with open(root / f"{options.name}.log", "wb") as log:
        watcher = subprocess.Popen(
            [sys.executable, "-m", "clusterd.lab.watcher", options.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
            env={name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
        )
    try:
        _checked(_greet(watcher, options))
    except LabError:
        _end_watcher(watcher)
        raise
    return find_lab(options.name), watcher


def let_go(watcher: "subprocess.Popen[bytes]") -> None:
    """Forget a launcher that goes on without us, on purpose."""
    for pipe in (watcher.stdin, watcher.stdout):
        if pipe is not None:
            pipe.close()
    watcher.returncode = 0


def _greet(watcher: "subprocess.Popen[bytes]", options: LabOptions) -> dict[str, Any]:
    """Hand the options over; the first line back says how the start went."""
    if watcher.stdin is None or watcher.stdout is None:
        raise LabError("error", "the launcher has no standard input", hint="report this")
    with contextlib.suppress(BrokenPipeError):
        watcher.stdin.write(msgspec.json.encode(options) + b"\n")
        watcher.stdin.flush()
    line = watcher.stdout.readline()
    if not line:
        hint = f"see {lab_root() / (options.name + '.log')}"
        raise LabError("error", f"the launcher of lab {options.name} ended before it served", hint=hint)
    answer: dict[str, Any] = json.loads(line)
    return answer


def _end_watcher(watcher: "subprocess.Popen[bytes]") -> None:
    watcher.terminate()
    try:
        watcher.communicate(timeout=ORDER_WAIT_MAX_S)
    except subprocess.TimeoutExpired:
        watcher.kill()
        watcher.communicate()


def end_lab(record: LabRecord, *, wait_max_ms: int) -> None:
    """Order the end and wait until launcher and watcher are gone, and everything that they started before them."""
    ask(record, "down")
    until_ns = time.monotonic_ns() + wait_max_ms * 1_000_000
    while record.is_running:
        if time.monotonic_ns() > until_ns:
            raise LabError("error", f"lab {record.name} has not ended in {wait_max_ms} ms", hint="see lab list")
        time.sleep(POLL_MS / 1000)
    held = lock_when_over(record.name, within_ms=wait_max_ms)
    if held is not None:
        os.close(held)


def wait_quorate(record: LabRecord, *, wait_max_ms: int, progress: Callable[[str], None], is_new: bool = False) -> None:
    """Return when every node says that it has quorum, and in a new lab that every node has its vote: it was founded on one,
    and each of the others is admitted. Raises LabError early when a node's process has ended."""
    token = record.token()
    until_ns = time.monotonic_ns() + wait_max_ms * 1_000_000
    waiting = {node.name: node for node in record.nodes}
    why = ""
    while waiting:
        for name, node in list(waiting.items()):
            why = quorum_problem(node.api, token, is_new=is_new)
            if not why:
                del waiting[name]
        if not waiting:
            return
        _check_alive(record, list(waiting))
        if time.monotonic_ns() > until_ns:
            names = ", ".join(waiting)
            hint = f"clusterctl --lab {record.name} lab status; killed nodes come back with lab start"
            raise LabError("no-quorum", f"{names} without quorum after {wait_max_ms} ms: {why}", hint=hint)
        progress(f"waiting for {', '.join(waiting)}: {why}")
        time.sleep(POLL_MS / 1000)


def quorum_problem(api: str, token: str, *, is_new: bool = False) -> str:
    """Why the node at `api` does not count as ready; empty when it says that it has quorum (and that everybody votes)."""
    host, _, port = api.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=REQUEST_WAIT_MAX_S)
    try:
        connection.request("GET", "/v1/status", headers={"Authorization": f"Bearer {token}"})
        response = connection.getresponse()
        content = response.read()
        if response.status != 200:
            return f"it answers with HTTP status {response.status}"
        answer = json.loads(content)
        if not answer["as_of"]["quorate"]:
            return "no quorum yet"
        joining = [each["name"] for each in answer.get("nodes", ()) if not each["vote"]] if is_new else []
        return f"{', '.join(joining)} not admitted yet" if joining else ""
    except (OSError, http.client.HTTPException):
        return "no answer yet"
    except (ValueError, KeyError, TypeError):
        return "its answer is not the status of a node"
    finally:
        connection.close()


def _check_alive(record: LabRecord, names: list[str]) -> None:
    for name in names:
        if why := ask(record, "ended", node=name)["why"]:
            log = Path(record.dir) / name / ("guard.log" if "guard" in why else "daemon.log")
            raise LabError("error", f"{why}: {_last_lines(log)}", hint=f"see {log}")


def _last_lines(log: Path) -> str:
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return "it left no log"
    return " | ".join(lines[-LOG_LINES_SHOWN:]) or "it left an empty log"


def _checked(message: dict[str, Any]) -> dict[str, Any]:
    if error := message.get("error"):
        raise LabError(
            error["code"], error["message"], hint=error.get("hint", ""), retryable=error.get("retryable", False)
        )
    return message
