"""Where is what takes long worked out? I/O. Beside the daemon, so that no request holds up its heartbeats.

Threads are no help: they share the interpreter with the loop. So two clean processes (`clusterd.main.worker`, started when
there is first something to do, ended when there was nothing for a while) keep copies of the database. Before each job such a
copy gets what changed since the last. One of them answers what is only looked up, the other what is worked out, so that a
`status` never waits for a plan. What is small is done on the spot, which is quicker than to send it away.

Bounds: one job at a time in each process, and `WAITING_MAX` that wait for it; who comes then is told to come again (`Busy`,
429). A job that takes longer than `JOB_MAX_S`, or whose asker is gone, ends with its process.

Jobs are sent as pickles, which only the daemon writes; what comes back is msgpack, which can hold nothing but data.
"""

import asyncio
import contextlib
import pickle
import socket
import struct
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec

from clusterd.api.port import ClusterPort
from clusterd.database.mirror import update_since
from clusterd.model.errors import (
    BadInput,
    Busy,
    ClusterError,
    Conflict,
    NoQuorum,
    NotFound,
    Refused,
    TooLarge,
)
from clusterd.model.manifest import BadManifest, ManifestProblem

LIGHT_KEYS_MAX = 192
"""A cluster with no more keys than this is looked through within a few milliseconds."""
WAITING_MAX = 8
JOB_MAX_S = 60.0
IDLE_MAX_S = 60.0
SLICE_KEYS = 2000
FRAME = struct.Struct(">I")

Job = Callable[..., Any]
"""Of `clusterd.api.jobs`: a view first, then plain values."""
_ERRORS = {each.code: each for each in (BadInput, Busy, NoQuorum, NotFound, TooLarge)}


class Desk(Protocol):
    """Does jobs on the database as it is now."""

    @property
    def port(self) -> ClusterPort: ...

    async def work(self, job: Job, *arguments: Any, is_heavy: bool = False) -> Any:
        """What the job returns. `is_heavy`: it may take long in a small cluster too. Raises what the job raises, Busy."""
        ...

    async def close(self) -> None: ...


class OnTheSpot:
    """Does everything at once, in the caller's loop: for what has no heartbeats to keep."""

    def __init__(self, port: ClusterPort) -> None:
        self._port = port

    @property
    def port(self) -> ClusterPort:
        return self._port

    async def work(self, job: Job, *arguments: Any, is_heavy: bool = False) -> Any:
        return job(self._port.view(), *arguments)

    async def close(self) -> None:
        return None


class BesideTheDaemon:
    """Sends away what is not small. `command` starts a worker, which finds its socket's number as its last argument."""

    def __init__(self, port: ClusterPort, command: Sequence[str], *, waiting_max: int = WAITING_MAX) -> None:
        self._port = port
        self._looking = _Lane(port, command, 4 * waiting_max)
        self._thinking = _Lane(port, command, waiting_max)

    @property
    def port(self) -> ClusterPort:
        return self._port

    async def work(self, job: Job, *arguments: Any, is_heavy: bool = False) -> Any:
        if is_heavy:
            return await self._thinking.work(job, arguments)
        if self._port.view().database.key_count <= LIGHT_KEYS_MAX:
            return job(self._port.view(), *arguments)
        return await self._looking.work(job, arguments)

    async def close(self) -> None:
        await asyncio.gather(self._looking.close(), self._thinking.close())


