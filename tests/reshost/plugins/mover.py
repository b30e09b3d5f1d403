"""A resource type that migrates live through files: a counter goes on where it stood still."""

import os
import threading
import time

from clusterd.resource_api import Context, Health, Property, PropertyKind, ResourceFailed, ResourceType

TICK_S = 0.002
STOOD_STILL_MS = 7
"""What it says of itself, for it knows no better."""


class Mover(ResourceType):
    """A thread that counts, and writes each step with node, generation and time: nobody else may write meanwhile."""

    name = "mover"
    abilities = ("live-migration",)
    properties = (
        Property("folder", PropertyKind.TEXT, "where counters, memories and the ledger lie", required=True),
        Property("slow", PropertyKind.DURATION, "how long a move takes", default=0, unit="ms"),
    )

    def __init__(self) -> None:
        self._count = 0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._memory = ""

    def online(self, context: Context) -> None:
        if self._thread is not None:
            return
        if self._memory and os.path.exists(self._memory):
            with open(self._memory, encoding="ascii") as file:
                self._count = int(file.read())
            os.unlink(self._memory)
        self._go_on(context)

    def offline(self, context: Context) -> None:
        self._note(context, f"offline {context.reason} {context.move_kind}")
        self._halt()

    def terminate(self, context: Context) -> None:
        self._halt()

    def is_alive(self, context: Context) -> Health:
        return Health.of(self._thread is not None and self._thread.is_alive())

    def prepare_migration(self, context: Context) -> str:
        self._memory = os.path.join(context.properties["folder"], f"memory-{context.node}-{time.monotonic_ns()}")
        return self._memory

    def migrate(self, context: Context, prepared: str) -> int:
        for step in range(10):
            context.progress(f"migrating: {step * 10} %")
            context.pause(context.properties["slow"] // 10)
        if not os.path.isdir(os.path.dirname(prepared)):
            raise ResourceFailed("the other side is gone")
        self._halt()
        with open(f"{prepared}.part", "w", encoding="ascii") as file:
            file.write(str(self._count))
        os.rename(f"{prepared}.part", prepared)
        return STOOD_STILL_MS

    def resume_after_migration(self, context: Context) -> None:
        self._go_on(context)

    def abandon_migration(self, context: Context) -> None:
        self._note(context, "abandoned")
        if self._memory and os.path.exists(self._memory):
            os.unlink(self._memory)
        self._memory = ""

    def _go_on(self, context: Context) -> None:
        self._stop = threading.Event()
        path = os.path.join(context.properties["folder"], "ledger")
        who = f"{context.node} {context.generation}"
        self._thread = threading.Thread(target=self._run, args=(path, who, self._stop), daemon=True)
        self._thread.start()

    def _run(self, path: str, who: str, stop: threading.Event) -> None:
        with open(path, "a", encoding="ascii", buffering=1) as file:
            while not stop.wait(TICK_S):
                self._count += 1
                file.write(f"{time.clock_gettime_ns(time.CLOCK_BOOTTIME)} {who} {self._count}\n")

    def _halt(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        self._thread = None

    def _note(self, context: Context, text: str) -> None:
        with open(os.path.join(context.properties["folder"], "notes"), "a", encoding="ascii") as file:
            file.write(f"{context.node} {text}\n")


class Scenery(ResourceType):
    """What a mover stands on: it is made ready, and has nothing to move."""

    name = "scenery"
    abilities = ("live-migration",)

    def online(self, context: Context) -> None:
        """It is there."""

    def offline(self, context: Context) -> None:
        """It is there, and nobody looks."""

    def is_alive(self, context: Context) -> Health:
        return Health.YES

    def prepare_migration(self, context: Context) -> str:
        return ""

    def migrate(self, context: Context, prepared: str) -> None:
        raise ResourceFailed("there is nothing to move")
