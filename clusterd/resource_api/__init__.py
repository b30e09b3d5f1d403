"""Pure contract. What does an author of a resource type need? Standard library only; imports nothing of clusterd.

from clusterd.resource_api import Context, Health, Property, PropertyKind, ResourceFailed, ResourceType

class Lamp(ResourceType):
    name = "lamp"
    says = "a process that burns"
    properties = (Property("command", PropertyKind.LIST, "what to run", required=True),)

    def online(self, context: Context) -> None:
        context.processes.start(context.properties["command"], watch=True)

    def offline(self, context: Context) -> None:
        context.processes.stop(grace_ms=2000)

    def is_alive(self, context: Context) -> Health:
        return Health.of(context.processes.main_is_running())
"""

from clusterd.resource_api.contract import (
    CallCancelled,
    CannotTell,
    Context,
    Exit,
    Finished,
    Health,
    NotOnThisNode,
    NotReachable,
    Process,
    Processes,
    ResourceFailed,
    ResourceType,
    StartRefused,
    UnknownControl,
)
from clusterd.resource_api.properties import (
    Problem,
    Property,
    PropertyKind,
    duration_ms,
    effective,
    schema_of,
    validate,
)

__all__ = [
    "CallCancelled",
    "CannotTell",
    "Context",
    "Exit",
    "Finished",
    "Health",
    "NotOnThisNode",
    "NotReachable",
    "Problem",
    "Process",
    "Processes",
    "Property",
    "PropertyKind",
    "ResourceFailed",
    "ResourceType",
    "StartRefused",
    "UnknownControl",
    "duration_ms",
    "effective",
    "schema_of",
    "validate",
]