class _Lane:
    """One worker and those who wait for it."""

    def __init__(self, port: ClusterPort, command: Sequence[str], waiting_max: int) -> None:
        self._port = port
        self._command = command
        self._waiting_max = waiting_max
        self._under_way = 0
        self._turn = asyncio.Lock()
        self._worker: _Worker | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._ending: set[asyncio.Task[None]] = set()

    async def work(self, job: Job, arguments: Sequence[Any]) -> Any:
        if self._under_way > self._waiting_max:
            raise Busy(
                f"{self._port.node} works on {self._under_way} such requests already: nothing was changed",
                hint="ask again in a moment, or ask another node",
            )
        self._under_way += 1
        try:
            async with self._turn:
                return await self._do(job, arguments)
        finally:
            self._under_way -= 1

    async def _do(self, job: Job, arguments: Sequence[Any]) -> Any:
        if self._idle is not None:
            self._idle.cancel()
        if self._worker is None or self._worker.is_gone:
            await self.close()
            self._worker = await _Worker.start(self._command)
        worker, is_whole = self._worker, False
        try:
            async with asyncio.timeout(JOB_MAX_S):
                await worker.bring_up(self._port)
                answer = await worker.do(job, arguments)
            is_whole = True
        except TimeoutError as error:
            raise TooLarge(f"to work this out takes longer than {JOB_MAX_S:g} s: it was given up") from error
        except (OSError, EOFError, asyncio.IncompleteReadError) as error:
            raise ClusterError(
                "the process that works this out ended meanwhile: nothing was changed",
                hint="its last words are in the daemon's log",
            ) from error
        finally:
            if is_whole:
                self._idle = asyncio.get_running_loop().call_later(IDLE_MAX_S, self._end_idle)
            else:
                worker.kill()
        return _answer_in(answer)

    def _end_idle(self) -> None:
        if not self._turn.locked():
            ending = asyncio.create_task(self.close(), name="end of an idle worker")
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)

    async def close(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        worker, self._worker = self._worker, None
        if worker is not None:
            await worker.end()


class _Worker:
    """One process with its copy of the database."""

    def __init__(
        self, process: asyncio.subprocess.Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._process = process
        self._reader, self._writer = reader, writer
        self._database: object = None
        self._revision: int | None = None

    @classmethod
    async def start(cls, command: Sequence[str]) -> "_Worker":
        ours, theirs = socket.socketpair()
        try:
            process = await asyncio.create_subprocess_exec(
                *command, str(theirs.fileno()), stdin=asyncio.subprocess.DEVNULL, pass_fds=(theirs.fileno(),)
            )
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        reader, writer = await asyncio.open_connection(sock=ours)
        return cls(process, reader, writer)

    @property
    def is_gone(self) -> bool:
        return self._process.returncode is not None or self._writer.is_closing()

    async def bring_up(self, port: ClusterPort) -> None:
        """Give it what changed, some at a time: the loop goes on in between."""
        database = port.view().database
        update = update_since(database, self._revision if database is self._database else None)
        self._revision = None  # until all of it is there
        changes = update.changes
        for start in range(0, max(1, len(changes)), SLICE_KEYS):
            part = changes[start : start + SLICE_KEYS]
            is_last = start + SLICE_KEYS >= len(changes)
            head = (update.is_whole and start == 0, update.revision, update.cluster_ms, is_last)
            await self._send(b"u" + msgspec.msgpack.encode((*head, part)))
            await asyncio.sleep(0)
        self._database, self._revision = database, update.revision

    async def do(self, job: Job, arguments: Sequence[Any]) -> Any:
        await self._send(b"j" + pickle.dumps((job, tuple(arguments))))
        (size,) = FRAME.unpack(await self._reader.readexactly(FRAME.size))
        return msgspec.msgpack.decode(await self._reader.readexactly(size))

    async def _send(self, body: bytes) -> None:
        self._writer.write(FRAME.pack(len(body)))
        self._writer.write(body)
        await self._writer.drain()

    def kill(self) -> None:
        self._writer.close()
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def end(self) -> None:
        self.kill()
        await self._process.wait()


def failure_view(error: ClusterError) -> dict[str, Any]:
    """An error, in plain values."""
    told: dict[str, Any] = {"code": error.code, "message": error.message, "hint": error.hint}
    if isinstance(error, Refused):
        told["rule"] = error.rule
    if isinstance(error, Conflict):
        told["key"], told["revision"] = error.key, error.revision
    if isinstance(error, BadManifest):
        told["problems"] = [(each.line, each.path, each.message) for each in error.problems]
    return told


def _answer_in(answer: Any) -> Any:
    """What the job returned; raises what it raised."""
    if answer.get("failure") is None:
        return answer["done"]
    told = answer["failure"]
    code, message, hint = told["code"], told["message"], told["hint"]
    if "problems" in told:
        raise BadManifest([ManifestProblem(*each) for each in told["problems"]])
    if code == Refused.code:
        raise Refused(message, hint=hint, rule=told.get("rule", ""))
    if code == Conflict.code:
        raise Conflict(message, key=told.get("key", ""), revision=told.get("revision", 0), hint=hint)
    raise _ERRORS.get(code, ClusterError)(message, hint=hint)
