"""What must a resource type offer, and what does it get? Pure contract.

A resource type is a class; the resource host makes one object of it for each resource and calls its methods in threads,
one at a time (only `terminate` may run beside another call). A method that returns has succeeded; `ResourceFailed` says
that it did not, `NotOnThisNode` that another node may do better. Every call may be repeated: `online` on something online
succeeds, `offline` on something offline too.

What the workload needs started is started through `context.processes`, never with `subprocess`: only then is it in the
resource's containment, and dies with it. After a successful `offline` or `terminate` the host kills what is left there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, Protocol

from clusterd.resource_api.properties import Property


class ResourceFailed(Exception):
    """The call did not succeed. The message says what was attempted, what stopped it and what to try."""


class NotOnThisNode(Exception):
    """This node lacks what the resource needs; another may have it."""


class NotReachable(NotOnThisNode):
    """What the resource needs does not answer on this node now (a storage, a network). Another node may do better, and so
    may this one in a moment: where none can, it is tried again soon."""


class StartRefused(ResourceFailed):
    """A process could not be started: no such command, not executable, no such directory, no such user."""


class CannotTell(Exception):
    """A check could not be made. The message says what stopped it; the resource's health is unknown until one can."""


class CallCancelled(Exception):
    """The host gave this call up (time-out or terminate). Let it pass through; clean up in `finally`."""


class UnknownControl(Exception):
    """The resource type has no such control verb."""


class Health(StrEnum):
    """Is it running? A check that could not be made says CANNOT_TELL, or raises `CannotTell` with the reason: the health is
    unknown then, which fails a resource only when it lasts (`health_unknown_timeout`)."""

    YES = "yes"
    NO = "no"
    CANNOT_TELL = "cannot-tell"

    @classmethod
    def of(cls, is_healthy: bool) -> "Health":
        return cls.YES if is_healthy else cls.NO


@dataclass(frozen=True, slots=True)
class Exit:
    """How a process ended: an exit status, or the signal that ended it."""

    status: int | None = None
    signal: int | None = None

    @property
    def is_success(self) -> bool:
        return self.status == 0

    def __str__(self) -> str:
        return f"ended by signal {self.signal}" if self.signal is not None else f"exited with status {self.status}"


@dataclass(frozen=True, slots=True)
class Finished:
    """A command that was run to its end. `exit` is None when the time ran out; it was killed then."""

    exit: Exit | None
    output: str


class Process(Protocol):
    """One process that was started through `Processes.start`."""

    @property
    def pid(self) -> int: ...
    @property
    def exit(self) -> Exit | None:
        """None while it runs."""

    def wait(self, timeout_ms: int) -> Exit | None:
        """Wait for its end; None when it still runs after `timeout_ms`. Raises `CallCancelled`."""

    def signal(self, number: int) -> None:
        """Send it a signal; nothing happens when it has ended."""


class Processes(Protocol):
    """The resource's containment: everything that it ever started, also after double forks."""

    def start(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        working_directory: str | None = None,
        user: str | None = None,
        watch: bool = False,
    ) -> Process:
        """Start a process. With `watch` it is the main one: its end fails the resource at once, without polling."""

    def run(
        self,
        command: Sequence[str],
        *,
        timeout_ms: int,
        environment: Mapping[str, str] | None = None,
        working_directory: str | None = None,
        user: str | None = None,
        ends_all: bool = False,
    ) -> Finished:
        """Run a command to its end and give its output (bounded, the last part); killed when the time runs out. With
        `ends_all`, as for a check, everything that it started is ended with it; without, what it leaves belongs to the
        resource. Raises `StartRefused` when it cannot be started."""

    def main(self) -> Process | None:
        """The watched process that was started last."""

    def main_is_running(self) -> bool: ...

    def unwatch(self) -> None:
        """The end of the main process is no failure from here on."""

    def stop(self, *, grace_ms: int, signal: int = 15, everyone: bool = True) -> bool:
        """Ask every process of the containment by that signal, wait until all have ended, kill what has not when the
        grace is over. False when something had to be killed. Without `everyone` only the main process is asked at first,
        and the others once it has ended. The pending time-out does not run meanwhile."""

    def signal_all(self, number: int) -> None:
        """Send a signal to every process of the containment."""

    def members(self) -> list[int]:
        """Every process of the containment that still lives."""

    def kill(self) -> None:
        """Kill everything in the containment and wait until it is gone."""

    def adopt(self, control_group: str) -> None:
        """Make what somebody else starts for us in that cgroup v2 group (`/system.slice/web.service`) part of the
        containment. Call it before the start. Raises ResourceFailed where such a group cannot be killed as a whole."""

    def output(self, line_count_max: int = 20) -> str:
        """The last lines that the resource's processes wrote."""


