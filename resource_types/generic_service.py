"""How is an ordinary command kept running as a clustered service?

Online means *ready*: the command was started and said so in the way that `ready` names. Its end is seen as an event, not at
the next poll. Offline asks it to stop and kills what is left when the grace is over.
"""

from clusterd.resource_api import Context, Health, Property, PropertyKind, ResourceFailed, ResourceType
from resource_types.listeners import is_listening, listeners_of, owner_text
from resource_types.notify import NotifySocket

POLL_MS = 2
POLL_MAX_MS = 50
OUTPUT_LINES = 10

READY_FIELDS = (
    Property("tcp", PropertyKind.INTEGER, "ready when it accepts connections on this port", minimum=1, maximum=65535),
    Property("command", PropertyKind.LIST, "ready when this command ends with status 0"),
)


class GenericService(ResourceType):
    """A command that the host starts, watches and stops."""

    name = "generic_service"
    version = "1"
    says = "a command that runs until it is stopped"
    tells_failure = True
    properties = (
        Property(
            "command",
            PropertyKind.LIST,
            "program and arguments; no shell is involved",
            required=True,
            aliases=("CommandLine",),
        ),
        Property("environment", PropertyKind.MAPPING, "added to the environment", default={}),
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
        Property("health_command", PropertyKind.LIST, "IsAlive runs it: status 0 is healthy"),
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
            choices=("TERM", "INT", "QUIT", "HUP", "USR1", "USR2", "KILL"),
        ),
        Property(
            "stop_grace",
            PropertyKind.DURATION,
            "killed when it has not stopped by then",
            default=5_000,
            minimum=0,
            unit="ms",
        ),
    )

    def online(self, context: Context) -> None:
        if self._runs(context):
            return
        ready = context.properties["ready"]
        port = ready.get("tcp") if isinstance(ready, dict) else None
        if port is not None and (strangers := listeners_of(port)):
            raise ResourceFailed(
                f"port {port} is in use by {owner_text(strangers)}: stop that, or give {context.resource} another port"
            )
        notify = NotifySocket() if ready == "notify" else None
        try:
            self._start(context, notify)
            if port is not None:
                self._wait_for_port(context, port)
            elif notify is not None:
                self._wait_for_notice(context, notify)
            elif isinstance(ready, dict):
                self._wait_for_command(context, ready["command"])
            else:
                self._expect_running(context)
        finally:
            if notify is not None:
                notify.close()

    def offline(self, context: Context) -> None:
        properties = context.properties
        context.processes.unwatch()
        number = _SIGNALS[properties["stop_signal"]]
        if not context.processes.stop(grace_ms=properties["stop_grace"], signal=number):
            context.log.warning(
                f"{context.resource} did not stop within {properties['stop_grace']} ms of SIG{properties['stop_signal']}"
                " and was killed"
            )

    def looks_alive(self, context: Context) -> Health:
        return Health.of(self._runs(context))

    def is_alive(self, context: Context) -> Health:
        if not self._runs(context):
            return Health.NO
        command = context.properties["health_command"]
        if not command:
            return Health.YES
        finished = context.processes.run(command, timeout_ms=context.properties["health_timeout"])
        if finished.exit is None:
            context.log.warning(f"the health command took longer than {context.properties['health_timeout']} ms")
            return Health.NO
        if not finished.exit.is_success:
            context.log.warning(f"the health command {finished.exit}: {finished.output}")
        return Health.of(finished.exit.is_success)

    # ---- starting ----

    def _start(self, context: Context, notify: NotifySocket | None) -> None:
        properties = context.properties
        environment = dict(properties["environment"])
        if notify is not None:
            environment["NOTIFY_SOCKET"] = notify.address
        process = context.processes.start(
            properties["command"],
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

    def _runs(self, context: Context) -> bool:
        if context.properties["forking"]:
            return bool(context.processes.members())
        return context.processes.main_is_running()

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
        pause_ms = POLL_MS
        while True:
            self._expect_running(context)
            listens = is_listening(port, context.processes.members())
            if listens:
                return
            if listens is False:
                strangers = owner_text(listeners_of(port))
                raise ResourceFailed(f"port {port} is in use by {strangers}, not by {context.resource}")
            if context.remaining_ms() <= 0:
                raise ResourceFailed(f"{_shown(context)} does not listen on port {port}{_tail(context)}")
            context.pause(pause_ms)
            pause_ms = min(pause_ms + 1, POLL_MAX_MS)

    def _wait_for_notice(self, context: Context, notify: NotifySocket) -> None:
        while not notify.wait_ready(POLL_MAX_MS, set(context.processes.members())):
            self._expect_running(context)
            context.pause(0)
            if context.remaining_ms() <= 0:
                raise ResourceFailed(f"{_shown(context)} never sent READY=1 to its NOTIFY_SOCKET{_tail(context)}")

    def _wait_for_command(self, context: Context, command: list[str]) -> None:
        pause_ms = POLL_MS
        while True:
            self._expect_running(context)
            finished = context.processes.run(command, timeout_ms=max(1, context.remaining_ms()))
            if finished.exit is not None and finished.exit.is_success:
                return
            if context.remaining_ms() <= 0:
                raise ResourceFailed(f"the ready command never ended with status 0: {finished.output}{_tail(context)}")
            context.pause(pause_ms)
            pause_ms = min(2 * pause_ms, 1000)


_SIGNALS = {"HUP": 1, "INT": 2, "QUIT": 3, "KILL": 9, "USR1": 10, "USR2": 12, "TERM": 15}


def _shown(context: Context) -> str:
    return f"command {' '.join(context.properties['command'])!r}"


def _tail(context: Context) -> str:
    output = context.processes.output(OUTPUT_LINES)
    return f"; its last output: {output}" if output else "; it wrote nothing"
