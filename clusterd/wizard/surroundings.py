"""Into which cluster would the machine come? Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class HostFacts:
    """A node as a place for machines. None: not limited or not known."""

    name: str
    hypervisor: str = ""
    """Version of QEMU; empty: there is none."""
    vendor: str = ""
    flags: frozenset[str] = frozenset()
    memory_mib: int | None = None
    memory_free_mib: int | None = None
    silence: str = ""
    """Why it said nothing."""


@dataclass(frozen=True, slots=True)
class ClusterDisk:
    """A disk resource. A group of "" means that it is only planned."""

    resource: str
    group: str
    mount_point: str = ""
    """As written in its properties; `{node}` stands for the node's name."""
    place: str = ""
    """Its device or image, for machines that use it raw."""
    volume: str = ""
    """The id that it must have, as definitions may name it."""
    online_on: str = ""
    """The node that has it online now; what is not there on that node is nowhere."""

    def covers(self, path: str, node: str) -> bool:
        folder = self.mount_point.replace("{node}", node).rstrip("/")
        is_below = bool(folder) and (path == folder or path.startswith(folder + "/"))
        return is_below or (bool(self.place) and path == self.place)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What there is already. Names are compared without regard to case, by the caller's `key`-ed sets."""

    hosts: tuple[HostFacts, ...] = ()
    disks: tuple[ClusterDisk, ...] = ()
    protected: Mapping[str, str] = field(default_factory=dict)
    """Definitions that a machine resource has already: path → resource."""
    group_keys: frozenset[str] = frozenset()
    resource_keys: frozenset[str] = frozenset()

    def host(self, name: str) -> HostFacts:
        return next(
            (each for each in self.hosts if each.name == name), HostFacts(name, silence="it is not in the cluster")
        )
