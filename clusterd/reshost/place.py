"""Where does what runs for one resource under one generation belong? I/O: its containment, and parts of that for its checks.

A part is a containment of its own inside of the resource's, so that what a check leaves behind is found and ended without
touching the workload.
"""

from dataclasses import dataclass, field

from clusterd.adapters.containment import Keepers, NodeContainment, Roots, Scope
from clusterd.reshost.services import HostServices


@dataclass(slots=True)
class Place:
    """The containment of one run of a resource."""

    containment: NodeContainment
    incarnation: str
    host_id: str
    resource: str
    generation: int
    _part_count: int = field(default=0)

    @classmethod
    def of(cls, services: HostServices, resource: str, generation: int) -> "Place":
        return cls(services.containment, services.incarnation, services.host_id, resource, generation)

    def scope(self, roots: Roots, keepers: Keepers) -> Scope:
        return self.containment.resource(self.incarnation, self.host_id, self.resource, self.generation, roots, keepers)

    def tag(self, *part: str) -> dict[str, str]:
        return self.containment.tag(self.incarnation, self.host_id, f"{self.resource}.{self.generation}", *part)

    def part(self, roots: Roots, keepers: Keepers) -> tuple[Scope, dict[str, str]]:
        """A part of its own, and the tag of what is started in it."""
        self._part_count += 1
        name = f"+{self._part_count}"
        part = self.containment.part_of_resource(
            self.incarnation, self.host_id, self.resource, self.generation, name, roots, keepers
        )
        return part, self.tag(name)

    def adopt(self, group: str) -> None:
        self.containment.adopt(self.incarnation, self.host_id, self.resource, self.generation, group)
