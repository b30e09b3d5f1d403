"""How does the resource type speak to its session process? I/O: the resource type's end of control_server.py."""

import json
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

_POLL_S = 0.1
_READ_BYTES = 65536


class SessionSilent(Exception):
    """There is no session, or it does not answer in time."""


class SessionFailed(Exception):
    """The session could not do it. `kind` is the name of one of back_end.py's exceptions."""

    def __init__(self, kind: str, because: str) -> None:
        super().__init__(because)
        self.kind = kind


class SessionLink:
    """Requests to the session that listens at `path`. Any thread."""

    def __init__(self, path: str) -> None:
        self._path = path

    def is_there(self) -> bool:
        """Whether a process listens, be it frozen."""
        try:
            self._connected().close()
        except SessionSilent:
            return False
        return True

    def ask(
        self,
        verb: str,
        timeout_ms: int,
        *,
        tell: Callable[[str], None] = lambda words: None,
        tick: Callable[[], None] = lambda: None,
    ) -> dict[str, Any]:
        """`tick` is called all the while and may raise; progress of the session starts the time-out afresh."""
        until = time.monotonic() + timeout_ms / 1000
        with self._connected() as link:
            link.sendall(_line({"verb": verb}))
            unread = b""
            while time.monotonic() < until:
                tick()
                line, newline, rest = unread.partition(b"\n")
                if not newline:
                    unread += _received(link)
                    continue
                unread, message = rest, json.loads(line)
                if "progress" not in message:
                    return _outcome(message)
                tell(message["progress"])
                until = time.monotonic() + timeout_ms / 1000
        raise SessionSilent(f"the session process did not answer {verb} within {timeout_ms} ms")

    def listen(self, on_event: Callable[[dict[str, Any]], None]) -> None:
        """Have `on_event` called, in a thread of its own, until the session ends."""
        link = self._connected()
        link.settimeout(None)
        link.sendall(_line({"verb": "events"}))
        threading.Thread(target=_follow, args=(link, on_event), name="disk events", daemon=True).start()

    def _connected(self) -> socket.socket:
        link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            link.settimeout(_POLL_S)
            link.connect(self._path)
        except OSError as error:
            link.close()
            raise SessionSilent(f"no session process listens: {error.strerror or error}") from error
        return link


def _line(message: dict[str, Any]) -> bytes:
    return json.dumps(message).encode() + b"\n"


def _received(link: socket.socket) -> bytes:
    """Nothing when nothing came for a moment."""
    try:
        data = link.recv(_READ_BYTES)
    except TimeoutError:
        return b""
    except OSError as error:
        raise SessionSilent(f"the session process went: {error.strerror}") from error
    if not data:
        raise SessionSilent("the session process ended the connection")
    return data


def _outcome(message: dict[str, Any]) -> dict[str, Any]:
    if "failed" in message:
        raise SessionFailed(message["failed"], message["because"])
    done: dict[str, Any] = message["done"]
    return done


def _follow(link: socket.socket, on_event: Callable[[dict[str, Any]], None]) -> None:
    with link, link.makefile("rb") as lines:
        try:
            for line in lines:
                if "event" in (message := json.loads(line)):
                    on_event(message)
        except (OSError, ValueError):
            return
