"""How does a guest learn what time it is, after it stood still? I/O: its agent, asked beside everything else.

To a guest that stood still (its memory was in a file, its storage was full) no time has passed. Who has an agent is told the
time as soon as that answers; who has none finds out by itself, or not.
"""

import threading
import time

from resource_types.virtual_machine.heartbeat import set_clock
from resource_types.virtual_machine.machine import Machine

WITHIN_S = 60.0
EVERY_S = 0.25


class GuestClock:
    """The clock of one guest."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def set_soon(self) -> None:
        if self._machine.definition.guest_agent != "none":
            threading.Thread(target=self._set, name="clock of a guest", daemon=True).start()

    def _set(self) -> None:
        until = time.monotonic() + WITHIN_S
        while time.monotonic() < until and not self._machine.is_forgotten:
            if set_clock(self._machine.folder.guest_agent, is_cancelled=lambda: self._machine.is_forgotten):
                return
            time.sleep(EVERY_S)
