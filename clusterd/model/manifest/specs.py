"""What does a manifest ask for? Pure.

What a manifest names is described as a whole: a property left out has its default. `wanted` left out
leaves the present wish alone (a new one is wanted online), so applying a manifest starts or stops nothing by surprise.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from clusterd.model.ids import GroupId, NodeId, ResourceId
from clusterd.model.manifest.problems import ManifestProblem
from clusterd.model.records import Json, Properties
from clusterd.model.settings_catalogue import Scope
from clusterd.model.states import RuleKind, Wanted

# Short forms: key → the properties that its own keys stand for; several stand in one text, as in 22-6.
ALIASES: Mapping[Scope, Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    Scope.RESOURCE: {
        "restart": {
            "action": ("restart_action",),
            "threshold": ("restart_threshold",),
            "period": ("restart_period",),
            "delay": ("restart_delay",),
            "retry": ("retry_period_on_failure",),
        },
    },
    Scope.GROUP: {
        "failback": {
            "type": ("auto_failback_type",),
            "window": ("failback_window_start", "failback_window_end"),
        },
    },
}


@dataclass(frozen=True, slots=True)
class Places:
    """Where an object and its parts stand in the text, for problems found later."""

    line: int
    path: str
    lines: Mapping[str, int] = field(default_factory=dict)

    def problem(self, part: str, message: str) -> ManifestProblem:
        """A problem of the part `part` (as in properties.command), or of the nearest part around it that has a line."""
        known = part
        while known and known not in self.lines:
            known = known[: max(known.rfind("."), known.rfind("["), 0)]
        path = f"{self.path}.{part}" if part and self.path else part or self.path
        return ManifestProblem(self.lines.get(known, self.line), path, message)


@dataclass(frozen=True, slots=True)
class ResourceSpec:
    """A resource as the manifest wants it. `properties` are the common ones, checked; `private` those of its type."""

    name: ResourceId
    type: str
    places: Places
    depends_on: str = ""
    possible_owners: tuple[NodeId, ...] = ()
    wanted: Wanted | None = None
    properties: Properties = field(default_factory=dict)
    private: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GroupSpec:
    """A group as the manifest wants it."""

    name: GroupId
    places: Places
    preferred_owners: tuple[NodeId, ...] = ()
    wanted: Wanted | None = None
    properties: Properties = field(default_factory=dict)
    resources: tuple[ResourceSpec, ...] = ()
    is_whole: bool = True
    """False: some of its resources could not be read, so what is missing may only seem so."""


@dataclass(frozen=True, slots=True)
class PropertiesSpec:
    """A node or a resource type as the manifest wants it: there is nothing to it but its properties."""

    name: str
    places: Places
    properties: Properties = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RuleSpec:
    """An affinity rule as the manifest wants it."""

    name: str
    places: Places
    kind: RuleKind
    groups: tuple[str, ...] = ()
    is_enabled: bool = True


@dataclass(frozen=True, slots=True)
class GroupSetSpec:
    """A group set as the manifest wants it."""

    name: str
    places: Places
    groups: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    properties: Properties = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Manifest:
    """A whole manifest. `cluster_properties` change only what they name."""

    cluster_places: Places
    cluster_properties: Properties = field(default_factory=dict)
    groups: tuple[GroupSpec, ...] = ()
    nodes: tuple[PropertiesSpec, ...] = ()
    resource_types: tuple[PropertiesSpec, ...] = ()
    group_sets: tuple[GroupSetSpec, ...] = ()
    rules: tuple[RuleSpec, ...] = ()
