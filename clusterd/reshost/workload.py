"""What runs for one resource, and how is it started, watched and emptied? I/O: on the host's event loop.

One `Workload` is one run of a resource under one generation: its containment, its processes, its output.
"""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from clusterd.adapters.containment import Scope
from clusterd.adapters.containment_proc import ProcessSeen, is_there, process, signal_process
from clusterd.adapters.process_limits import is_near_descriptor_limit
from clusterd.reshost.output import OutputPipe, OutputTail
from clusterd.reshost.place import Place
from clusterd.reshost.spawn_messages import Ids, Order
from clusterd.reshost.spawning import Child, NotStarted, SpawnerLink
from clusterd.resource_api import Exit, Finished, ResourceFailed, StartRefused
from clusterd.resource_api.properties import NOTIFY_VARIABLE, environment_problem, text_problem
from clusterd.resource_api.secret_values import shown

Result = TypeVar("Result")

EMPTY_WITHIN_MS = 2000
_LOOK_AGAIN_MS = (1, 1, 2, 3, 5, 10, 20)
_END_PAUSES_MS = (1, 1, 2, 5, 10, 20, 50, 100, 200)
_EXECUTE_WORDS = {
    8: "it is no program (exec format error; a script needs a first line such as #!/bin/sh)",
    13: "it is not executable, or a folder on its path may not be entered",
}


@dataclass(frozen=True, slots=True)
class Command:
    """What a resource type asked to start."""

    argv: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    working_directory: str | None = None
    user: str | None = None


class Running:
    """One started process."""

    def __init__(self, child: Child, pipe: OutputPipe, name: str) -> None:
        self.child, self.name = child, name
        self._pipe = pipe
        self.exit: Exit | None = None
        self.ended = asyncio.Event()
        child.ended.add_done_callback(self._end)

    @property
    def pid(self) -> int:
        return self.child.pid

    def _end(self, status: asyncio.Future[int]) -> None:
        self._pipe.drain()
        code = os.waitstatus_to_exitcode(status.result())
        self.exit = Exit(status=code) if code >= 0 else Exit(signal=-code)
        self.ended.set()

    async def wait(self, timeout_ms: int) -> Exit | None:
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                await self.ended.wait()
        except TimeoutError:
            return self.exit
        return self.exit

    def close(self) -> None:
        self._pipe.close()


