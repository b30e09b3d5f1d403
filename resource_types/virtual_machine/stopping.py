"""How does a machine stop in good order? I/O.

Each action has something to fall back on, so that at the end the machine is off whatever the guest does: save → shut down →
turn off. Only what can no longer be asked (a guest that panicked, is off already or is gone) is turned off at once.
"""

import contextlib

from clusterd.resource_api import Context, ResourceFailed
from resource_types.virtual_machine.declared import OfflineAction
from resource_types.virtual_machine.heartbeat import Heartbeat
from resource_types.virtual_machine.machine import Machine
from resource_types.virtual_machine.qmp import MonitorError
from resource_types.virtual_machine.saved_state import save

PROGRESS_EVERY_MS = 1000
MARGIN_MS = 2000
"""What is kept of the call's time for turning off."""
_CAN_BE_ASKED = ("running", "paused", "io-error")


def stop(context: Context, machine: Machine, heartbeat: Heartbeat, action: OfflineAction, state_path: str) -> None:
    """Afterwards nothing of the machine is left on this node. Raises CallCancelled; then the guest may still run."""
    teller = machine.watch.hush()
    try:
        _ask(context, machine, heartbeat, action, state_path)
    except BaseException:
        machine.watch.tell_again(teller)
        raise
    machine.end(context)


def _ask(context: Context, machine: Machine, heartbeat: Heartbeat, action: OfflineAction, state_path: str) -> None:
    status = _status(context, machine)
    if status not in _CAN_BE_ASKED or action is OfflineAction.TURN_OFF:
        return
    if action is OfflineAction.SAVE:
        try:
            save(context, machine, state_path)
            return
        except ResourceFailed as error:
            context.log.warning(f"{context.resource} is shut down instead of saved: {error}")
            context.progress(f"shutting down, because saving failed: {error}")
    if not _shut_down(context, machine, heartbeat, is_forced=action is OfflineAction.FORCED_SHUT_DOWN):
        limit_ms = context.properties["offline_timeout"]
        context.log.warning(f"{context.resource} did not switch itself off within {limit_ms} ms and was turned off")


def _status(context: Context, machine: Machine) -> str:
    try:
        return machine.status(within_ms=context.properties["check_timeout"], context=context)
    except MonitorError as error:
        context.log.warning(f"{context.resource} is turned off: {error}")
        return ""


def _shut_down(context: Context, machine: Machine, heartbeat: Heartbeat, *, is_forced: bool) -> bool:
    """Whether the guest switched itself off in time."""
    with contextlib.suppress(MonitorError):
        machine.call("cont", context=context)  # a paused guest sees no power button
    with contextlib.suppress(MonitorError):
        machine.call("system_powerdown", context=context)
    if is_forced:
        heartbeat.order_shutdown(machine.folder.guest_agent)
    left_ms = context.properties["offline_timeout"]
    while left_ms > 0 and context.remaining_ms() > MARGIN_MS:
        step_ms = min(left_ms, PROGRESS_EVERY_MS, context.remaining_ms())
        if machine.watch.wait(lambda: machine.watch.is_off or machine.has_ended, context, step_ms):
            return True
        left_ms -= step_ms
        context.progress(f"waiting for the guest to switch itself off, {left_ms} ms more")
    return machine.watch.is_off
