"""What does the cluster ask of a virtual machine, and what follows?

One object of the class is one run of the machine on this node, from `online` or `prepare_migration` to the end. Online means
that QEMU says `running`; what the guest makes of it is shown by its heartbeat. A guest that switches itself off leaves QEMU
paused, so that its end is told apart from that of QEMU, which fails the resource at once.
"""

import contextlib
import json
import os

from clusterd.resource_api import (
    CallCancelled,
    Context,
    Health,
    ResourceFailed,
    ResourceType,
    UnknownControl,
)
from resource_types.machine_definition import Definition, definition_path
from resource_types.virtual_machine import accelerator, migration, saved_state, stopping
from resource_types.virtual_machine.declared import PROPERTIES, OfflineAction
from resource_types.virtual_machine.guest_clock import GuestClock
from resource_types.virtual_machine.guest_health import GuestHealth
from resource_types.virtual_machine.heartbeat import Heartbeat
from resource_types.virtual_machine.machine import Machine, output_words, process_state, start
from resource_types.virtual_machine.qmp import MonitorError
from resource_types.virtual_machine.screenshot import png_of
from resource_types.virtual_machine_configuration import proven_definition

LOOK_WITHIN_MS = 250
MIGRATED = "migrated"
"""The reason of an offline whose guest runs elsewhere already."""
DELETING = "deleting"


