"""Does the guest itself answer? I/O: the socket of its guest agent.

Only a guest that answered before can stop answering: one that boots, or has no agent, is not judged. A reset, whoever asked
for it, begins afresh.
"""

import contextlib
import json
import socket
import time
from collections.abc import Callable
from enum import StrEnum
from typing import Any

from clusterd.resource_api import CallCancelled

_LOOK_EVERY_S = 0.05
_READ_SIZE = 1 << 16
_CONNECT_WITHIN_S = 1.0
_CLOCK_WITHIN_MS = 1000


class Heard(StrEnum):
    """What was heard of a guest agent."""

    BEAT = "beat"
    NEVER = "never"
    """Nothing, and never before: it boots, or has none."""
    SILENT = "silent"
    """Nothing, though it answered before."""


class Heartbeat:
    """The guest agent of one machine, as this host hears it."""

    def __init__(self, *, was_heard: bool = False) -> None:
        self.was_heard = was_heard
        self._boot_count = 0

    def beats(self, path: str, *, boot_count: int, within_ms: int, is_cancelled: Callable[[], bool]) -> Heard:
        """Whether the agent answered a ping in time. Raises CallCancelled."""
        if boot_count != self._boot_count:
            self._boot_count, self.was_heard = boot_count, False
        # Nobody waits long for an agent that may not be there.
        within_ms = within_ms if self.was_heard else min(within_ms, 500)
        if _answers(path, within_ms, is_cancelled):
            self.was_heard = True
            return Heard.BEAT
        return Heard.SILENT if self.was_heard else Heard.NEVER

    def forget(self) -> None:
        """It left in good order: who does not answer now never did."""
        self.was_heard = False

    def order_shutdown(self, path: str) -> None:
        """The agent answers nothing to that."""
        with contextlib.suppress(OSError), _connected(path) as link:
            link.sendall(_order("guest-shutdown", {"mode": "powerdown"}))


def set_clock(path: str, *, is_cancelled: Callable[[], bool]) -> bool:
    """Whether the agent took over this node's time. It is asked first whether it is there: what it reads late is wrong."""
    try:
        with _connected(path) as link:
            link.settimeout(_LOOK_EVERY_S)
            link.sendall(_order("guest-ping"))
            if not _returned(link, _CLOCK_WITHIN_MS, is_cancelled):
                return False
            link.sendall(_order("guest-set-time", {"time": time.time_ns()}))
            return _returned(link, _CLOCK_WITHIN_MS, is_cancelled)
    except (OSError, CallCancelled):
        return False


def _answers(path: str, within_ms: int, is_cancelled: Callable[[], bool]) -> bool:
    try:
        with _connected(path) as link:
            link.settimeout(_LOOK_EVERY_S)
            link.sendall(_order("guest-ping"))
            return _returned(link, within_ms, is_cancelled)
    except OSError:
        return False


def _returned(link: socket.socket, within_ms: int, is_cancelled: Callable[[], bool]) -> bool:
    """Whether a line with a return comes in. It may be the late answer to an earlier ping: that is a beat as well."""
    until, buffer = time.monotonic() + within_ms / 1000, b""
    while time.monotonic() < until:
        if is_cancelled():
            raise CallCancelled
        try:
            data = link.recv(_READ_SIZE)
        except TimeoutError:
            continue
        if not data:
            return False
        *lines, buffer = (buffer + data).split(b"\n")
        if any(_is_return(line) for line in lines):
            return True
    return False


def _is_return(line: bytes) -> bool:
    try:
        answer = json.loads(line.lstrip(b"\xff"))
    except ValueError:
        return False
    return isinstance(answer, dict) and "return" in answer


def _order(command: str, arguments: dict[str, Any] | None = None) -> bytes:
    return json.dumps({"execute": command, **({"arguments": arguments} if arguments else {})}).encode() + b"\n"


def _connected(path: str) -> socket.socket:
    link = socket.socket(socket.AF_UNIX)
    try:
        link.settimeout(_CONNECT_WITHIN_S)
        link.connect(path)
    except OSError:
        link.close()
        raise
    return link
