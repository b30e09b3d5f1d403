"""Where does the API listen, and what surrounds every request? I/O."""

import logging
import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import structlog
from aiohttp import web
from aiohttp.typedefs import Middleware

from clusterd.api.access import Access
from clusterd.api.clearing import Clearing
from clusterd.api.console_door import POLICY, ConsoleDoor
from clusterd.api.console_pass import ConsolePass
from clusterd.api.desk import BesideTheDaemon, Desk, OnTheSpot
from clusterd.api.doors import Doors, GuardedSite, Limits, know, limits_here
from clusterd.api.events import Events
from clusterd.api.kept_plans import KeptPlans
from clusterd.api.kept_reports import KeptReports
from clusterd.api.machines import Machines
from clusterd.api.operating import Operating
from clusterd.api.planning import PLANS, Planning
from clusterd.api.port import ClusterPort
from clusterd.api.protecting import Protecting
from clusterd.api.reading import Reading
from clusterd.api.requests import BODY_MAX_BYTES, expected_revision, json_answer
from clusterd.api.stream import Streams
from clusterd.api.turnstile import Turnstile
from clusterd.api.validating import REPORTS, Validating
from clusterd.api.writing import Writing
from clusterd.model.errors import CODES, ClusterError, Refused
from clusterd.model.events import REQUEST_FAILED
from clusterd.model.manifest import BadManifest

HEADERS = {
    "Content-Security-Policy": POLICY.format(others=""),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_HEADERS_OF_CODE = {
    "busy": {"Retry-After": "1"},
    "unauthorized": {"WWW-Authenticate": 'Bearer realm="clusterd"'},
}
_CODE_OF_STATUS = {404: "not-found", 405: "bad-input", 408: "bad-input", 413: "too-large", 400: "bad-input"}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
STREAMS = web.AppKey("streams", Streams)
DESK: web.AppKey[Desk] = web.AppKey("desk")
log = structlog.get_logger("clusterd.api")


def create_app(port: ClusterPort, token: str, reports: Path | None = None, desk: Desk | None = None) -> web.Application:
    """The whole API over one node. Everything under /v1 asks for the token; the page itself holds no data.

    `desk` does what takes long; without one it is done on the spot.
    """
    desk = desk or OnTheSpot(port)
    streams = Streams(desk)
    console_pass = ConsolePass(token)
    access = Access(token, console_pass)
    app = web.Application(middlewares=[_surround(access)], client_max_size=BODY_MAX_BYTES)
    app[STREAMS] = streams
    app[PLANS] = KeptPlans(port.node)
    app[REPORTS] = KeptReports(reports)
    app.add_routes(Reading(desk, streams).routes())
    app.add_routes(Events(desk, streams).routes())
    app.add_routes(Writing(desk, streams).routes())
    app.add_routes(Operating(desk).routes())
    app.add_routes(Planning(desk).routes())
    app.add_routes(Clearing(desk).routes())
    app.add_routes(Validating(desk).routes())
    app.add_routes(Protecting(desk).routes())
    app.add_routes(Machines(port).routes())
    app.add_routes(ConsoleDoor(port, console_pass).routes())
    app.on_response_prepare.append(_add_headers)
    app.on_shutdown.append(_let_clients_go)
    app[DESK] = desk
    app.on_cleanup.append(_close_desk)
    return app


class ApiServer:
    """The API on a TCP address, and on a local socket where one is named."""

    def __init__(
        self,
        port: ClusterPort,
        *,
        token: str,
        host: str,
        tcp_port: int,
        unix_path: Path | None = None,
        reports: Path | None = None,
        worker: Sequence[str] = (),
        limits: Limits | None = None,
    ) -> None:
        """`worker`: what starts a process that works beside this one; without it everything is done here."""
        self._doors = Doors(limits or limits_here())
        self._app = create_app(port, token, reports, BesideTheDaemon(port, worker) if worker else None)
        self._host, self._tcp_port = host, tcp_port
        self._unix_path = unix_path
        self._runner: web.AppRunner | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Where it really listens (`tcp_port` 0 takes any free one)."""
        addresses = self._runner.addresses if self._runner else []
        found = next((each for each in addresses if isinstance(each, tuple)), (self._host, self._tcp_port))
        return str(found[0]), int(found[1])

    @property
    def connection_count(self) -> int:
        """Of those over TCP."""
        return self._doors.count

    async def start(self) -> None:
        """Raises OSError when the address is taken."""
        # aiohttp logs a traceback for every malformed request; those are the client's business, not ours.
        logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
        self._runner = web.AppRunner(
            self._app, handler_cancellation=True, shutdown_timeout=1, access_log=None, keepalive_timeout=30
        )
        await self._runner.setup()
        await GuardedSite(self._runner, self._doors, address=(self._host, self._tcp_port)).start()
        if self._unix_path is not None:
            self._unix_path.unlink(missing_ok=True)
            umask = os.umask(0o177)
            try:
                await GuardedSite(self._runner, self._doors, address=None, path=str(self._unix_path)).start()
            finally:
                os.umask(umask)

    async def stop(self) -> None:
        """Let every client go, at once, and close the sockets."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()
        if self._unix_path is not None:
            self._unix_path.unlink(missing_ok=True)


def error_document(error: ClusterError) -> dict[str, dict[str, object]]:
    """The shape of every refusal."""
    told = _error(error.code, error.message, error.hint, is_retryable=error.retryable)
    if isinstance(error, Refused) and error.rule:
        told["error"]["rule"] = error.rule
    if isinstance(error, BadManifest):
        told["error"]["problems"] = [
            {"line": each.line, "path": each.path, "message": each.message} for each in error.problems
        ]
    return told


def _error(code: str, message: str, hint: str, *, is_retryable: bool = False) -> dict[str, dict[str, object]]:
    return {"error": {"code": code, "message": message, "hint": hint, "retryable": is_retryable}}


def _surround(access: Access) -> Middleware:
    """Authenticate first, and turn every failure into the one shape of error."""

    turnstile = Turnstile()

    @web.middleware
    async def surround(request: web.Request, handler: Handler) -> web.StreamResponse:
        await turnstile.enter()
        try:
            if request.path.startswith("/v1"):
                access.check(request)
                know(request)
                expected_revision(request)  # where it is not honoured it is refused
            return await handler(request)
        except ClusterError as error:
            return json_answer(
                error_document(error), status=CODES[error.code].http_status, headers=_HEADERS_OF_CODE.get(error.code)
            )
        except web.HTTPException as error:
            code = _CODE_OF_STATUS.get(error.status, "error")
            message = f"{request.method} {request.path}: {error.reason}"
            allowed = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
            return json_answer(_error(code, message, _hint(code)), status=error.status, headers=allowed)
        except Exception as error:  # the boundary of one request: it must not take the daemon with it
            log.exception(REQUEST_FAILED.name, method=request.method, path=request.path, error=repr(error))
            message = f"the daemon failed on this request: {error!r}"
            return json_answer(_error("error", message, "its log says more"), status=500)

    return surround


def _hint(code: str) -> str:
    return {
        "not-found": "paths begin with /v1, as in /v1/status or /v1/groups/NAME",
        "too-large": f"a body has at most {BODY_MAX_BYTES} bytes",
    }.get(code, "")


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)


async def _close_desk(app: web.Application) -> None:
    await app[DESK].close()


async def _let_clients_go(app: web.Application) -> None:
    app[STREAMS].close()