class VirtualMachine(ResourceType):
    """One guest."""

    name = "virtual_machine"
    version = "2"
    says = "a virtual machine under QEMU; give it a virtual_machine_configuration and its disks to depend on"
    abilities = ("live-migration",)
    looks_alive_interval_ms = 5000
    is_alive_interval_ms = 10_000
    properties = PROPERTIES

    def __init__(self) -> None:
        self._machine: Machine | None = None
        self._health = GuestHealth()
        self._next_action: OfflineAction | None = None
        self._was_silent = False
        """The last quick look had no answer in time."""

    # ---- start and stop ----

    def online(self, context: Context) -> int:
        machine = self._machine
        if machine is not None and not machine.has_ended and not machine.is_incoming:
            return 0
        if machine is not None and migration.has_arrived(machine) and self._has_its_disks(context, machine):
            self._arrive(machine)
        else:
            self._start(context)
        self._begin_to_tell(context)
        return self._running().watch.runs_for_ms()

    def _arrive(self, machine: Machine) -> None:
        """It goes on as it left: who switched itself off on the way is off, and who panicked has panicked."""
        match machine.status():
            case "shutdown":
                machine.is_incoming, machine.watch.is_off = False, True
            case "guest-panicked":
                raise ResourceFailed("the guest panicked while it was moved")
            case _:
                machine.go_on()
        self._health = GuestHealth(Heartbeat(was_heard=machine.agent_is_there()))

    def _start(self, context: Context) -> None:
        self._end(context)
        definition = self._definition(context)
        self._health = GuestHealth()
        self._machine = saved_state.resume(context, definition, self._state_path(context))
        if self._machine is None:
            self._machine = start(context, definition)
            context.log.info("the guest booted")
        else:
            context.log.info("the guest went on where it was, with the memory that was saved")
            GuestClock(self._machine).set_soon()
        status = self._machine.status(context=context)
        if status not in ("running", "shutdown"):
            raise ResourceFailed(f"QEMU says that the guest is {status!r} right after the start{output_words(context)}")

    def _begin_to_tell(self, context: Context) -> None:
        if self._machine is not None:
            is_failure = context.properties["shutdown_action"] == "failed"
            self._machine.watch.tell(context, shutdown_is_failure=is_failure)

    def offline(self, context: Context) -> None:
        machine = self._machine
        if machine is None or machine.has_ended or machine.was_moved or context.reason == MIGRATED:
            self._end(context)
            return
        said = context.move_kind or context.properties["offline_action"]
        action = self._next_action or OfflineAction(said)
        if action is OfflineAction.SAVE and context.reason == DELETING:
            action = OfflineAction.SHUT_DOWN  # nobody would ever read the file
        stopping.stop(context, machine, self._health.heartbeat, action, self._state_path(context))
        self._machine = self._next_action = None

    def terminate(self, context: Context) -> None:
        """The host kills QEMU; what waits for it here is woken."""
        if self._machine is not None:
            self._machine.watch.hush()
            self._machine.forget()

    def close(self, context: Context) -> None:
        if self._machine is not None:
            self._machine.forget()
            self._machine = None

    def _end(self, context: Context) -> None:
        machine, self._machine = self._machine, None
        if machine is not None:
            machine.end(context)

    def _definition(self, context: Context) -> Definition:
        accelerator.require(context)
        return proven_definition(context, context.properties["configuration"])

    def _state_path(self, context: Context) -> str:
        return saved_state.state_path(context, definition_path(context.properties["configuration"]))

    # ---- health ----

    def looks_alive(self, context: Context) -> Health:
        if self._machine is None or self._machine.has_ended:
            return Health.NO
        try:
            status = self._machine.status(within_ms=LOOK_WITHIN_MS)
        except MonitorError:
            # Once is what a busy node looks like. is_alive finds out more, and waits longer.
            state = process_state(self._machine.process.pid)
            was_silent, self._was_silent = self._was_silent, True
            is_no = silence_health(state) is Health.NO and (was_silent or state in ("T", ""))
            return Health.NO if is_no else Health.CANNOT_TELL
        self._was_silent = False
        return Health.of(not self._health.failure(self._machine, status))

    def is_alive(self, context: Context) -> Health:
        machine = self._machine
        if machine is None or machine.has_ended:
            raise ResourceFailed(f"QEMU has ended{output_words(context)}")
        limit_ms = context.properties["check_timeout"]
        try:
            machine.reconnect(limit_ms)
            status = machine.status(within_ms=limit_ms, context=context)
        except MonitorError as error:
            state = process_state(machine.process.pid)
            words = f"{error}{_process_words(machine.process.pid, state)}"
            if silence_health(state) is Health.NO:
                raise ResourceFailed(words) from error
            context.concern(words)
            return Health.CANNOT_TELL
        if failure := self._health.failure(machine, status):
            raise ResourceFailed(failure)
        if status == "shutdown" or machine.watch.is_off:
            machine.watch.tell_off()
            return Health.YES
        if not machine.watch.forget_io_error():
            context.embedded_well()
        if status == "running":
            self._health.expect_heartbeat(context, machine)
        machine.watch.concerns.again()
        return Health.YES

    # ---- live migration ----

    def prepare_migration(self, context: Context) -> str:
        self._end(context)
        self._machine, prepared = migration.prepare(context, self._definition(context))
        return prepared.text()

    def migrate(self, context: Context, prepared: str) -> int:
        return migration.send(context, self._running(), prepared)

    def resume_after_migration(self, context: Context) -> None:
        machine = self._running()
        if machine.was_moved and not machine.watch.is_off and not machine.watch.panic:
            machine.go_on()
        machine.was_moved = False
        self._begin_to_tell(context)

    def abandon_migration(self, context: Context) -> None:
        if self._machine is not None and self._machine.is_incoming:
            self._end(context)

    def _has_its_disks(self, context: Context, machine: Machine) -> bool:
        """Otherwise the guest would go on with disks that answer nothing but errors."""
        if migration.sockets_seen(machine.definition) == machine.served:
            return True
        text = f"{context.resource} boots afresh: a disk's session ended after it was prepared here"
        context.log.warning(text)
        context.progress(text)
        return False

    def _running(self) -> Machine:
        if self._machine is None or self._machine.has_ended:
            raise ResourceFailed("there is no QEMU of this machine on this node")
        return self._machine

    # ---- verbs of its own ----

    def control(self, context: Context, verb: str, body: bytes) -> bytes:
        match verb:
            case "status":
                return json.dumps(self._status(context)).encode()
            case "console":
                return self._running().folder.console.encode()
            case "screenshot":
                return self._screenshot(context)
            case "power-button":
                self._running().call("system_powerdown", context=context)
            case "reset":
                self._running().call("system_reset", context=context)
            case "migration-bandwidth":
                migration.set_bandwidth(context, self._running(), body.decode(errors="replace").strip())
            case "save":
                self._save(context)
            case "next-offline-action":
                self._next_action = _action(body)
            case _:
                raise UnknownControl(verb)
        return b""

    def _status(self, context: Context) -> dict[str, object]:
        machine = self._running()
        moving = machine.call("query-migrate", context=context)
        return {
            "status": machine.status(context=context),
            "pid": machine.process.pid,
            "qemu_version": machine.version,
            "accelerator": context.properties["accelerator"],
            "memory_mib": machine.definition.memory_mib,
            "processors": machine.definition.processors,
            "guest_reset_count": machine.watch.reset_count,
            "heartbeat": self._health.heartbeat.was_heard,
            "console": machine.folder.console,
            "migration": str(moving.get("status", "none")),
            "migration_percent": migration.percent(moving),
            "migration_downtime_ms": moving.get("downtime"),
            "migration_total_ms": moving.get("total-time"),
            "went_on_at_ms": round(machine.watch.went_on_at_s * 1000) or None,
        }

    def _screenshot(self, context: Context) -> bytes:
        machine = self._running()
        if not machine.definition.display:
            raise ResourceFailed("the definition gives the machine no display; set display = true")
        path = machine.folder.file("screen.ppm")
        machine.call("screendump", {"filename": path}, context=context)
        try:
            with open(path, "rb") as file:
                return png_of(file.read())
        except ValueError as error:
            raise ResourceFailed(f"QEMU's picture cannot be read: {error}") from error
        finally:
            with contextlib.suppress(OSError):
                os.unlink(path)

    def _save(self, context: Context) -> None:
        """The machine is offline afterwards, as if its guest had switched itself off, and its memory is kept."""
        machine = self._running()
        teller = machine.watch.hush()
        try:
            saved_state.save(context, machine, self._state_path(context))
        except (ResourceFailed, CallCancelled):
            machine.watch.tell_again(teller)
            raise
        if teller is not None:
            teller.stopped("its memory was saved and the guest stopped")


def _action(body: bytes) -> OfflineAction | None:
    word = body.decode(errors="replace").strip()
    if not word:
        return None
    try:
        return OfflineAction(word)
    except ValueError:
        raise ResourceFailed(f"{word!r} is none of {', '.join(OfflineAction)}") from None


def silence_health(state: str) -> Health:
    """What a QEMU is that does not answer, by the kernel's letter for what it does. One that waits for a disk has not
    failed, and could not even be killed: it answers when the disk does. Pure."""
    return Health.CANNOT_TELL if state == "D" else Health.NO


def _process_words(pid: int, state: str) -> str:
    """What the kernel says about a QEMU that does not answer."""
    words = {"T": "is stopped (SIGSTOP)", "D": "waits for a disk", "Z": "has ended", "": "is gone"}
    return f"; process {pid} {words[state]}" if state in words else ""
