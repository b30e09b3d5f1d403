"""How do daemons reach the host, and how does the guard? I/O: a Unix socket, and the descriptor inherited from the guard.

Daemons come and go; the resources stay. Every connection that said hello gets every event.
"""

import asyncio
import contextlib
import os
import signal
import socket
import struct
from collections.abc import Callable, Coroutine
from typing import Any

from google.protobuf.message import DecodeError

from clusterd.adapters.boot_clock import BootTimer
from clusterd.adapters.frames import FrameBuffer, FrameTooLarge, framed
from clusterd.adapters.plain_log import log
from clusterd.reshost.answers import answered
from clusterd.reshost.host import Host
from clusterd.wire import host_pb2

UNSENT_SIZE_MAX = 8 << 20
CALLS_IN_FLIGHT_MAX = 4096
_CREDENTIALS = struct.Struct("3i")


class Connections:
    """Everybody who listens to events, and the calls that are being answered."""

    def __init__(self) -> None:
        self.host: Host | None = None
        self.newest: Connection | None = None
        """Who said hello last: the daemon whose calls count."""
        self._open: set[Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def emit(self, event: host_pb2.ResourceEvent) -> None:
        kind = host_pb2.ResourceEventKind.Name(event.kind)
        log("resource.told", resource=event.resource, kind=kind, message=event.message)
        message = host_pb2.HostMessage(event=event)
        for each in list(self._open):
            if each.has_said_hello:
                each.send(message)

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def add(self, connection: "Connection") -> None:
        self._open.add(connection)

    def discard(self, connection: "Connection") -> None:
        self._open.discard(connection)
        if self.newest is connection:
            self.newest = None

    @property
    def is_full(self) -> bool:
        return len(self._tasks) >= CALLS_IN_FLIGHT_MAX

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log("host.broke", "error", error=repr(error))


class Connection(asyncio.Protocol):
    """One daemon's connection."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._buffer = FrameBuffer()
        self._transport: asyncio.Transport | None = None
        self.has_said_hello = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        peer = transport.get_extra_info("socket")
        _, user, _ = _CREDENTIALS.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
        if user not in (0, os.geteuid()):
            transport.abort()
            return
        self._transport = transport
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._connections.discard(self)

    def data_received(self, data: bytes) -> None:
        try:
            for body in self._buffer.feed(data):
                self._take(host_pb2.HostRequest.FromString(body))
        except (FrameTooLarge, DecodeError) as error:
            log("connection.refused", "warning", because=str(error))
            self._abort()

    def send(self, message: host_pb2.HostMessage) -> None:
        """A daemon that does not read loses its connection, not our memory."""
        if self._transport is None:
            return
        if self._transport.get_write_buffer_size() > UNSENT_SIZE_MAX:
            self._abort()
            return
        self._transport.write(framed(message.SerializeToString()))

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _take(self, request: host_pb2.HostRequest) -> None:
        host = self._connections.host
        if host is None:
            self._abort()
            return
        match request.WhichOneof("body"):
            case "hello":
                self.has_said_hello = True
                host.take_cluster_id(request.hello.cluster_id)
                self._connections.newest = self
                self.send(host_pb2.HostMessage(answers=request.id, inventory=host.inventory()))
            case "ping":
                self.send(host_pb2.HostMessage(answers=request.id, pong=host_pb2.Pong()))
            case "cancel_polling":
                host.cancel_polling(request.cancel_polling.resource)
            case "call" if self._connections.newest not in (None, self):
                # Another daemon knows by now what runs here; what its predecessor sent before its end would undo that.
                stale = host_pb2.CallResult(outcome=host_pb2.OUTCOME_STALE, message="another daemon has taken over")
                log("call.refused", "warning", resource=request.call.resource, because=stale.message)
                self.send(host_pb2.HostMessage(answers=request.id, result=stale))
            case "call" if not self._connections.is_full:
                self._connections.run(self._call(host, request.id, request.call))
            case "call":
                busy = host_pb2.CallResult(outcome=host_pb2.OUTCOME_FAILED, message="too many calls are in flight")
                self.send(host_pb2.HostMessage(answers=request.id, result=busy))
            case _:  # of a later version
                return

    async def _call(self, host: Host, request: int, call: host_pb2.ResourceCall) -> None:
        checkpoint = 0

        def on_progress(message: str) -> None:
            nonlocal checkpoint
            checkpoint += 1
            progress = host_pb2.CallProgress(message=answered(message[:1000]), checkpoint=checkpoint)
            self.send(host_pb2.HostMessage(answers=request, progress=progress))

        answer = await host.call(call, on_progress)
        self.send(host_pb2.HostMessage(answers=request, result=answer))


async def listen(path: str, connections: Connections) -> asyncio.Server:
    """The host's socket, mode 0600."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    before = os.umask(0o177)
    try:
        return await asyncio.get_running_loop().create_unix_server(lambda: Connection(connections), path)
    finally:
        os.umask(before)


class LeaseWatch:
    """Follows the guard's deadlines. When the lease ends, or the guard does, everything is killed and the host ends."""

    def __init__(self, guard: socket.socket, host: Host, end: Callable[[str], None]) -> None:
        self._guard, self._host, self._end = guard, host, end
        self._timer = BootTimer()
        guard.setblocking(False)
        loop = asyncio.get_running_loop()
        loop.add_reader(guard, self._update)
        loop.add_reader(self._timer.fd, self._look)
        loop.add_signal_handler(signal.SIGTERM, lambda: self._end("it was told to stop by a signal"))

    def tell_ready(self) -> None:
        self._guard.send(b"ready")

    def _update(self) -> None:
        """Everything that waits is read before any of it counts: while a host starts, deadlines queue up, and the first of
        them may be over although a later one was given in time."""
        newest: dict[str, int] = {}
        while (packet := self._packet()) is not None:
            if not packet:
                self._end("the guard is gone")
                return
            for body in FrameBuffer().feed(packet):
                update = host_pb2.LeaseUpdate.FromString(body)
                newest[update.incarnation] = max(newest.get(update.incarnation, 0), update.deadline_ms)
        for incarnation, deadline_ms in newest.items():
            self._host.take_lease(incarnation, deadline_ms)
        if self._host.deadline_ms:
            self._timer.arm(self._host.deadline_ms)

    def _packet(self) -> bytes | None:
        """None when nothing waits, nothing in it when the guard is gone."""
        try:
            return self._guard.recv(4096)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    def _look(self) -> None:
        self._timer.drain()
        if self._host.is_past_lease():
            self._end("the run lease ended")
        elif self._host.deadline_ms:
            self._timer.arm(self._host.deadline_ms)
