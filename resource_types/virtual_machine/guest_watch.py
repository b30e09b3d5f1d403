"""What has befallen the guest? QEMU's events are noted here, told to the cluster, and waited for. Threads meet here.

`take` runs in the thread that reads the monitor. What the cluster must know is told through the context of the call that
brought the machine online; while the machine is being stopped or moved on purpose nothing is told.
"""

import errno
import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from clusterd.resource_api import CallCancelled, Context
from resource_types.virtual_machine.command_line import AGENT_DEVICE
from resource_types.virtual_machine.concerns import Concerns, Topic

# For want of room QEMU lets a guest stand still; for a quota it tells the guest (tests/vm/test_no_room.py).
QUOTA_HINT = "; raise the quota, and look at the guest's file system. On a physical_disk a guest stands still then"
_LOOK_EVERY_S = 0.05
_ENDED_MIGRATIONS = ("completed", "failed", "cancelled")


class GuestWatch:
    """The events of one QEMU."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._teller: Context | None = None
        self._shutdown_is_failure = False
        self.is_off = False
        """The guest switched itself off."""
        self.panic = ""
        self.reset_count = 0
        """How often the guest reset itself."""
        self.boot_count = 0
        """How often it began afresh, whoever wanted that."""
        self.io_error = ""
        """The last error of a disk since `forget_io_error`."""
        self.concerns = Concerns()
        self.agent_has_left = False
        """The guest closed its end of the agent's port, in good order: it goes down, or does without an agent."""
        self.asked_to_go_down_at_s = 0.0
        """When the power button was pressed last, by the monotonic clock; 0: never."""
        self.migration = ""
        """How far QEMU's migration is, in its own word."""
        self.stood_still_at_s = 0.0
        """When the guest stood still last, and when it went on: QEMU's own words, by the wall clock."""
        self.went_on_at_s = 0.0

    def tell(self, context: Context, *, shutdown_is_failure: bool) -> None:
        """From here on the cluster is told. What happened before is told now."""
        self._teller, self._shutdown_is_failure = context, shutdown_is_failure
        self.concerns.tell_through(context)
        if self.panic:
            context.failed(self.panic)
        elif self.is_off:
            self.tell_off()

    def hush(self) -> Context | None:
        """From here on nothing is told: what comes is wanted."""
        teller, self._teller = self._teller, None
        return teller

    def tell_again(self, teller: Context | None) -> None:
        """What was wanted did not come to pass; `teller` is what `hush` gave."""
        self._teller = teller
        if teller is not None and self.panic:
            teller.failed(self.panic)
        elif teller is not None and self.is_off:
            self.tell_off()

    def tell_off(self) -> None:
        teller = self._teller
        if teller is None:
            return
        if self._shutdown_is_failure:
            teller.failed("the guest switched itself off (shutdown_action: failed)")
        else:
            teller.stopped("the guest switched itself off")

    def forget_migration(self) -> None:
        self.migration = ""

    def forget_io_error(self) -> str:
        error, self.io_error = self.io_error, ""
        return error

    def take(self, event: str, data: Mapping[str, Any], at_s: float) -> None:
        with self._changed:
            self._note(event, data, at_s)
            self._changed.notify_all()

    def wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def wait(self, seen: Callable[[], bool], context: Context, within_ms: int) -> bool:
        """Wait until `seen`, which is asked after every event. Raises CallCancelled."""
        until = time.monotonic() + within_ms / 1000
        with self._changed:
            while not seen():
                if context.is_cancelled():
                    raise CallCancelled
                rest_s = until - time.monotonic()
                if rest_s <= 0:
                    return False
                self._changed.wait(min(_LOOK_EVERY_S, rest_s))
        return True

    def pause(self, duration_ms: int) -> None:
        """Until the next event, or that long: for what must be done although the call was given up."""
        with self._changed:
            self._changed.wait(duration_ms / 1000)

    def stands_still_for_ms(self) -> int:
        return _passed_ms(self.stood_still_at_s)

    def runs_for_ms(self) -> int:
        """Since it went on; 0 when it never stood still."""
        return _passed_ms(self.went_on_at_s) if self.went_on_at_s else 0

    def migration_ended(self) -> bool:
        return self.migration in _ENDED_MIGRATIONS

    def _note(self, event: str, data: Mapping[str, Any], at_s: float) -> None:
        match event:
            case "SHUTDOWN" if data.get("guest"):
                self.is_off = True
                self.tell_off()
            case "RESET":
                # Whoever asked for it: what ran before is over, and with it what was seen of it.
                self.panic, self.is_off = "", False
                self.boot_count += 1
                self.reset_count += 1 if data.get("guest") else 0
            case "GUEST_PANICKED":
                self.panic = f"the guest panicked{_panic_words(data)}"
                if self._teller is not None:
                    self._teller.failed(self.panic)
            case "BLOCK_IO_ERROR" if data.get("nospace"):
                self.concerns.note(
                    Topic.NO_ROOM,
                    f"the guest stands still: there is no room on the storage of disk {_disk_of(data)}; it goes on when "
                    "there is some",
                )
            case "BLOCK_IO_ERROR":
                hint = QUOTA_HINT if data.get("reason") == os.strerror(errno.EDQUOT) else ""
                self.io_error = f"disk {_disk_of(data)}: a {data.get('operation')} failed: {data.get('reason')}{hint}"
                if self._teller is not None:
                    self._teller.embedded_failure(self.io_error)
            case "STOP":
                self.stood_still_at_s = at_s
            case "RESUME":
                self.went_on_at_s = at_s
            case "POWERDOWN":
                self.asked_to_go_down_at_s = time.monotonic()
            case "VSERPORT_CHANGE" if data.get("id") == AGENT_DEVICE:
                self.agent_has_left = not data.get("open")
            case "MIGRATION":
                self.migration = str(data.get("status", ""))
            case _:
                pass


def _passed_ms(at_s: float) -> int:
    return max(0, round(1000 * (time.time() - at_s)))


def _disk_of(data: Mapping[str, Any]) -> str:
    return str(data.get("node-name") or data.get("device") or "a disk").removeprefix("disk-")


def _panic_words(data: Mapping[str, Any]) -> str:
    info = data.get("info")
    return f" ({info})" if info else ""
