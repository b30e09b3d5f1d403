"""How is an ordinary command kept running as a clustered service?

Online means *ready*: the command was started and said so in the way that `ready` names. Its end is seen as an event, not at
the next poll. Offline asks it to stop and kills what is left when the grace is over. A command whose first process ends has
failed, whatever it left behind, unless `forking` says that it goes into the background. With `unit` instead of `command` a
systemd unit is run (systemd_unit.py); then `ready` and everything about the process are the unit's own affair.
"""

import os
import pwd

from clusterd.resource_api import (
    CannotTell,
    Context,
    Finished,
    Health,
    Property,
    PropertyKind,
    ResourceFailed,
    ResourceType,
    StartRefused,
)
from clusterd.resource_api.secret_values import shown
from resource_types.background import Background
from resource_types.listeners import is_listening, listeners_of, owner_text
from resource_types.notify import NotifySocket
from resource_types.strays import strays
from resource_types.systemd_unit import SystemdUnit

POLL_MS = 2
POLL_MAX_MS = 50
READY_PAUSE_MS = 100
READY_REFUSED_MAX_MS = 5000
OUTPUT_LINES = 10
NOT_RUN_STATUSES = (126, 127)
"""By which a shell says that there is no such command, or none that it may run."""
_SIGNALS = {"HUP": 1, "INT": 2, "QUIT": 3, "KILL": 9, "USR1": 10, "USR2": 12, "TERM": 15}
_SIGNAL_CHOICES = (*_SIGNALS, *(f"SIG{name}" for name in _SIGNALS))

READY_FIELDS = (
    Property("tcp", PropertyKind.INTEGER, "ready when it accepts connections on this port", minimum=1, maximum=65535),
    Property("command", PropertyKind.LIST, "ready when this command ends with status 0", minimum=1),
)


