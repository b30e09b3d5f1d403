"""Does the guest itself answer? I/O: the socket of its guest agent.

Only a guest that answered before can stop answering: one that boots, or has no agent, is not judged. A reset begins afresh.
"""

import contextlib
import json
import socket
import time
from collections.abc import Callable

from clusterd.resource_api import CallCancelled, Health

_LOOK_EVERY_S = 0.05
_READ_SIZE = 1 << 16
_CONNECT_WITHIN_S = 1.0


class Heartbeat:
    """The guest agent of one machine, as this host hears it."""

    def __init__(self) -> None:
        self.was_heard = False
        self._reset_count = 0

    def beats(self, path: str, *, reset_count: int, within_ms: int, is_cancelled: Callable[[], bool]) -> Health:
        """YES when the agent answered a ping in time, NO when it used to and did not now. Raises CallCancelled."""
        if reset_count != self._reset_count:
            self._reset_count, self.was_heard = reset_count, False
        # Nobody waits long for an agent that may not be there.
        within_ms = within_ms if self.was_heard else min(within_ms, 500)
        if _answers(path, within_ms, is_cancelled):
            self.was_heard = True
            return Health.YES
        return Health.NO if self.was_heard else Health.CANNOT_TELL

    def order_shutdown(self, path: str) -> None:
        """The agent answers nothing to that."""
        with contextlib.suppress(OSError), _connected(path) as link:
            link.sendall(_order("guest-shutdown", {"mode": "powerdown"}))


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


def _order(command: str, arguments: dict[str, str] | None = None) -> bytes:
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
