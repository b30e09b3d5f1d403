"""How is the console served, and let in? I/O. Its files, and the change of a code for a session."""

from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web

from clusterd.api.console_pass import ConsolePass
from clusterd.api.port import ClusterPort
from clusterd.api.requests import body, json_answer, text_in
from clusterd.model.errors import ClusterError

PAGE_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'{others}; img-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
CODE_SIZE_MAX = 256
_SAFE_IN_A_POLICY = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:[]-")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class CodeRefused(ClusterError):
    """The code is no code of this cluster, is too old, or was used. Nothing was read."""

    code = "unauthorized"


class ConsoleDoor:
    """Handlers of the page, and of what lets it in."""

    def __init__(self, port: ClusterPort, console_pass: ConsolePass) -> None:
        self._port = port
        self._pass = console_pass

    def routes(self) -> list[web.RouteDef]:
        """The files are read once."""
        folder = Path(__file__).parent / "console"
        routes = [web.post("/console/session", self._session), web.get("/v1/console-code", self._code)]
        for path in sorted(folder.iterdir()):
            if path.suffix in PAGE_TYPES:
                name = "/" if path.name == "index.html" else f"/{path.name}"
                routes.append(web.get(name, self._file_handler(path.read_bytes(), PAGE_TYPES[path.suffix])))
        return routes

    async def _code(self, request: web.Request) -> web.Response:
        return json_answer({"schema": 1, "code": self._pass.code(), "node": self._port.node})

    async def _session(self, request: web.Request) -> web.Response:
        """No token is asked for: the code stands for it, once."""
        given = text_in(await body(request, ("code",)), "code") or ""
        session = self._pass.session_for(given) if len(given) <= CODE_SIZE_MAX else None
        if session is None:
            raise CodeRefused("the code is too old, or was used already", hint="get a new one: clusterctl console")
        return json_answer({"schema": 1, "session": session})

    def _file_handler(self, data: bytes, content_type: str) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            answer = web.Response(body=data, content_type=content_type, charset="utf-8")
            if content_type == "text/html":
                answer.headers["Content-Security-Policy"] = POLICY.format(others=self._others(request.scheme))
            return answer

        return handle

    def _others(self, scheme: str) -> str:
        """The other nodes, which the page may look for when this one is gone."""
        found = [each.api_address for each in self._port.view().nodes() if each.name != self._port.node]
        return "".join(f" {scheme}://{each}" for each in found if each and _SAFE_IN_A_POLICY.issuperset(each))
