"""How does the resource type speak to its session process? I/O: lines of JSON on a Unix socket; the process's end of it.

A request is `{"verb": …}`. The answer is `{"done": …}` or `{"failed": KIND, "because": …}`, with `{"progress": …}` lines
before it while it takes long. `{"verb": "events"}` keeps the connection for events. Only our own user may connect.
"""

import json
import os
import socket
import struct
import threading
from collections.abc import Callable
from typing import Any

from resource_types.physical_disk.back_end import IoFailed, Lost, PathLost, Refused
from resource_types.physical_disk.nbd import IoRefused

LINE_BYTES_MAX = 4096
CONNECTIONS_MAX = 16
IDLE_TIMEOUT_S = 30.0
Tell = Callable[[str], None]
Answer = Callable[[str, Tell], dict[str, Any]]
_CREDENTIALS = struct.Struct("3i")
_FAILURES = (Refused, Lost, PathLost, IoFailed, IoRefused)


class ControlServer:
    """Serves until the process ends."""

    def __init__(self, path: str, answer: Answer) -> None:
        self._answer = answer
        self._listeners: list[socket.socket] = []
        self._lock = threading.Lock()
        self._slots = threading.BoundedSemaphore(CONNECTIONS_MAX)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self._socket.bind(path)
        self._socket.listen(CONNECTIONS_MAX)

    def serve(self) -> None:
        while True:
            client, _ = self._socket.accept()
            credentials = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
            is_ours = _CREDENTIALS.unpack(credentials)[1] in (0, os.geteuid())
            if not is_ours or not self._slots.acquire(blocking=False):
                client.close()
                continue
            threading.Thread(target=self._serve_one, args=(client,), daemon=True).start()

    def tell_all(self, event: dict[str, Any]) -> None:
        with self._lock:
            for listener in list(self._listeners):
                try:
                    _send(listener, event)
                except OSError:
                    self._listeners.remove(listener)

    def _serve_one(self, client: socket.socket) -> None:
        try:
            client.settimeout(IDLE_TIMEOUT_S)
            with client, client.makefile("rb") as lines:
                while line := lines.readline(LINE_BYTES_MAX):
                    if not line.endswith(b"\n"):
                        return
                    self._take(client, line)
        except OSError:
            return
        finally:
            with self._lock:
                self._listeners = [each for each in self._listeners if each is not client]
            self._slots.release()

    def _take(self, client: socket.socket, line: bytes) -> None:
        try:
            verb = json.loads(line)["verb"]
        except (ValueError, KeyError, TypeError):
            _send(client, {"failed": "Refused", "because": "a request is a line of JSON with a verb"})
            return
        if verb == "events":
            client.settimeout(None)
            with self._lock:
                self._listeners.append(client)
                _send(client, {"done": {}})
            return
        try:
            _send(client, {"done": self._answer(str(verb), lambda words: _send(client, {"progress": words}))})
        except _FAILURES as error:
            _send(client, {"failed": type(error).__name__, "because": str(error)})


def _send(client: socket.socket, message: dict[str, Any]) -> None:
    client.sendall(json.dumps(message).encode() + b"\n")
