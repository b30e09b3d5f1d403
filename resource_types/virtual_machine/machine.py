"""How is one QEMU started, spoken to and ended? I/O: a process of the containment, its monitor, its run folder."""

import contextlib
import os
import shutil
import time
from typing import Any

from clusterd.resource_api import CallCancelled, Context, NotOnThisNode, Process, ResourceFailed
from resource_types.machine_definition import Definition
from resource_types.machine_definition.definition import GuestAgent
from resource_types.virtual_machine.command_line import QEMU, Places, command_line
from resource_types.virtual_machine.console_relay import ConsoleRelay
from resource_types.virtual_machine.guest_watch import GuestWatch
from resource_types.virtual_machine.held_disks import HeldDisks
from resource_types.virtual_machine.qmp import Monitor, MonitorError, MonitorGone, MonitorRefused
from resource_types.virtual_machine.run_folder import RunFolder

CONNECT_EVERY_MS = 2
QUIT_WITHIN_MS = 2000
GONE_WITHIN_MS = 200
CALL_WITHIN_MS = 5000
OUTPUT_LINES = 10
OVER = ("shutdown", "guest-panicked", "internal-error")
"""QEMU's words for a guest that does not go on by itself any more."""
NOT_FINALIZED = "not finalized"
FINALIZED_WITHIN_S = 2.0
FINALIZED_LOOK_S = 0.001


class Machine:
    """One QEMU, from its start to its end. `start` makes it; whoever has it calls `end`."""

    def __init__(
        self,
        context: Context,
        definition: Definition,
        folder: RunFolder,
        process: Process,
        held: HeldDisks,
        console: ConsoleRelay,
    ) -> None:
        self.definition, self.folder, self.process = definition, folder, process
        self._held, self._console = held, console
        self.watch = GuestWatch()
        self.is_incoming = False
        """It waits for memory from elsewhere, or has it and was not continued."""
        self.was_moved = False
        """Its memory went elsewhere: to another node, or into a file."""
        self.is_forgotten = False
        """Nothing of it is held here any more."""
        self.served: tuple[tuple[int, int], ...] = ()
        """The sockets of its disks that it is connected to, of one that waits for memory."""
        self._monitor = self._connect(context)

    @property
    def version(self) -> str:
        return self._monitor.qemu_version

    @property
    def has_ended(self) -> bool:
        return self.process.exit is not None

    def call(
        self,
        command: str,
        arguments: dict[str, Any] | None = None,
        *,
        context: Context | None = None,
        within_ms: int = CALL_WITHIN_MS,
        descriptors: tuple[int, ...] = (),
    ) -> Any:
        """Raises MonitorError, and CallCancelled when a `context` is given and its call is given up."""
        return self._monitor.execute(
            command,
            arguments,
            within_ms=within_ms,
            descriptors=descriptors,
            is_cancelled=context.is_cancelled if context is not None else None,
        )

    def set_capability(self, name: str, *, is_on: bool) -> None:
        """One of QEMU's migration capabilities."""
        self.call("migrate-set-capabilities", {"capabilities": [{"capability": name, "state": is_on}]})

    def status(self, *, within_ms: int = CALL_WITHIN_MS, context: Context | None = None) -> str:
        """QEMU's own word: running, paused, shutdown, guest-panicked, postmigrate, …"""
        return str(self.call("query-status", within_ms=within_ms, context=context)["status"])

    def go_on(self) -> None:
        """Let the guest run (again). Takes the locks of its images.

        QEMU says that the memory is there a moment before it has closed the stream it came by, and refuses until then.
        """
        until = time.monotonic() + FINALIZED_WITHIN_S
        while True:
            try:
                self.call("cont")
                break
            except MonitorRefused as error:
                if NOT_FINALIZED not in str(error) or time.monotonic() >= until:
                    raise ResourceFailed(f"the guest cannot go on: {error}") from error
                time.sleep(FINALIZED_LOOK_S)
            except MonitorError as error:
                raise ResourceFailed(f"the guest cannot go on: {error}") from error
        self.is_incoming = self.was_moved = False

    def agent_is_there(self) -> bool:
        """Whether the guest holds its end of the agent's port open. A serial port does not tell."""
        if self.definition.guest_agent != GuestAgent.VIRTIO:
            return False
        ends = {each.get("label"): each.get("frontend-open") for each in self.call("query-chardev")}
        return bool(ends.get("agent"))

    def disk_work(self, *, context: Context, within_ms: int) -> int:
        """A number that rises with everything that the guest's disks do for it."""
        stats = [each.get("stats", {}) for each in self.call("query-blockstats", context=context, within_ms=within_ms)]
        return sum(int(each.get(f"{what}_operations", 0)) for each in stats for what in ("rd", "wr", "flush", "unmap"))

    def go_on_if_it_can(self) -> None:
        """For a guest that was made to stand still. One that is off or has panicked stays that, though QEMU would run it."""
        if self.status() not in ("running", *OVER):
            self.go_on()

    def reconnect(self, within_ms: int) -> None:
        """Open the monitor again when its connection was lost. Raises MonitorError."""
        if not self._monitor.is_open:
            self._monitor = self._new_monitor(within_ms)

    def end(self, context: Context) -> None:
        """Nothing of it is left when this returns. The guest is not asked."""
        self.watch.hush()
        try:
            if not self._quits(context):
                context.log.warning(f"QEMU {self.process.pid} did not quit and was killed")
            context.processes.kill()
        finally:
            self.forget()

    def _quits(self, context: Context) -> bool:
        """Whether it ended in good order. One that takes no orders any more is not waited for."""
        try:
            self.call("quit", context=context, within_ms=QUIT_WITHIN_MS)
        except MonitorGone:
            return self.process.wait(GONE_WITHIN_MS) is not None
        except MonitorError:
            return self.has_ended
        return self.process.wait(QUIT_WITHIN_MS) is not None

    def forget(self) -> None:
        """Close what this side holds. Wakes every call that waits for QEMU. May be repeated."""
        self.is_forgotten = True
        self._monitor.close()
        self.watch.wake()
        self._console.close()
        self.folder.remove()
        self._held.release()

    def _connect(self, context: Context) -> Monitor:
        while True:
            if os.path.exists(self.folder.monitor):
                with contextlib.suppress(MonitorGone):
                    return self._new_monitor(max(context.remaining_ms(), 1))
            if self.process.exit is not None:
                raise ResourceFailed(f"QEMU {self.process.exit}{output_words(context)}")
            if context.remaining_ms() <= 0:
                raise ResourceFailed(f"QEMU did not open its monitor in time{output_words(context)}")
            context.pause(CONNECT_EVERY_MS)

    def _new_monitor(self, within_ms: int) -> Monitor:
        return Monitor(self.folder.monitor, on_event=self.watch.take, on_end=self.watch.wake, within_ms=within_ms)


