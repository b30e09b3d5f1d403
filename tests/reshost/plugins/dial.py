"""A resource type that does what its properties say: a real one, with dials."""

import os
import threading
import time
from typing import Any

from clusterd.resource_api import (
    CallCancelled,
    Context,
    Health,
    NotOnThisNode,
    Property,
    PropertyKind,
    ResourceFailed,
    ResourceType,
)

BAD_STARTS: dict[str, dict[str, Any]] = {
    "tag": {"environment": {"CLUSTERD_NODE_TAG": "none"}},
    "number": {"environment": {"A": 1}},
    "equals": {"environment": {"A=B": "1"}},
    "half": {"environment": {"A": "\ud800"}},
    "folder": {"working_directory": "/a\0b"},
    "user": {"user": "a\0b"},
}


class Dial(ResourceType):
    name = "dial"
    properties = (
        Property("online", PropertyKind.TEXT, "what online does", default="succeed"),
        Property("offline", PropertyKind.TEXT, "what offline does", default="succeed"),
        Property("looks", PropertyKind.TEXT, "what looks_alive says", default="yes"),
        Property("alive", PropertyKind.TEXT, "what is_alive says", default="yes"),
        Property("command", PropertyKind.LIST, "what online starts"),
        Property("flag", PropertyKind.TEXT, "is_alive says yes while this file is there"),
        Property("wait", PropertyKind.DURATION, "how long it takes", default=0, unit="ms"),
    )

    def online(self, context: Context) -> None:
        command = context.properties["command"]
        if command and context.properties["online"] != "bad-start":
            context.processes.start(command)
        self._do(context, context.properties["online"])

    def offline(self, context: Context) -> None:
        self._do(context, context.properties["offline"])

    def looks_alive(self, context: Context) -> Health:
        return Health(context.properties["looks"])

    def is_alive(self, context: Context) -> Health:
        word = context.properties["alive"]
        if context.properties["flag"]:
            return Health.of(os.path.exists(context.properties["flag"]))
        if word == "hang":
            time.sleep(context.properties["wait"] / 1000)
        if word == "broken":
            raise ZeroDivisionError("a defect of the type")
        if word == "reason":
            raise ResourceFailed("the tank is empty")
        return Health(word) if word in list(Health) else Health.YES

    def control(self, context: Context, verb: str, body: bytes) -> bytes:
        if verb == "complain":
            context.embedded_failure(body.decode()) if body else context.embedded_well()
            return b""
        return f"{verb} {context.resource}".encode() + body if verb == "echo" else super().control(context, verb, body)

    def _do(self, context: Context, word: str) -> None:
        match word:
            case "hang":  # a thread that cannot be woken
                time.sleep(context.properties["wait"] / 1000)
            case "wait":
                context.pause(context.properties["wait"])
            case "progress":
                for step in range(10):
                    context.pause(context.properties["wait"] // 10)
                    context.progress(f"step {step}")
            case "warn":
                context.log.warning("the dial sticks")
                context.log.warning("the needle was bent back")
            case "already-off":
                context.stopped("it switched itself off")
                context.log.info("it was off when it came")
            case "fail":
                raise ResourceFailed("the valve is closed")
            case "elsewhere":
                raise NotOnThisNode("there is no valve here")
            case "broken":
                raise ZeroDivisionError("a defect of the type")
            case "bad-start":
                context.processes.start(["true"], **BAD_STARTS[context.properties["command"][0]])
            case "late-start":  # goes on after it was given up
                try:
                    context.pause(context.properties["wait"])
                except CallCancelled:
                    context.processes.start(context.properties["command"])
            case "tell-failed":
                threading.Timer(0.05, context.failed, ["the needle fell"]).start()
            case "tell-stopped":
                threading.Timer(0.05, context.stopped, ["the work is done"]).start()


class SlowEnd(Dial):
    """Its terminate takes its time."""

    name = "slow_end"

    def terminate(self, context: Context) -> None:
        context.pause(2000)
