"""What does a new resource type begin with? Pure.

A whole one that works: it runs a command, and says in comments where to put what is different.
"""

from clusterd.model.ids import name_problem

_TEMPLATE = '''"""How is a @NAME@ run as a clustered resource?

Put this file into the plug-in folder of every node; try it first:

    clusterctl resource-type test @NAME@.py
"""

from clusterd.resource_api import Context, Health, Property, PropertyKind, ResourceFailed, ResourceType


class @CLASS@(ResourceType):
    """One object is made for each resource when it goes online; calls come one at a time, in threads."""

    name = "@NAME@"
    version = "1"
    says = "a command that is kept running"
    properties = (
        Property("command", PropertyKind.LIST, "the program and its arguments", default=["sleep", "1000000"]),
        Property(
            "stop_grace",
            PropertyKind.DURATION,
            "how long it may take to stop before it is killed",
            default=5000,
            unit="ms",
            minimum=0,
        ),
    )
    # The host tells the end of a watched process at once, so looks_alive need not be polled.
    tells_failure = True

    def online(self, context: Context) -> None:
        """Returns when it is up. Everything is started through `context.processes`: only then does it die with the
        resource. Long work says context.progress(...) now and then, and waits with context.pause(...)."""
        if context.processes.main_is_running():
            return
        process = context.processes.start(context.properties["command"], watch=True)
        if process.exit is not None:
            raise ResourceFailed(f"it {process.exit}: {context.processes.output()}")

    def offline(self, context: Context) -> None:
        """Stop in good order. What is left is killed by the host, and so is everything on `terminate`."""
        context.processes.stop(grace_ms=context.properties["stop_grace"])

    def is_alive(self, context: Context) -> Health:
        """The thorough check, every minute. CANNOT_TELL fails nothing; raise ResourceFailed to say no with a reason."""
        return Health.of(context.processes.main_is_running())
'''


def new_resource_type(name: str) -> str:
    """The text of a plug-in file. Raises ValueError when the name cannot be a Python module and a resource type."""
    problem = name_problem(name)
    if problem or not name.isidentifier() or name.lower() != name:
        raise ValueError(f"{name!r} cannot name a resource type: {problem or 'use small letters, digits and _'}")
    class_name = "".join(word.capitalize() for word in name.split("_") if word)
    return _TEMPLATE.replace("@NAME@", name).replace("@CLASS@", class_name)