class Log(Protocol):
    def debug(self, message: str) -> None: ...
    def info(self, message: str) -> None:
        """The last one of a start or stop that succeeds and warned of nothing is shown to the operator with its outcome."""

    def warning(self, message: str) -> None:
        """The last one of a start or stop that succeeds is shown to the operator with its outcome."""


class Context(Protocol):
    """What a call gets. Names and properties do not change while a resource is open."""

    @property
    def properties(self) -> Mapping[str, Any]:
        """Validated, with defaults filled in; durations are integer milliseconds."""

    @property
    def cluster(self) -> str:
        """Its name, for people: another cluster may have the same."""

    @property
    def cluster_id(self) -> str:
        """No other cluster has it; for what is written outside, on disks say."""

    @property
    def node(self) -> str: ...
    @property
    def group(self) -> str: ...
    @property
    def resource(self) -> str: ...
    @property
    def generation(self) -> int:
        """Rises with every change of owner; hand it to storage that can refuse older ones."""

    @property
    def reason(self) -> str:
        """Of an offline: user-requested, moving, restarting, deleting, shutting-down."""

    @property
    def move_kind(self) -> str:
        """Of an offline for a move whose kind was named: save, shut-down, turn-off. Empty: as the resource is set to."""

    @property
    def processes(self) -> Processes: ...
    @property
    def log(self) -> Log: ...
    def remaining_ms(self) -> int:
        """Time left until this call counts as failed; `progress` starts it afresh."""

    def longest_ms(self) -> int:
        """Time left until this call counts as hung, whatever it says (deadlock time-out)."""

    def is_cancelled(self) -> bool: ...
    def pause(self, duration_ms: int) -> None:
        """Sleep, but wake and raise `CallCancelled` when the host gives the call up."""

    def progress(self, message: str) -> None:
        """Say that it goes on: restarts the pending time-out, and is shown to the operator."""

    def failed(self, message: str) -> None:
        """Tell the host, from any thread, that the resource failed; the alternative to polling."""

    def stopped(self, message: str) -> None:
        """Tell the host that the workload ended by itself and that this is no failure."""

    def embedded_failure(self, message: str) -> None:
        """Tell the host, from any thread, that what runs *inside* the resource is unwell (an application in a guest) while
        the resource itself runs. What follows is the operator's choice (`embedded_failure_action`). May be repeated."""

    def embedded_well(self) -> None:
        """Tell the host that it is well again."""

    def concern(self, message: str) -> None:
        """Tell the host, from any thread, what a person should know or do although the resource is as well as it can be: a
        storage is full, a file is missing that only the next start needs. It is in status and timeline until told with an
        empty message, or offline; nothing else follows. May be repeated, with every check say."""