def start(context: Context, definition: Definition, *, is_incoming: bool = False) -> Machine:
    """A QEMU that runs the guest, or with `is_incoming` waits for its memory. Raises ResourceFailed."""
    if shutil.which(QEMU) is None:
        raise NotOnThisNode(f"there is no {QEMU} on {context.node}; install the package qemu-system-x86")
    held = HeldDisks(context.resource, definition)
    try:
        return _start(context, definition, held, is_incoming=is_incoming)
    except BaseException:
        held.release()
        raise


def _start(context: Context, definition: Definition, held: HeldDisks, *, is_incoming: bool) -> Machine:
    folder = RunFolder(context.properties["run_folder"], context.resource)
    console: ConsoleRelay | None = None
    try:
        console = _console(folder)
        command = command_line(
            definition,
            Places(folder.monitor, folder.serial, folder.guest_agent),
            name=context.resource,
            accelerator=context.properties["accelerator"],
            generation=context.generation,
            direct_paths=frozenset(disk.path for disk in definition.disks if _can_be_direct(disk.path)),
            is_incoming=is_incoming,
        )
        process = context.processes.start(command, watch=True)
        try:
            machine = Machine(context, definition, folder, process, held, console)
            machine.is_incoming = is_incoming
            machine.call("migrate-set-capabilities", {"capabilities": _CAPABILITIES}, context=context)
            return machine
        except BaseException:
            with contextlib.suppress(CallCancelled):
                context.processes.kill()
            raise
    except BaseException:
        if console is not None:
            console.close()
        folder.remove()
        raise


def _console(folder: RunFolder) -> ConsoleRelay:
    try:
        return ConsoleRelay(folder.serial, folder.console)
    except OSError as error:
        raise ResourceFailed(f"the sockets of the console in {folder.path} cannot be made: {error.strerror}") from error


_CAPABILITIES = [
    # An event for each step, so that nobody polls.
    {"capability": "events", "state": True},
    # Memory that has come in does not take the locks of the images: `cont` does.
    {"capability": "late-block-activate", "state": True},
    # A guest that writes faster than the network takes is slowed down until the move can end.
    {"capability": "auto-converge", "state": True},
]


def output_words(context: Context) -> str:
    output = context.processes.output(OUTPUT_LINES)
    return f"; its last output: {output}" if output else "; it wrote nothing"


def process_state(pid: int) -> str:
    """The kernel's letter for what the process does: T stopped, D waiting for a disk, …; empty when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return ""


def _can_be_direct(path: str) -> bool:
    """Whether the file system can go past the page cache."""
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_DIRECT | os.O_CLOEXEC))
    except OSError:
        return False
    return True
