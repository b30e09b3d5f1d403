"""How does the daemon speak with its guard and its resource hosts? I/O.

Both links are asyncio protocols on Unix sockets: what arrives is cut into frames and handed on at once, so there is no task
to lose. Nothing here blocks; what is written to a peer that does not read is bounded, and then the link is given up.
"""

import asyncio
from collections.abc import Callable

from google.protobuf.message import DecodeError

from clusterd.adapters.frames import FrameBuffer, FrameTooLarge, framed
from clusterd.model.errors import ClusterError
from clusterd.wire import host_pb2

UNSENT_SIZE_MAX = 8 << 20
CONNECT_TIMEOUT_MS = 2000


class LinkEnded(ClusterError):
    """The guard or host is gone, or its connection is. What was asked may or may not have taken effect."""

    code = "unreachable"
    retryable = True


class _FrameLink(asyncio.Protocol):
    """A connection that carries frames; `on_frame` gets each body, `on_end` the reason, exactly once."""

    def __init__(self, on_frame: Callable[[bytes], None], on_end: Callable[[str], None]) -> None:
        self._on_frame, self._on_end = on_frame, on_end
        self._buffer = FrameBuffer()
        self._transport: asyncio.Transport | None = None
        self._ended_because: str | None = None

    @property
    def is_open(self) -> bool:
        return self._transport is not None and self._ended_because is None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if self._ended_because is not None:
            transport.abort()  # it was ended while it was being opened

    def data_received(self, data: bytes) -> None:
        try:
            for body in self._buffer.feed(data):
                self._on_frame(body)
        except (FrameTooLarge, DecodeError) as error:
            self.end(f"it sent what is no message: {error}")

    def connection_lost(self, exc: Exception | None) -> None:
        self.end(str(exc) if exc else "it closed the connection")

    def send(self, body: bytes) -> None:
        if self._transport is None or self._ended_because is not None:
            raise LinkEnded(f"the connection is closed: {self._ended_because or 'never opened'}")
        if self._transport.get_write_buffer_size() > UNSENT_SIZE_MAX:
            self.end("it reads nothing any more")
            raise LinkEnded("the connection was given up: the other side reads nothing any more")
        self._transport.write(framed(body))

    def end(self, because: str) -> None:
        if self._ended_because is not None:
            return
        self._ended_because = because
        if self._transport is not None:
            self._transport.abort()
        self._on_end(because)


async def _connect(path: str, link: _FrameLink) -> None:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_MS / 1000):
            await loop.create_unix_connection(lambda: link, path)
    except (OSError, TimeoutError) as error:
        raise LinkEnded(f"cannot connect to {path}: {str(error) or 'no answer'}", hint="is it running?") from error


class GuardLink:
    """The daemon's end of the guard's socket. Answers come as events, in order, through `on_event`.

    `hello` answers with the guard's state; while the guard still ends an incarnation that can take as long as that does.
    """

    def __init__(
        self,
        path: str,
        *,
        on_event: Callable[[host_pb2.GuardEvent], None],
        on_end: Callable[[str], None],
    ) -> None:
        self._path, self._on_event, self._on_end = path, on_event, on_end
        self._link = _FrameLink(self._take, self._ended)
        self._first_state: asyncio.Future[host_pb2.GuardState] | None = None

    @property
    def is_open(self) -> bool:
        return self._link.is_open

    async def connect(self) -> None:
        await _connect(self._path, self._link)

    async def hello(self, daemon_run: str, timeout_ms: int = 10_000) -> host_pb2.GuardState:
        self._first_state = asyncio.get_running_loop().create_future()
        self._send(host_pb2.GuardRequest(hello=host_pb2.GuardHello(daemon_run=daemon_run)))
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                return await self._first_state
        except TimeoutError as error:
            raise LinkEnded(f"the guard at {self._path} did not answer within {timeout_ms} ms") from error
        finally:
            self._first_state = None

    def renew(self, incarnation: str, deadline_ms: int) -> None:
        lease = host_pb2.RenewLease(incarnation=incarnation, deadline_ms=deadline_ms)
        self._send(host_pb2.GuardRequest(renew=lease))

    def start_host(self, host_id: str) -> None:
        self._send(host_pb2.GuardRequest(start_host=host_pb2.StartHost(host_id=host_id)))

    def kill_host(self, host_id: str, because: str) -> None:
        self._send(host_pb2.GuardRequest(kill_host=host_pb2.KillHost(host_id=host_id, because=because)))

    def end_incarnation(self, incarnation: str, because: str) -> None:
        end = host_pb2.EndIncarnation(incarnation=incarnation, because=because)
        self._send(host_pb2.GuardRequest(end_incarnation=end))

    def stop(self, because: str) -> None:
        self._send(host_pb2.GuardRequest(stop=host_pb2.StopGuard(because=because)))

    def close(self) -> None:
        self._link.end("closed here")

    def _send(self, request: host_pb2.GuardRequest) -> None:
        self._link.send(request.SerializeToString())

    def _take(self, body: bytes) -> None:
        event = host_pb2.GuardEvent.FromString(body)
        if event.HasField("state") and self._first_state is not None and not self._first_state.done():
            self._first_state.set_result(event.state)
        self._on_event(event)

    def _ended(self, because: str) -> None:
        if self._first_state is not None and not self._first_state.done():
            self._first_state.set_exception(LinkEnded(f"the guard is gone: {because}"))
        self._on_end(because)


