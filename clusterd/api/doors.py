"""Who may hold a connection to the API, and for how long? I/O. Stands between the sockets and the server.

A connection is a stranger until a request with a valid token came over it. Strangers have a few seconds for that, and there
are only so many of them: who comes when all places are taken, takes that of the stranger who was there longest, so that a
thousand half-open connections keep nobody out. What is known, too, ends when it takes nothing of what is sent to it.

Connections get no more descriptors than leave enough for peers, disk and hosts.
"""

import asyncio
import resource
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

CONNECTIONS_MAX = 1024
DESCRIPTORS_RESERVED = 384
"""For peers, disk, hosts, guard and fence agents, whatever comes to the API."""
CONNECTIONS_LEAST = 32


_REFUSAL = (
    b'{"error":{"code":"busy","message":"there are too many connections to this node, or from this address","hint":'
    b'"close some, or ask another node","retryable":true}}'
)
_FULL = (
    b"HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/json; charset=utf-8\r\nRetry-After: 1\r\n"
    b"Connection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(_REFUSAL), _REFUSAL)
)
"""Who is only hung up on looks for the fault in the network."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How many connections there may be, and how patient the API is with them."""

    connections_max: int = CONNECTIONS_MAX
    strangers_max: int = 256
    of_one_address_max: int = 512
    stranger_max_s: float = 5.0
    stalled_max_s: float = 30.0


def limits_here() -> Limits:
    """As the process's own limit of descriptors allows."""
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = max(CONNECTIONS_LEAST, min(CONNECTIONS_MAX, descriptors - DESCRIPTORS_RESERVED))
    return Limits(most, max(CONNECTIONS_LEAST // 2, most // 4), max(CONNECTIONS_LEAST, most // 2))


class Doors:
    """All connections of one API."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._strangers: dict[Connection, None] = {}  # who came first is first
        self._known: set[Connection] = set()
        self._of_address: Counter[str] = Counter()

    @property
    def count(self) -> int:
        return len(self._strangers) + len(self._known)

    def admits(self, connection: "Connection") -> bool:
        """Whether there is room for one more; the stranger who was there longest makes it."""
        limits, address = self.limits, connection.address
        while len(self._strangers) >= limits.strangers_max or (
            self.count >= limits.connections_max and self._strangers
        ):
            self.dismiss(next(iter(self._strangers)))
        if self._of_address[address] >= limits.of_one_address_max:
            of_it = next((each for each in self._strangers if each.address == address), None)
            if of_it is None:
                return False
            self.dismiss(of_it)
        if self.count >= limits.connections_max:
            return False
        self._strangers[connection] = None
        self._of_address[address] += 1
        return True

    def know(self, connection: "Connection") -> bool:
        """Whether it was a stranger before."""
        was_stranger = connection in self._strangers
        if was_stranger:
            del self._strangers[connection]
            self._known.add(connection)
        return was_stranger

    def dismiss(self, connection: "Connection") -> None:
        self.forget(connection)
        connection.abort()

    def forget(self, connection: "Connection") -> None:
        """It is gone."""
        if connection in self._known or connection in self._strangers:
            self._known.discard(connection)
            self._strangers.pop(connection, None)
            self._of_address[connection.address] -= 1
            if not self._of_address[connection.address]:
                del self._of_address[connection.address]


class Connection(asyncio.Protocol):
    """One connection: passes everything on to the server's own protocol."""

    def __init__(self, doors: Doors, inner: asyncio.Protocol, *, is_local: bool) -> None:
        self._doors, self._inner = doors, inner
        self._is_local = is_local
        self._is_admitted = False
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.address = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        peer = transport.get_extra_info("peername")
        self.address = str(peer[0]) if isinstance(peer, tuple) else ""
        if not self._is_local:
            if not self._doors.admits(self):
                transport.write(_FULL)
                transport.close()
                return
            self._end_after(self._doors.limits.stranger_max_s)
        self._is_admitted = True
        self._inner.connection_made(transport)

    def know(self) -> None:
        """A valid token came over it."""
        if self._doors.know(self):
            self._stop_timer()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if not self._is_admitted:
            return
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received() if self._is_admitted else False

    def pause_writing(self) -> None:
        self._end_after(self._doors.limits.stalled_max_s)
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._stop_timer()
        self._inner.resume_writing()

    def connection_lost(self, error: Exception | None) -> None:
        self._stop_timer()
        self._doors.forget(self)
        if self._is_admitted:
            self._inner.connection_lost(error)

    def _end_after(self, seconds: float) -> None:
        self._stop_timer()
        self._timer = asyncio.get_running_loop().call_later(seconds, self.abort)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


def know(request: web.Request) -> None:
    """The request came with a valid token: whoever is behind its connection is no stranger."""
    connection = request.transport.get_protocol() if request.transport is not None else None
    if isinstance(connection, Connection):
        connection.know()


class GuardedSite(web.BaseSite):
    """An address, or a path, at which the API listens, with doors before it."""

    __slots__ = ("_doors", "_listen", "_name")

    def __init__(self, runner: web.AppRunner, doors: Doors, *, address: tuple[str, int] | None, path: str = "") -> None:
        super().__init__(runner)
        self._doors = doors
        self._name = f"http://{address[0]}:{address[1]}" if address else f"unix:{path}"
        loop = asyncio.get_running_loop()
        serve: Callable[[], asyncio.Protocol] | None = runner.server
        assert serve is not None

        def connection() -> Connection:
            return Connection(doors, serve(), is_local=address is None)

        if address is not None:
            self._listen = loop.create_server(connection, address[0], address[1], backlog=self._backlog)
        else:
            self._listen = loop.create_unix_server(connection, path, backlog=self._backlog)

    @property
    def name(self) -> str:
        return self._name

    async def start(self) -> None:
        """Raises OSError when the address is taken."""
        await super().start()
        self._server = await self._listen
