"""Which questions about the timeline does the API answer? I/O. As documents, as a stream, or as one page to keep."""

from aiohttp import web

from clusterd.api import jobs
from clusterd.api.desk import Desk
from clusterd.api.reading import freshen
from clusterd.api.requests import flag, json_answer, number
from clusterd.api.stream import Streams
from clusterd.api.timeline import EventFilter, events_after, parse_around
from clusterd.api.times import parse_since
from clusterd.api.views import document
from clusterd.model.errors import BadInput

EVENTS_DEFAULT = 200
EVENTS_MAX = 2000
SEQUENCE_MAX = (1 << 62) - 1


class Events:
    """Handlers of the timeline."""

    def __init__(self, desk: Desk, streams: Streams) -> None:
        self._desk, self._port = desk, desk.port
        self._streams = streams

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/v1/events", self._events), web.get("/v1/timeline", self._timeline)]

    async def _events(self, request: web.Request) -> web.StreamResponse:
        if flag(request, "follow"):
            return await self._streams.events(request)
        await freshen(self._port, request)
        asked = self._asked(request)
        view, status = self._port.view(), self._port.status()
        found = events_after(view, number(request, "after", 0, most=SEQUENCE_MAX), asked)
        is_window = bool(asked.since_wall_ms or asked.until_wall_ms)
        last = number(request, "last", EVENTS_MAX if is_window else EVENTS_DEFAULT, most=EVENTS_MAX)
        return json_answer(document(view, status, events=found[-last:] if last else []))

    async def _timeline(self, request: web.Request) -> web.StreamResponse:
        """One self-contained page: a lane for every node and group, and the list below."""
        await freshen(self._port, request)
        page = await self._desk.work(jobs.timeline, self._port.status(), self._asked(request), is_heavy=True)
        return web.Response(text=page, content_type="text/html")

    def _asked(self, request: web.Request) -> EventFilter:
        view, now_ms = self._port.view(), self._port.status().wall_ms
        since, around = request.query.get("since", ""), request.query.get("around", "")
        if since and around:
            raise BadInput("since and around exclude each other", hint="give one of them")
        begin_ms, end_ms = (parse_since(since, now_ms), 0) if since else (0, 0)
        if around:
            begin_ms, end_ms = parse_around(view, around, now_ms)
        return EventFilter(request.query.get("group", ""), request.query.get("node", ""), begin_ms, end_ms)
