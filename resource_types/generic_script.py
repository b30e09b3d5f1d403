"""How is anything that a script can start, stop and check made a clustered resource?

The script is called with the name of an entry point as its only argument: `open`, `online`, `looks_alive`, `is_alive`,
`offline`, `close`, `terminate`. Exit status 0 is success, 3 means that it does not know the entry point: that is success for
those which a script may leave out, "cannot tell" for `looks_alive`, and for `is_alive` that nobody wants it checked. What
`online` leaves running belongs to the resource and is gone after `offline` and `terminate`; what a check leaves is ended
with it. A check that could not be made, because the script or a command in it is just being replaced, cannot tell.

A script that does not return in time is killed, and is in "hang mode" from then on: it is not called again until the
resource was taken offline or terminated, which makes a new object of this class.
"""

import os

from clusterd.resource_api import (
    CannotTell,
    Context,
    Finished,
    Health,
    NotOnThisNode,
    Property,
    PropertyKind,
    ResourceFailed,
    ResourceType,
    StartRefused,
)

NOT_KNOWN_STATUS = 3
NOT_RUN_STATUSES = (126, 127)
"""By which a shell says that there is no such command, or none that it may run."""


class GenericScript(ResourceType):
    """An executable that is called with the entry point's name."""

    name = "generic_script"
    version = "2"
    says = "an executable that is called with the entry point's name: online, is_alive, offline, …"
    properties = (
        Property(
            "script_filepath",
            PropertyKind.TEXT,
            "absolute path of the executable, the same on every node",
            required=True,
            aliases=("ScriptFilepath",),
        ),
        Property("environment", PropertyKind.ENVIRONMENT, "added to the environment", default={}),
        Property("working_directory", PropertyKind.TEXT, "where it runs"),
        Property("user", PropertyKind.TEXT, "whom it runs as; needs a host that runs as root"),
        Property(
            "check_timeout",
            PropertyKind.DURATION,
            "a check that takes longer means no",
            default=30_000,
            minimum=10,
            unit="ms",
        ),
        Property(
            "embedded_failure_status",
            PropertyKind.INTEGER,
            "exit status by which is_alive says: it runs, but what is inside is unwell; its output says why",
            minimum=1,
            maximum=255,
        ),
    )

    def __init__(self) -> None:
        self._hung_in = ""

    def open(self, context: Context) -> None:
        self._check_script(context)
        self._optional(context, "open")

    def online(self, context: Context) -> None:
        self._check_script(context)
        self._optional(context, "online")

    def offline(self, context: Context) -> None:
        self._optional(context, "offline")

    def terminate(self, context: Context) -> None:
        self._optional(context, "terminate")

    def close(self, context: Context) -> None:
        self._optional(context, "close")

    def looks_alive(self, context: Context) -> Health:
        return self._check(context, "looks_alive")

    def is_alive(self, context: Context) -> Health:
        return self._check(context, "is_alive")

    def is_there(self, context: Context) -> str:
        """Its own is_alive says: yes, where nothing of it was started by a cluster."""
        if not os.path.exists(_path(context)):
            return ""
        finished = self._run(
            context, "is_alive", min(context.properties["check_timeout"], context.remaining_ms()), is_check=True
        )
        if finished.exit is None:
            raise CannotTell(f"{_path(context)} did not return from is_alive")
        if finished.exit.status in (NOT_KNOWN_STATUS, *NOT_RUN_STATUSES):
            raise CannotTell(f"{_path(context)} is_alive {finished.exit}{_said(finished)}")
        is_yes = finished.exit.is_success or finished.exit.status == context.properties["embedded_failure_status"]
        return f"{_path(context)} is_alive says yes{_said(finished) if finished.output else ''}" if is_yes else ""

    # ---- calling it ----

    def _optional(self, context: Context, entry: str) -> None:
        self._refuse_when_hung(context)
        limit_ms = max(1, context.remaining_ms())
        finished = self._run(context, entry, limit_ms)
        if finished.exit is None:
            self._hung_in = entry
            raise ResourceFailed(f"{_path(context)} did not return from {entry} within {limit_ms} ms and was killed")
        if not finished.exit.is_success and finished.exit.status != NOT_KNOWN_STATUS:
            raise ResourceFailed(f"{_path(context)} {entry} {finished.exit}{_said(finished)}")

    def _check(self, context: Context, entry: str) -> Health:
        self._refuse_when_hung(context)
        limit_ms = context.properties["check_timeout"]
        try:
            finished = self._run(context, entry, limit_ms, is_check=True)
        except StartRefused as error:
            raise CannotTell(f"{entry} could not be asked: {error}") from error
        if finished.exit is None:
            self._hung_in = entry
            raise ResourceFailed(f"{_path(context)} did not return from {entry} within {limit_ms} ms and was killed")
        if finished.exit.status == context.properties["embedded_failure_status"]:
            context.embedded_failure(finished.output or f"{_path(context)} {entry} {finished.exit}")
            return Health.YES
        if finished.exit.status == NOT_KNOWN_STATUS:
            return Health.YES if entry == "is_alive" else Health.CANNOT_TELL
        if finished.exit.is_success and entry == "is_alive":
            context.embedded_well()
        if finished.exit.status in NOT_RUN_STATUSES:
            raise CannotTell(f"{_path(context)} {entry} {finished.exit}{_said(finished)}")
        if not finished.exit.is_success:
            raise ResourceFailed(f"{_path(context)} {entry} {finished.exit}{_said(finished)}")
        return Health.YES

    def _refuse_when_hung(self, context: Context) -> None:
        if self._hung_in:
            raise ResourceFailed(f"{_path(context)} hung in {self._hung_in} and is not called until it was recycled")

    def _run(self, context: Context, entry: str, limit_ms: int, *, is_check: bool = False) -> Finished:
        return context.processes.run(
            [_path(context), entry],
            timeout_ms=limit_ms,
            environment=context.properties["environment"],
            working_directory=context.properties["working_directory"],
            user=context.properties["user"],
            ends_all=is_check,
        )

    def _check_script(self, context: Context) -> None:
        path = _path(context)
        if not os.path.isabs(path):
            raise ResourceFailed(f"script_filepath {path!r} is not absolute: name the script from the root on")
        if not os.path.exists(path):
            raise NotOnThisNode(f"there is no script {path} on {context.node}: install it there at the same path")
        if not os.path.isfile(path) or not os.access(path, os.X_OK):
            raise ResourceFailed(f"{path} on {context.node} is no executable file: chmod +x it")


def _path(context: Context) -> str:
    return str(context.properties["script_filepath"])


def _said(finished: Finished) -> str:
    return f"; its last output: {finished.output}" if finished.output else "; it wrote nothing"
