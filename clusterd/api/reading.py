"""Which questions does the API answer? I/O. Every node answers from its own copy of the database, and says how old it is."""

import json
from collections.abc import Callable
from typing import Any

from aiohttp import web

from clusterd.api import finding, jobs, views
from clusterd.api.answers import ANSWERS
from clusterd.api.desk import Desk
from clusterd.api.past_output import past_output
from clusterd.api.port import ClusterPort
from clusterd.api.requests import document_answer, json_answer, number, timeout_ms
from clusterd.api.stream import Streams
from clusterd.model.errors import BadInput

LOG_LINES_MAX = 10_000


class Reading:
    """Handlers of every GET."""

    def __init__(self, desk: Desk, streams: Streams) -> None:
        self._desk, self._port = desk, desk.port
        self._streams = streams

    def routes(self) -> list[web.RouteDef]:
        return [
            *(web.get(path, self._handler(path)) for path in ANSWERS),
            web.get("/v1/explain/{kind}/{name}", self._explain),
            web.get("/v1/stream", self._streams.everything),
            web.get("/v1/export", self._export),
            web.get("/v1/resources/{name}/logs", self._logs),
        ]

    def _handler(self, path: str) -> Callable[[web.Request], Any]:
        async def handle(request: web.Request) -> web.Response:
            await freshen(self._port, request)
            name = request.match_info.get("name", "")
            return document_answer(await self._desk.work(jobs.answer, path, self._port.status(), name))

        return handle

    async def _explain(self, request: web.Request) -> web.Response:
        await freshen(self._port, request)
        kind, name = request.match_info["kind"], request.match_info["name"]
        return document_answer(await self._desk.work(jobs.explanation, self._port.status(), kind, name))

    async def _export(self, request: web.Request) -> web.Response:
        await freshen(self._port, request)
        return web.Response(text=await self._desk.work(jobs.export, is_heavy=True), content_type="application/yaml")

    async def _logs(self, request: web.Request) -> web.Response:
        record = finding.find_resource(self._port.view(), request.match_info["name"])
        lines = number(request, "lines", 100, most=LOG_LINES_MAX)
        if number(request, "previous", 0, most=1):
            found = await past_output(self._port, record.name, timeout_ms(request))
            return json_answer(views.document(self._port.view(), self._port.status(), **found.view(record.name, lines)))
        data = await self._port.ask_owner(
            record.name, "logs", json.dumps({"lines": lines}).encode(), timeout_ms(request)
        )
        text = "\n".join(data.decode("utf-8", "replace").splitlines()[-lines:])
        return json_answer(views.document(self._port.view(), self._port.status(), resource=record.name, text=text))


async def freshen(port: ClusterPort, request: web.Request) -> None:
    """`?level=linearizable` waits until this copy holds everything that was acknowledged before."""
    level = request.query.get("level", "local")
    if level == "linearizable":
        await port.linearizable(timeout_ms(request))
    elif level != "local":
        raise BadInput(f"level is local or linearizable, not {level!r}")
