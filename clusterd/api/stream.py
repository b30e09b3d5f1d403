"""How do clients follow what happens, live? I/O. Server-sent events: the timeline, and the status whenever it changed.

Every event of the timeline comes exactly once and in order; its sequence is the id that a client hands back as
`Last-Event-ID` to go on at any node. Nothing is queued per client: each one reads on from its own place in the database,
and gets the newest status only. `gap` says that events between were already forgotten.
"""

import asyncio
import contextlib
import json
import re
from dataclasses import replace
from typing import Any

from aiohttp import web

from clusterd.api import jobs
from clusterd.api.desk import Desk
from clusterd.api.port import ClusterPort
from clusterd.api.requests import number
from clusterd.api.timeline import EventFilter, events_after, sequence_of
from clusterd.api.times import parse_since
from clusterd.database.store import EVENTS_KEPT_MAX
from clusterd.model import keys
from clusterd.model.errors import BadInput, Busy

CLIENTS_MAX = 64
STATUS_EVERY_MS = 2000
STATUS_GAP_MS = 200
KEEP_ALIVE_EVERY_MS = 15_000
BACKLOG_DEFAULT = 50


class Streams:
    """All clients that follow. `close` lets them go at once when the daemon stops."""

    def __init__(self, desk: Desk) -> None:
        self._desk, self._port = desk, desk.port
        self._closing = asyncio.Event()
        self._clients = 0
        self._making_status = asyncio.Lock()
        self._status_text = ""
        self._status_revision = -1
        self._status_made_s = 0.0
        self._status_cost_s = 0.0

    @property
    def is_closing(self) -> bool:
        return self._closing.is_set()

    def close(self) -> None:
        self._closing.set()

    async def events(self, request: web.Request) -> web.StreamResponse:
        return await self._serve(request, wants_status=False)

    async def everything(self, request: web.Request) -> web.StreamResponse:
        return await self._serve(request, wants_status=True)

    async def _serve(self, request: web.Request, *, wants_status: bool) -> web.StreamResponse:
        follower = self._follower(request)
        if self._clients >= CLIENTS_MAX:
            raise Busy(f"{CLIENTS_MAX} clients follow already", hint="close one, or ask another node")
        self._clients += 1
        try:
            response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
            await response.prepare(request)
            await self._feed(response, follower, wants_status=wants_status)
            return response
        except ConnectionResetError:
            return web.Response()  # the client left; nobody reads this
        finally:
            self._clients -= 1

    def _follower(self, request: web.Request) -> "_Follower":
        view, status = self._port.view(), self._port.status()
        asked = EventFilter(request.query.get("group", ""), request.query.get("node", ""))
        resumed = request.headers.get("Last-Event-ID", request.query.get("after", ""))
        if resumed:
            if not re.fullmatch(r"[0-9]{1,18}", resumed):
                raise BadInput(f"Last-Event-ID is a sequence number, not {resumed!r}")
            return _Follower(int(resumed), asked, has_resumed=True)
        since = request.query.get("since", "")
        if since:
            return _Follower(0, replace(asked, since_wall_ms=parse_since(since, status.wall_ms)))
        last = number(request, "last", BACKLOG_DEFAULT, most=EVENTS_KEPT_MAX)
        found = events_after(view, 0, asked)
        return _Follower(0 if last >= len(found) else found[-last - 1]["sequence"], asked)

    async def _feed(self, response: web.StreamResponse, follower: "_Follower", *, wants_status: bool) -> None:
        while not self._closing.is_set():
            revision = self._port.view().revision
            parts = follower.next_parts(self._port)
            if wants_status:
                status = await self._status()
                parts += [_part("status", status)] if status else []
            await response.write("".join(parts or [": still here\n\n"]).encode())
            if wants_status:
                await self.wait(0, self._status_gap_ms(), watches_changes=False)
            await self.wait(revision, STATUS_EVERY_MS if wants_status else KEEP_ALIVE_EVERY_MS)

    async def _status(self) -> str:
        """The status document, made once for all clients that want it at about the same time."""
        loop = asyncio.get_running_loop()
        async with self._making_status:
            revision, begin_s = self._port.view().revision, loop.time()
            if revision != self._status_revision or begin_s - self._status_made_s > STATUS_GAP_MS / 1000:
                with contextlib.suppress(Busy):  # the one before goes on
                    data = await self._desk.work(jobs.answer, "/v1/status", self._port.status(), "")
                    self._status_text, self._status_revision = data.decode(), revision
                self._status_made_s = loop.time()
                self._status_cost_s = self._status_made_s - begin_s
            return self._status_text

    def _status_gap_ms(self) -> int:
        """Making it may take a twentieth of the time at most, however large the cluster is."""
        return max(STATUS_GAP_MS, int(self._status_cost_s * 20_000))

    async def wait(self, revision: int, longest_ms: int, *, watches_changes: bool = True) -> None:
        """Until something newer than `revision` is there, the time is up, or the daemon stops."""
        waits: list[asyncio.Future[object]] = [asyncio.ensure_future(self._closing.wait())]
        if watches_changes:
            waits.append(asyncio.ensure_future(self._port.changes(revision)))
        try:
            await asyncio.wait(waits, timeout=longest_ms / 1000, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()
            await asyncio.gather(*waits, return_exceptions=True)


class _Follower:
    """One client's place in the timeline."""

    def __init__(self, sequence: int, asked: EventFilter, *, has_resumed: bool = False) -> None:
        self._sequence = sequence
        self._asked = asked
        self._has_resumed = has_resumed

    def next_parts(self, port: ClusterPort) -> list[str]:
        view = port.view()
        parts: list[str] = []
        known = view.database.keys_under(keys.EVENT)
        if self._has_resumed and len(known) >= EVENTS_KEPT_MAX and sequence_of(known[0]) > self._sequence:
            parts.append(_part("gap", _text({"after": self._sequence, "next": sequence_of(known[0])})))
        self._has_resumed = False
        for each in events_after(view, self._sequence, self._asked):
            parts.append(_part("event", _text(each), sequence=each["sequence"]))
        if known:
            self._sequence = max(self._sequence, sequence_of(known[-1]))
        return parts


def _text(document: Any) -> str:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def _part(kind: str, data: str, *, sequence: int | None = None) -> str:
    number_line = f"id: {sequence}\n" if sequence is not None else ""
    return f"{number_line}event: {kind}\ndata: {data}\n\n"
