"""A resource type that claims a file: what it says there is the storage's word about who may use it."""

import os

from clusterd.resource_api import Context, Health, Property, PropertyKind, ResourceFailed, ResourceType


class Unit(ResourceType):
    """The file holds the generation that claimed it last."""

    name = "unit"
    abilities = ("storage-fence",)
    properties = (
        Property("file", PropertyKind.TEXT, "where the claim lies", required=True),
        Property("slow", PropertyKind.DURATION, "how long a fence takes", default=0, unit="ms"),
    )

    def online(self, context: Context) -> None:
        self._claim(context)

    def offline(self, context: Context) -> None:
        """The claim may stay: it is its own."""

    def is_alive(self, context: Context) -> Health:
        return Health.YES

    def fence(self, context: Context) -> str:
        context.processes.start(["sleep", "1000"])
        context.pause(context.properties["slow"])
        return f"claimed after {self._claim(context)}"

    def _claim(self, context: Context) -> int:
        path = context.properties["file"]
        before = 0
        if os.path.exists(path):
            with open(path, encoding="ascii") as file:
                before = int(file.read())
        if before > context.generation:
            raise ResourceFailed(f"generation {before} has it")
        with open(path, "w", encoding="ascii") as file:
            file.write(str(context.generation))
        return before