class HostLink:
    """The daemon's end of one resource host's socket: calls answered by id, events through `on_event`."""

    def __init__(
        self,
        path: str,
        *,
        on_event: Callable[[host_pb2.ResourceEvent], None],
        on_end: Callable[[str], None],
    ) -> None:
        self._path, self._on_event, self._on_end = path, on_event, on_end
        self._link = _FrameLink(self._take, self._ended)
        self._waiting: dict[int, asyncio.Future[host_pb2.HostMessage]] = {}
        self._progress: dict[int, Callable[[host_pb2.CallProgress], None]] = {}
        self._last_id = 0

    @property
    def is_open(self) -> bool:
        return self._link.is_open

    async def connect(self) -> None:
        await _connect(self._path, self._link)

    async def hello(
        self, *, cluster: str, node: str, daemon_run: str, cluster_id: str = "", timeout_ms: int = 5000
    ) -> host_pb2.HostInventory:
        body = host_pb2.HostHello(cluster=cluster, node=node, daemon_run=daemon_run, cluster_id=cluster_id)
        answer = await self._within(host_pb2.HostRequest(hello=body), timeout_ms)
        return answer.inventory

    async def call(
        self, call: host_pb2.ResourceCall, on_progress: Callable[[host_pb2.CallProgress], None] | None = None
    ) -> host_pb2.CallResult:
        """Raises `LinkEnded` when the host goes; the host itself bounds the time of every call."""
        answer = await self._ask(host_pb2.HostRequest(call=call), on_progress)
        return answer.result

    async def ping(self, timeout_ms: int = 1000) -> None:
        await self._within(host_pb2.HostRequest(ping=host_pb2.Ping()), timeout_ms)

    def cancel_polling(self, resource: str) -> None:
        cancel = host_pb2.CancelPolling(resource=resource)
        self._link.send(host_pb2.HostRequest(cancel_polling=cancel).SerializeToString())

    def close(self) -> None:
        self._link.end("closed here")

    async def _within(self, request: host_pb2.HostRequest, timeout_ms: int) -> host_pb2.HostMessage:
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                return await self._ask(request, None)
        except TimeoutError as error:
            raise LinkEnded(f"the host at {self._path} did not answer within {timeout_ms} ms") from error

    async def _ask(
        self, request: host_pb2.HostRequest, on_progress: Callable[[host_pb2.CallProgress], None] | None
    ) -> host_pb2.HostMessage:
        self._last_id += 1
        request.id = self._last_id
        answer: asyncio.Future[host_pb2.HostMessage] = asyncio.get_running_loop().create_future()
        self._waiting[request.id] = answer
        if on_progress is not None:
            self._progress[request.id] = on_progress
        try:
            self._link.send(request.SerializeToString())
            return await answer
        finally:
            self._waiting.pop(request.id, None)
            self._progress.pop(request.id, None)

    def _take(self, body: bytes) -> None:
        message = host_pb2.HostMessage.FromString(body)
        if message.HasField("event"):
            self._on_event(message.event)
        elif message.HasField("progress"):
            if on_progress := self._progress.get(message.answers):
                on_progress(message.progress)
        elif (answer := self._waiting.get(message.answers)) and not answer.done():
            answer.set_result(message)

    def _ended(self, because: str) -> None:
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(LinkEnded(f"the resource host is gone: {because}"))
        self._on_end(because)