class ResourceType:
    """Base of every resource type. `online`, `offline` and `is_alive` are yours to write; the rest has defaults."""

    name: ClassVar[str] = ""
    version: ClassVar[str] = "1"
    says: ClassVar[str] = ""
    properties: ClassVar[tuple[Property, ...]] = ()
    exactly_one: ClassVar[tuple[tuple[str, ...], ...]] = ()
    """Sets of properties of which exactly one must be given."""
    tells_failure: ClassVar[bool] = False
    """Failure comes as an event (a watched process, `context.failed`), so `looks_alive` need not be polled."""
    abilities: ClassVar[tuple[str, ...]] = ()
    """What it can do beyond its duties: `live-migration`, which needs the four methods at the end of this class;
    `storage-fence`, which needs `fence`, or `storage-fence:NAME`, if it can only with the property NAME given. `no-effect`
    is no ability: nothing that it does can be seen from outside the group (it makes a definition usable, say).
    `runs-nothing`, for what is only looked at (a file, a proof): nothing runs, is held or locked while it is online, so in
    a live migration nobody waits for it at either end."""
    looks_alive_interval_ms: ClassVar[int] = 5000
    is_alive_interval_ms: ClassVar[int] = 60_000
    """How often the two checks are made, unless an operator says something else for the type or the resource."""

    def open(self, context: Context) -> None:
        """Make ready; the thing itself stays offline."""

    def close(self, context: Context) -> None:
        """Give up what `open` took."""

    def online(self, context: Context) -> int | None:
        """It runs when this returns. One that went on after a live migration may return for how many milliseconds it
        does: people are told how long it stood still."""
        raise NotImplementedError

    def offline(self, context: Context) -> None:
        """Stop in good order."""
        raise NotImplementedError

    def terminate(self, context: Context) -> None:
        """Stop at once. The host kills the containment afterwards, so only what lies outside it is left to do."""

    def looks_alive(self, context: Context) -> Health:
        """A quick check (300 ms at most). A no is confirmed by `is_alive` before anything happens."""
        return self.is_alive(context)

    def is_alive(self, context: Context) -> Health:
        """The thorough check. A no fails the resource."""
        raise NotImplementedError

    def control(self, context: Context, verb: str, body: bytes) -> bytes:
        """A verb of the type's own. May run beside any other call."""
        raise UnknownControl(verb)

    @classmethod
    def examine(cls, question: str, body: bytes) -> bytes:
        """A question about this node rather than about one resource: what is here that could become one, and what would
        it lack? Looks, starts nothing, leaves everything as it was unless the question asks for a change, and answers within
        seconds."""
        raise UnknownControl(question)

    def is_there(self, context: Context) -> str:
        """Does such a thing run on this node already, whoever started it: somebody by hand, a unit of systemd's? Asked of a
        new object, where the resource is not online, before the cluster looks after it again. Looks, starts nothing
        that stays, answers within seconds. Returns what was found, in words; an empty text says that there is nothing.
        Raises CannotTell."""
        raise CannotTell(f"{self.name} has no way to look")

    # ---- for disks whose storage itself can refuse an owner ----

    def fence(self, context: Context) -> str:
        """Make the storage refuse whoever has it under a generation below `context.generation`, also if that one runs and
        nobody can reach it. Called where the resource is not online, and starts nothing else. On return it is certain,
        and it stays so when everything of this call is gone: an older owner cannot claim it again, a newer one can.
        May be repeated; takes seconds at most. Returns what was done, in words (which key, whose, how)."""
        raise NotImplementedError

    # ---- live migration: for types with that ability. The cluster decides; these methods only do ----
    #
    # 1. destination: prepare_migration     2. source: migrate     3. the cluster gives the resource to the destination
    # 4. destination: online                5. source: offline with the reason `migrated`, or terminate
    #
    # One object of the class lives on the destination from step 1 on, so that `online` finds what was prepared. When a
    # step before 3 fails, the source keeps the resource: abandon_migration there, resume_after_migration here.

    def prepare_migration(self, context: Context) -> str:
        """On the destination: make ready to take what runs elsewhere over. Nothing runs yet, and nothing is held that
        the source needs. Returns what the source must know (text, 4 KiB at most); an empty text says that there is
        nothing to move, and only that `online` will be quick. `online` afterwards continues what
        arrived; if nothing did, it starts afresh."""
        raise NotImplementedError

    def migrate(self, context: Context, prepared: str) -> int | None:
        """On the source: move it to where `prepared` says, telling `context.progress`. On return it is stopped here, and
        everything is there, ready to go on. After ResourceFailed and CallCancelled it still runs here. Returns for how
        many milliseconds it has stood still by then, if that is known: people are told how long it did in all."""
        raise NotImplementedError

    def resume_after_migration(self, context: Context) -> None:
        """On the source, after a `migrate` that returned: go on here. Called only when the destination did not, and never
        will. May be repeated."""
        raise NotImplementedError

    def abandon_migration(self, context: Context) -> None:
        """On the destination: forget what was prepared. May be repeated, also when nothing was."""
        raise NotImplementedError
