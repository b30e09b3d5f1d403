"""Is everything that a virtual machine is made of usable on this node?

Online reads the definition afresh and proves every path in it, so what was changed while the machine was offline is there on
the next node. A path that is wrong or missing fails this resource, with the path in the message, before the machine that
depends on it is tried. Nothing runs for it. What goes missing later harms nobody who runs: it is told, and is there again
when it is needed, or fails the start then.
"""

from clusterd.resource_api import (
    Context,
    Health,
    NotOnThisNode,
    Property,
    PropertyKind,
    ResourceFailed,
    ResourceType,
    UnknownControl,
)
from resource_types.machine_definition import Definition, definition_path, prove, read_definition
from resource_types.machine_definition.definition import paths_of
from resource_types.machine_definition.examination import examine_definitions
from resource_types.machine_definition.presence import Presence
from resource_types.physical_disk.places import places

PROBLEM_COUNT_SHOWN_MAX = 5


class VirtualMachineConfiguration(ResourceType):
    """The definition of one machine."""

    name = "virtual_machine_configuration"
    version = "1"
    says = "the definition of a virtual machine, and the proof that this node can use it"
    abilities = ("live-migration", "no-effect", "runs-nothing")
    properties = (
        Property(
            "definition",
            PropertyKind.TEXT,
            "absolute path of the definition, or the name of one in /etc/clusterd/machines",
            required=True,
            aliases=("VmStoreRootPath",),
        ),
    )

    def __init__(self) -> None:
        self._proven: Definition | None = None
        self._presence = Presence()

    def online(self, context: Context) -> None:
        if self._proven is None:
            self._proven = proven_definition(context, context.properties["definition"])

    def offline(self, context: Context) -> None:
        self._proven = None

    def prepare_migration(self, context: Context) -> str:
        """Nothing of it is moved; it is proven by the time at which the machine arrives."""
        self._proven = proven_definition(context, context.properties["definition"])
        return ""

    def abandon_migration(self, context: Context) -> None:
        self._proven = None

    def is_alive(self, context: Context) -> Health:
        if self._proven is None:
            return Health.NO
        path = definition_path(context.properties["definition"])
        trouble = self._presence.trouble([path, *paths_of(self._proven)])
        words = "what runs does not need it any more, its next start or move here does"
        context.concern(f"{trouble}: {words}" if trouble else "")
        return Health.YES

    @classmethod
    def examine(cls, question: str, body: bytes) -> bytes:
        """`definitions`: which are here, and where what they name lies on this node."""
        if question != "definitions":
            raise UnknownControl(question)
        return examine_definitions(body)


def proven_definition(context: Context, path_or_name: str) -> Definition:
    """Read and proven. Raises NotOnThisNode when the definition itself is not here, ResourceFailed for what it names."""
    path = definition_path(path_or_name)
    if not path.startswith("/"):
        raise ResourceFailed(f"definition {path!r} is not absolute: name it from the root on")
    found = read_definition(path)
    if not isinstance(found, Definition) and found[0].message == "No such file or directory":
        raise NotOnThisNode(f"there is no definition {path} on {context.node}: put it where every node has it")
    if isinstance(found, Definition):
        found = prove(found, lambda disk: places(context.cluster_id, context.node, disk).nbd)
    if isinstance(found, Definition):
        return found
    shown = "; ".join(str(each) for each in found[:PROBLEM_COUNT_SHOWN_MAX])
    more = f"; and {len(found) - PROBLEM_COUNT_SHOWN_MAX} more" if len(found) > PROBLEM_COUNT_SHOWN_MAX else ""
    raise ResourceFailed(f"definition {path} cannot be used on {context.node}: {shown}{more}")
