"""Is the guest well, as far as that is seen from outside? I/O: the monitor and the guest agent.

A guest whose agent answered and does not any more may hang. It does not while its disks work, and a guest that goes down
stops its agent first: an agent that closed its port left in good order, and after the power button was pressed the guest has
the time that any other way to go down has. A guest that stands still because its storage is full is well, and is tried again
with every look.
"""

import contextlib
import time

from clusterd.resource_api import Context, ResourceFailed
from resource_types.virtual_machine.concerns import Topic
from resource_types.virtual_machine.guest_clock import GuestClock
from resource_types.virtual_machine.heartbeat import Heard, Heartbeat
from resource_types.virtual_machine.machine import Machine
from resource_types.virtual_machine.qmp import MonitorError

NO_ROOM_STATUS = "io-error"
SETTLED_MS = 2000
"""A guest that was let go on and still runs then had room for what it wanted to write."""
_LOOK_WITHIN_MS = 250
_FAILED_STATUS = {
    "guest-panicked": "the guest panicked",
    "internal-error": "QEMU cannot run the guest any further (internal error)",
    NO_ROOM_STATUS: "QEMU stopped the guest because of a disk error",
    "watchdog": "the guest's watchdog ran out",
}


class GuestHealth:
    """Of one run of a machine on this node."""

    def __init__(self, heartbeat: Heartbeat | None = None) -> None:
        self.heartbeat = heartbeat or Heartbeat()
        self._silent_since_s = 0.0

    def failure(self, machine: Machine, status: str) -> str:
        """Why a guest of that status has failed; empty when it has not. Tries again what only lacked room."""
        waits = machine.watch.concerns.of(Topic.NO_ROOM)
        if waits and status == NO_ROOM_STATUS:
            with contextlib.suppress(MonitorError):  # the next look tries again, and sees a QEMU that does not answer
                machine.call("cont", within_ms=_LOOK_WITHIN_MS)
            return ""
        if waits and status == "running" and machine.watch.runs_for_ms() >= SETTLED_MS:
            machine.watch.concerns.note(Topic.NO_ROOM, "")
            GuestClock(machine).set_soon()
        return machine.watch.panic or _FAILED_STATUS.get(status, "")

    def expect_heartbeat(self, context: Context, machine: Machine) -> None:
        """Raises ResourceFailed for a guest that hangs, CallCancelled."""
        if machine.definition.guest_agent == "none" or not context.properties["check_heartbeat"]:
            return
        if machine.watch.agent_has_left:
            self.heartbeat.forget()
        limit_ms = context.properties["heartbeat_timeout"]
        before = self._disk_work(context, machine)
        heard = self.heartbeat.beats(
            machine.folder.guest_agent,
            boot_count=machine.watch.boot_count,
            within_ms=limit_ms,
            is_cancelled=context.is_cancelled,
        )
        if heard is not Heard.SILENT or machine.watch.agent_has_left or machine.watch.is_off:
            self._silent_since_s = 0.0
            machine.watch.concerns.note(Topic.AGENT, "")
            return
        self._silent_since_s = self._silent_since_s or time.monotonic() - limit_ms / 1000
        because = self._why_patient(context, machine, before)
        if not because:
            raise ResourceFailed(f"the guest's agent answered before and did not for {limit_ms} ms: the guest hangs")
        silent_s = round(time.monotonic() - self._silent_since_s)
        machine.watch.concerns.note(Topic.AGENT, f"the guest's agent does not answer, but {because}")
        context.log.debug(f"{context.resource}: its agent is silent for {silent_s} s")

    def _why_patient(self, context: Context, machine: Machine, work_before: int) -> str:
        asked_s = machine.watch.asked_to_go_down_at_s
        if asked_s and time.monotonic() - asked_s < context.properties["offline_timeout"] / 1000:
            return "its power button was pressed: it is given the time to go down"
        return "its disks work" if self._disk_work(context, machine) != work_before else ""

    def _disk_work(self, context: Context, machine: Machine) -> int:
        return machine.disk_work(context=context, within_ms=context.properties["check_timeout"])