class Workload:
    """The processes of one resource under one generation."""

    def __init__(
        self,
        place: Place,
        spawner: SpawnerLink,
        environment: Mapping[str, str],
        output: OutputTail,
    ) -> None:
        self.output = output
        self.main: Running | None = None
        self.on_main_end: Callable[[Running], None] = lambda running: None
        self._place = place
        self._keepers: list[ProcessSeen] = []
        self._scope = place.scope(self.roots, lambda: self._keepers)
        self._spawner = spawner
        self._environment = environment
        self._running: list[Running] = []
        self._was_used = False
        self._is_closed = False

    def roots(self) -> list[int]:
        """Where a process tree begins: the started processes that still run."""
        return [each.pid for each in self._running if each.exit is None]

    async def run(self, command: Command, timeout_ms: int, *, ends_all: bool) -> Finished:
        """Run it to its end. With `ends_all` what it leaves behind is ended too, also when nobody waits for it any more."""
        tail, running = OutputTail(), None
        scope, tag = self._place.part(
            lambda: [running.pid] if running is not None and running.exit is None else [],
            lambda: [running.child.keeper] if running is not None and running.child.keeper is not None else [],
        )
        try:
            running = await self.start(command, also_to=tail, part=(scope, tag) if ends_all else None)
            return Finished(await running.wait(timeout_ms), tail.lines(100))
        finally:
            if running is not None and running.exit is None:
                running.child.signal(9)
            if ends_all:
                await asyncio.shield(self._end(scope))

    async def _end(self, scope: Scope) -> None:
        """What cannot be killed stays in the containment of the resource, and counts at its stop."""
        for pause_ms in _END_PAUSES_MS:
            if await self._aside(scope.is_empty):
                break
            await self._aside(scope.kill)
            await asyncio.sleep(pause_ms / 1000)
        scope.remove()

    async def start(
        self,
        command: Command,
        *,
        watch: bool = False,
        also_to: OutputTail | None = None,
        part: tuple[Scope, Mapping[str, str]] | None = None,
    ) -> Running:
        """Raises StartRefused with what to do about it. `part` of the containment is where it is born, and its tag."""
        if self._is_closed:
            raise StartRefused("the resource was stopped; nothing is started for it any more")
        if problem := _command_problem(command):
            raise StartRefused(problem)
        account, ids = _account(command.user)
        scope, tag = part if part is not None else (self._scope, {})
        environment = {**self._environment, **account, **command.environment, **tag}
        order = Order(
            path=_found(command, environment),
            argv=command.argv,
            environment=environment,
            cgroup=scope.birthplace(),
            working_directory=command.working_directory,
            ids=ids,
        )
        scope.create()
        self._was_used = True
        pipe = _output_pipe(self.output, *([also_to] if also_to is not None else []))
        try:
            child = await self._spawner.start(order, pipe.write)
        except NotStarted as error:
            pipe.close()
            raise StartRefused(_refusal(command, error)) from error
        except BaseException:
            pipe.close()
            raise
        running = Running(child, pipe, command.argv[0])
        self._running = [each for each in self._running if each.exit is None] + [running]
        if child.keeper is not None:
            self._keepers = [each for each in self._keepers if is_there(each)] + [child.keeper]
        if watch:
            self.main = running
            child.ended.add_done_callback(lambda _: self._main_ended(running))
        return running

    def adopt(self, control_group: str) -> None:
        """Raises ResourceFailed when it could not be killed as a whole."""
        if self._is_closed:
            raise StartRefused("the resource was stopped; nothing is started for it any more")
        try:
            self._place.adopt(control_group)
        except OSError as error:
            raise ResourceFailed(f"control group {control_group} cannot be contained: {error}") from error
        self._was_used = True

    def _main_ended(self, running: Running) -> None:
        if self.main is running:
            self.on_main_end(running)

    def members(self) -> list[int]:
        return self._scope.members() if self._was_used else []

    async def members_now(self) -> list[int]:
        """The same without holding the loop up."""
        return await self._aside(self._scope.members) if self._was_used else []

    def signal_all(self, number: int) -> None:
        """Each is looked at before and after it is known to be a member, so that a reused pid is not signalled."""
        seen = [process(pid) for pid in self.members()]
        members = set(self.members())
        for each in seen:
            if each is not None and each.pid in members:
                signal_process(each, number)

    def close(self) -> None:
        """Nothing is started any more, and the end of the main process is no news."""
        self._is_closed = True
        self.main = None

    async def is_empty(self) -> bool:
        if not self._was_used:
            return True
        return await self._aside(self._scope.is_empty)

    async def empty(self, within_ms: int = EMPTY_WITHIN_MS) -> list[int]:
        """Kill everything and wait until it is gone. Returns the processes that are not, normally none."""
        until = asyncio.get_running_loop().time() + within_ms / 1000
        look_count = 0
        while not await self.is_empty():
            if asyncio.get_running_loop().time() > until:
                return self.members()
            await self._aside(self._scope.kill)
            for each in self._running:
                each.child.signal(9)
            if await self.is_empty():
                break
            await self._until_one_ends(_LOOK_AGAIN_MS[min(look_count, len(_LOOK_AGAIN_MS) - 1)])
            look_count += 1
        if self._was_used:
            self._scope.remove()
        for each in self._running:
            each.close()
        return []

    async def _aside(self, look: Callable[[], Result]) -> Result:
        """Without a control group it takes a look at every process of the machine: not on the loop."""
        if self._scope.birthplace() is not None:
            return look()
        return await asyncio.get_running_loop().run_in_executor(None, look)

    async def _until_one_ends(self, within_ms: int) -> None:
        """Of the started processes; what these started ends unseen."""
        endings = [each.child.ended for each in self._running if each.exit is None]
        if endings:
            await asyncio.wait(endings, timeout=within_ms / 1000, return_when=asyncio.FIRST_COMPLETED)
        else:
            await asyncio.sleep(within_ms / 1000)

    def kill_now(self) -> None:
        """SIGKILL without looking: for the end of the lease."""
        if self._was_used:
            self._scope.kill()