class GenericService(ResourceType):
    """A command that the host starts, watches and stops."""

    name = "generic_service"
    version = "2"
    says = "a command that runs until it is stopped, or a systemd unit"
    tells_failure = True
    exactly_one = (("command", "unit"),)
    properties = (
        Property(
            "command",
            PropertyKind.LIST,
            "program and arguments; no shell is involved",
            minimum=1,
            aliases=("CommandLine",),
        ),
        Property("unit", PropertyKind.TEXT, "a systemd unit instead of a command", aliases=("ServiceName",)),
        Property(
            "startup_parameters",
            PropertyKind.LIST,
            "arguments that are appended to the command",
            default=[],
            aliases=("StartupParameters",),
        ),
        Property("environment", PropertyKind.ENVIRONMENT, "added to the environment", default={}),
        Property("working_directory", PropertyKind.TEXT, "where it starts", aliases=("CurrentDirectory",)),
        Property("user", PropertyKind.TEXT, "whom it runs as; needs a host that runs as root"),
        Property(
            "ready",
            PropertyKind.TEXT_OR_MAPPING,
            "how it says that it is ready",
            default="none",
            choices=("none", "notify"),
            fields=READY_FIELDS,
            exactly_one=True,
        ),
        Property(
            "forking", PropertyKind.BOOLEAN, "the started process ends and leaves the service behind", default=False
        ),
        Property("pid_file", PropertyKind.TEXT, "with forking: where the service writes which process is the main one"),
        Property("health_command", PropertyKind.LIST, "IsAlive runs it: status 0 is healthy", minimum=1),
        Property(
            "health_timeout",
            PropertyKind.DURATION,
            "a health command that takes longer means no",
            default=10_000,
            minimum=10,
            unit="ms",
        ),
        Property(
            "stop_signal",
            PropertyKind.CHOICE,
            "asks it to stop",
            default="TERM",
            choices=_SIGNAL_CHOICES,
        ),
        Property(
            "stop_grace",
            PropertyKind.DURATION,
            "what has not stopped by then is killed",
            default=5_000,
            minimum=0,
            unit="ms",
            is_waited_for=True,
        ),
        Property(
            "stop_asks",
            PropertyKind.CHOICE,
            "who gets the signal: every process, or only the main one, and the others once that has ended",
            default="everything",
            choices=("everything", "main-process"),
        ),
    )

    def __init__(self) -> None:
        self._notify: NotifySocket | None = None
        self._background = Background()

    def online(self, context: Context) -> None:
        if context.properties["unit"]:
            SystemdUnit(context).start()
            return
        if self._runs(context):
            return
        if context.properties["pid_file"] is not None and not context.properties["forking"]:
            raise ResourceFailed(
                "pid_file is for a service that goes into the background: set forking: true, or leave it out"
            )
        ready = context.properties["ready"]
        port = ready.get("tcp") if isinstance(ready, dict) else None
        if port is not None and (strangers := listeners_of(port, every_address=True)):
            raise ResourceFailed(
                f"port {port} is in use by {owner_text(strangers)}: stop that, or give {context.resource} another port"
            )
        if ready == "notify":
            self._notify = NotifySocket(context.processes.members, _users(context))
        self._start(context)
        if port is not None:
            self._wait_for_port(context, port)
        elif self._notify is not None:
            self._wait_for_notice(context, self._notify)
        elif isinstance(ready, dict):
            self._wait_for_command(context, ready["command"])
        else:
            self._expect_running(context)

    def close(self, context: Context) -> None:
        if self._notify is not None:
            self._notify.close()

    def offline(self, context: Context) -> None:
        properties = context.properties
        if properties["unit"]:
            SystemdUnit(context).stop()
            return
        name = properties["stop_signal"].removeprefix("SIG")
        grace_ms = properties["stop_grace"]
        in_order = context.processes.stop(
            grace_ms=grace_ms, signal=_SIGNALS[name], everyone=properties["stop_asks"] == "everything"
        )
        if not in_order:
            context.log.warning(f"{context.resource} did not stop within {grace_ms} ms of SIG{name} and was killed")

    def terminate(self, context: Context) -> None:
        """The host kills the containment; only a unit is to be asked for."""
        if context.properties["unit"]:
            SystemdUnit(context).kill()

    def is_there(self, context: Context) -> str:
        properties = context.properties
        if properties["unit"]:
            return SystemdUnit.runs_here(context)
        ready = properties["ready"]
        port = ready.get("tcp") if isinstance(ready, dict) else None
        return strays([*properties["command"], *properties["startup_parameters"]], port)

    def looks_alive(self, context: Context) -> Health:
        if context.properties["unit"]:
            return SystemdUnit(context).health()
        runs = self._runs(context)
        if context.properties["forking"] and self._background.settle(context.processes.members()):
            context.concern("it left several processes behind, and any of them keeps it online: name its pid_file")
        return Health.of(runs)

    def is_alive(self, context: Context) -> Health:
        health = self.looks_alive(context)
        command = context.properties["health_command"]
        if health is not Health.YES or not command:
            return health
        try:
            finished = self._run(context, command, context.properties["health_timeout"])
        except StartRefused as error:
            raise CannotTell(f"the health command could not be run: {error}") from error
        if finished.exit is not None and finished.exit.status in NOT_RUN_STATUSES:
            raise CannotTell(
                f"the health command {finished.exit}, as shells do for what they cannot run{_said(finished)}"
            )
        if finished.exit is None:
            raise ResourceFailed(f"the health command took longer than {context.properties['health_timeout']} ms")
        if not finished.exit.is_success:
            raise ResourceFailed(f"the health command {finished.exit}: {finished.output or 'it wrote nothing'}")
        return Health.YES

    def _run(self, context: Context, command: list[str], timeout_ms: int) -> Finished:
        """A command beside the service, in its surroundings."""
        properties = context.properties
        return context.processes.run(
            command,
            timeout_ms=max(timeout_ms, 1),
            environment=properties["environment"],
            working_directory=properties["working_directory"],
            user=properties["user"],
            ends_all=True,
        )

    # ---- starting ----

    def _start(self, context: Context) -> None:
        properties = context.properties
        environment = dict(properties["environment"])
        if self._notify is not None:
            environment["NOTIFY_SOCKET"] = self._notify.address
        process = context.processes.start(
            [*properties["command"], *properties["startup_parameters"]],
            environment=environment,
            working_directory=properties["working_directory"],
            user=properties["user"],
            watch=not properties["forking"],
        )
        if properties["forking"]:
            end = process.wait(context.remaining_ms())
            if end is None or not end.is_success:
                raise ResourceFailed(
                    f"{_shown(context)} {end or 'did not leave the service behind in time'}{_tail(context)}"
                )
            if (path := context.properties["pid_file"]) is not None:
                self._wait_for_pid_file(context, path)

    def _wait_for_pid_file(self, context: Context, path: str) -> None:
        while not self._background.is_named(_inside(context, path), context.processes.members()):
            if not context.processes.members() or context.remaining_ms() <= 0:
                raise ResourceFailed(f"{_shown(context)} left no process behind that {path} names{_tail(context)}")
            context.pause(min(POLL_MAX_MS, context.remaining_ms()))

    def _runs(self, context: Context) -> bool:
        if not context.properties["forking"]:
            return context.processes.main_is_running()
        path = context.properties["pid_file"]
        return self._background.runs(context.processes.members(), _inside(context, path) if path is not None else None)

    def _expect_running(self, context: Context) -> None:
        """Called between two looks at readiness: what has ended will never be ready."""
        if self._runs(context):
            return
        main = context.processes.main()
        end = main.exit if main is not None else None
        hint = ""
        if end is not None and end.is_success and context.processes.members():
            hint = "; it left processes behind: if it is meant to, set forking: true"
        raise ResourceFailed(f"{_shown(context)} {end or 'ended'} before it was ready{hint}{_tail(context)}")

    def _wait_for_port(self, context: Context, port: int) -> None:
        """Only a listener of our own counts. A stranger's explains why there is none, once that is certain."""
        pause_ms = POLL_MS
        while not is_listening(port, context.processes.members()):
            try:
                self._expect_running(context)
            except ResourceFailed as error:
                raise ResourceFailed(f"{error}{_port_words(port)}") from None
            if context.remaining_ms() <= 0:
                words = f"{_shown(context)} does not listen on port {port}"
                raise ResourceFailed(f"{words}{_port_words(port)}{_tail(context)}")
            context.pause(min(pause_ms, context.remaining_ms()))
            pause_ms = min(pause_ms + 1, POLL_MAX_MS)

    def _wait_for_notice(self, context: Context, notify: NotifySocket) -> None:
        """A service that asks for more time gets it, as long as the call as a whole may last."""
        while not notify.wait(min(POLL_MAX_MS, max(context.remaining_ms(), 1))):
            self._expect_running(context)
            context.pause(0)
            if notify.extended_ms and context.longest_ms():
                context.progress(f"{notify.said.status or 'starting'} ({notify.extended_ms} ms more were asked for)")
            elif context.remaining_ms() <= 0:
                status = f"; its last status: {notify.said.status}" if notify.said.status else ""
                raise ResourceFailed(
                    f"{_shown(context)} never sent READY=1 to its NOTIFY_SOCKET{status}{_tail(context)}"
                )

    def _wait_for_command(self, context: Context, command: list[str]) -> None:
        """Asked again after short pauses. What cannot be run may be on its way back (it is being replaced), for a while."""
        refused_until_ms = READY_REFUSED_MAX_MS
        while True:
            self._expect_running(context)
            try:
                finished = self._run(context, command, context.remaining_ms())
                said = finished.output
                if finished.exit is not None and finished.exit.is_success:
                    return
            except StartRefused as error:
                said = str(error)
                if refused_until_ms <= 0:
                    raise
            pause_ms = min(READY_PAUSE_MS, context.remaining_ms())
            refused_until_ms -= pause_ms
            if context.remaining_ms() <= 0:
                raise ResourceFailed(f"the ready command never ended with status 0: {said}{_tail(context)}")
            context.pause(pause_ms)


def _users(context: Context) -> set[int]:
    """Whom the service runs as, beside the host's own user."""
    name = context.properties["user"]
    try:
        return {pwd.getpwnam(name).pw_uid} if name is not None else set()
    except KeyError:  # its start will say so
        return set()


def _inside(context: Context, path: str) -> str:
    return os.path.join(context.properties["working_directory"] or "/", path)


def _said(finished: Finished) -> str:
    return f": {finished.output}" if finished.output else ""


def _shown(context: Context) -> str:
    return f"command {' '.join(shown(context.properties['command']))!r}"


def _port_words(port: int) -> str:
    strangers = listeners_of(port)
    return f"; port {port} is in use by {owner_text(strangers)}" if strangers else ""


def _tail(context: Context) -> str:
    output = context.processes.output(OUTPUT_LINES)
    return f"; its last output: {output}" if output else "; it wrote nothing"
