"""How is QEMU's monitor spoken to? I/O: one Unix socket, and one thread that reads it.

Every call has a deadline, so a stopped or hung QEMU is noticed. Calls may come from any thread. Events are handed over in
the reading thread: what takes them may note them, and must not call the monitor itself.
"""

import array
import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from clusterd.resource_api import CallCancelled, ResourceFailed

_READ_SIZE = 1 << 16
_MESSAGE_SIZE_MAX = 16 << 20
_LOOK_EVERY_S = 0.05

OnEvent = Callable[[str, Mapping[str, Any], float], None]
"""Gets the event's name, its data, and when QEMU says that it was (wall clock, in seconds)."""


class MonitorError(ResourceFailed):
    """A call to the monitor did not succeed."""


class MonitorRefused(MonitorError):
    """QEMU answered that it will not do that. Nothing was changed."""


class MonitorSilent(MonitorError):
    """No answer in time; the call may still take effect."""


class MonitorGone(MonitorError):
    """The connection ended: QEMU did, or somebody closed it."""


class _Call:
    """One call that waits for its answer."""

    def __init__(self) -> None:
        self.answered = threading.Event()
        self.answer: Mapping[str, Any] | None = None


class Monitor:
    """One connection. Raises MonitorError from every call; `close` wakes those that wait."""

    def __init__(self, path: str, *, on_event: OnEvent, on_end: Callable[[], None], within_ms: int) -> None:
        self.path = path
        self._on_event, self._on_end = on_event, on_end
        self._calls: dict[int, _Call] = {}
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self._last_id = 0
        self._is_closed = False
        self._greeted = threading.Event()
        self.qemu_version = ""
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._socket.settimeout(within_ms / 1000)
            self._socket.connect(path)
            self._socket.settimeout(None)
            self._reader = threading.Thread(target=self._read, name="monitor of QEMU", daemon=True)
            self._reader.start()
            if not self._greeted.wait(within_ms / 1000):
                raise MonitorSilent(f"QEMU did not greet on {path} within {within_ms} ms")
            if not self.qemu_version:
                raise MonitorGone(f"QEMU's monitor {path} ended before it greeted")
            self.execute("qmp_capabilities", within_ms=within_ms)
        except OSError as error:
            self.close()
            raise MonitorGone(f"QEMU's monitor {path} cannot be reached: {error.strerror or error}") from error
        except MonitorError:
            self.close()
            raise

    @property
    def is_open(self) -> bool:
        return not self._is_closed

    def execute(
        self,
        command: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        within_ms: int,
        descriptors: Sequence[int] = (),
        is_cancelled: Callable[[], bool] | None = None,
    ) -> Any:
        """What QEMU returned. `descriptors` travel along, for `getfd`. Raises CallCancelled when `is_cancelled` says so."""
        call = _Call()
        with self._lock:
            if self._is_closed:
                raise MonitorGone(f"{command} was not sent: the connection to QEMU's monitor has ended")
            self._last_id += 1
            number = self._last_id
            self._calls[number] = call
        try:
            self._send(command, arguments, number, within_ms, descriptors)
            if not _wait(call.answered, within_ms, is_cancelled):
                raise MonitorSilent(f"QEMU did not answer {command} within {within_ms} ms")
        finally:
            with self._lock:
                del self._calls[number]
        if call.answer is None:
            raise MonitorGone(f"QEMU's monitor ended before it answered {command}")
        if "error" in call.answer:
            raise MonitorRefused(f"{command}: {call.answer['error'].get('desc', call.answer['error'])}")
        return call.answer.get("return")

    def close(self) -> None:
        with self._lock:
            self._is_closed = True
            waiting = list(self._calls.values())
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for call in waiting:
            call.answered.set()

    # ---- the wire ----

    def _send(
        self,
        command: str,
        arguments: Mapping[str, Any] | None,
        number: int,
        within_ms: int,
        descriptors: Sequence[int],
    ) -> None:
        message: dict[str, Any] = {"execute": command, "id": number}
        if arguments:
            message["arguments"] = arguments
        data = json.dumps(message).encode() + b"\n"
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
        # The socket itself blocks, because a time-out would be the reader's too. What is sent always fits its buffer,
        # unless QEMU reads nothing any more: then an earlier call has run into its deadline already.
        if not self._sending.acquire(timeout=within_ms / 1000):
            raise MonitorSilent(f"QEMU takes no commands any more; {command} was not sent")
        try:
            sent = self._socket.sendmsg([data], rights, socket.MSG_DONTWAIT)
            if sent != len(data):
                self.close()
                raise MonitorSilent(f"QEMU takes no commands any more; {command} was sent in part")
        except BlockingIOError:
            raise MonitorSilent(f"QEMU takes no commands any more; {command} was not sent") from None
        except OSError as error:
            raise MonitorGone(f"{command} could not be sent to QEMU: {error.strerror}") from error
        finally:
            self._sending.release()

    def _read(self) -> None:
        buffer = bytearray()
        try:
            while data := self._socket.recv(_READ_SIZE):
                buffer += data
                while (end := buffer.find(b"\n")) >= 0:
                    line = bytes(buffer[:end])
                    del buffer[: end + 1]
                    if line.strip():
                        self._take(json.loads(line))
                if len(buffer) > _MESSAGE_SIZE_MAX:
                    return
        except (OSError, ValueError, KeyError, TypeError):
            return
        finally:
            was_closed = self._is_closed
            self.close()
            self._greeted.set()  # nobody waits for a greeting that cannot come
            if not was_closed:
                self._on_end()

    def _take(self, message: object) -> None:
        """Raises ValueError for what no QEMU says."""
        if not isinstance(message, dict):
            raise ValueError(f"{message!r} is no message of a monitor")
        if "QMP" in message:
            numbers = message["QMP"]["version"]["qemu"]
            self.qemu_version = f"{numbers['major']}.{numbers['minor']}.{numbers['micro']}"
            self._greeted.set()
        elif "event" in message:
            stamp = message["timestamp"]
            at_s = stamp["seconds"] + stamp["microseconds"] / 1_000_000
            self._on_event(str(message["event"]), message.get("data") or {}, at_s)
        elif "return" in message or "error" in message:
            with self._lock:
                call = self._calls.get(message.get("id", 0))
            if call is not None:
                call.answer = message
                call.answered.set()


def _wait(answered: threading.Event, within_ms: int, is_cancelled: Callable[[], bool] | None) -> bool:
    if is_cancelled is None:
        return answered.wait(within_ms / 1000)
    until = time.monotonic() + within_ms / 1000
    while not answered.wait(min(_LOOK_EVERY_S, max(until - time.monotonic(), 0))):
        if is_cancelled():
            raise CallCancelled
        if time.monotonic() >= until:
            return False
    return True