def _output_pipe(*tails: OutputTail) -> OutputPipe:
    """Raises StartRefused before the host holds so much that it could not stop things any more."""
    try:
        pipe = OutputPipe(*tails)
    except OSError as error:
        raise StartRefused(f"this resource host cannot open more descriptors: {error.strerror}") from error
    if not is_near_descriptor_limit(pipe.write):
        return pipe
    os.close(pipe.write)
    pipe.close()
    raise StartRefused(
        "this resource host holds nearly as many descriptors as it may: raise the node's limit (LimitNOFILE, ulimit -Hn), "
        "or give some of its resources separate_monitor"
    )


def _command_problem(command: Command) -> str:
    """Why nothing can be started so, whatever a resource type handed over; empty when it may be tried."""
    if not command.argv or not all(isinstance(word, str) and not text_problem(word) for word in command.argv):
        return f"a command is a list of texts without NUL and not empty, not {shown(command.argv)!r:.200}"
    for name, value in command.environment.items():
        if not isinstance(name, str) or not isinstance(value, str):
            return f"the environment is a mapping of texts, not {name!r:.80}: {shown(value, str(name))!r:.80}"
        problem = text_problem(value) if name == NOTIFY_VARIABLE else environment_problem(name, value)
        if problem := problem or text_problem(value):
            return f"environment variable {name!r:.80}: {problem}"
    folder = command.working_directory
    if folder is not None and (not isinstance(folder, str) or text_problem(folder)):
        return f"a working directory is a text without NUL, not {folder!r:.200}"
    if command.user is not None and (not isinstance(command.user, str) or text_problem(command.user)):
        return f"a user is named by a text without NUL, not {command.user!r:.200}"
    return ""


def _found(command: Command, environment: Mapping[str, str]) -> str:
    """The path of the command: as given, or by PATH. Raises StartRefused when there is none."""
    name = command.argv[0]
    if "/" in name:
        path = os.path.join(command.working_directory or "/", name)
        if os.path.isdir(path):
            raise StartRefused(f"{name} is a folder, not a program")
        return name
    for folder in environment.get("PATH", os.defpath).split(":"):
        path = os.path.join(folder or ".", name)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    raise StartRefused(f"there is no command {name} in PATH; install it on this node or give its full path")


def _account(user: str | None) -> tuple[dict[str, str], Ids | None]:
    """What a program finds in its environment when it runs as `user`, and whom the process has to become for it."""
    if user is None:
        return {}, None
    import pwd  # rarely needed

    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        raise StartRefused(f"there is no user {user} on this node; create it, or name another") from None
    environment = {"HOME": entry.pw_dir, "USER": entry.pw_name, "LOGNAME": entry.pw_name, "SHELL": entry.pw_shell}
    if entry.pw_uid == os.geteuid():
        return environment, None
    if os.geteuid() != 0:
        raise StartRefused(f"only a node that runs as root can start something as {user}")
    return environment, Ids(entry.pw_uid, entry.pw_gid, os.getgrouplist(user, entry.pw_gid))


def _refusal(command: Command, error: NotStarted) -> str:
    name = command.argv[0]
    reason = os.strerror(error.number)
    match error.stage:
        case "working-directory":
            return f"working directory {command.working_directory}: {reason}; create it on this node"
        case "user":
            return f"cannot become user {command.user}: {reason}"
        case "execute" if error.number == 2:
            return f"there is no {name} on this node, or not what its first line names; install it, or correct the path"
        case "execute":
            return f"{name} cannot be run: {_EXECUTE_WORDS.get(error.number, reason)}"
        case _:
            return f"{name} cannot be started ({error.stage}): {reason}"


def end_words(running: Running, workload: Workload) -> str:
    """How a process ended, and what was said last."""
    tail = workload.output.lines(3)
    return f"process {running.pid} ({running.name}) {running.exit}" + (f"; its last output: {tail}" if tail else "")
