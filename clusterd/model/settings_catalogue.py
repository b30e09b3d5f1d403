"""Which common properties can an operator set, and which values are sensible? Pure.

Every property with its scope, both spellings, unit, default, range and what happens when it is too small or too large. Only
what this version acts on is here: a property that is accepted and does nothing would be a lie. `NOT_YET` says why the
reference's others are refused.
"""

from collections.abc import Mapping
from types import MappingProxyType

from clusterd.model import settings_cluster, settings_groups, settings_resources
from clusterd.model.errors import invariant
from clusterd.model.setting import ALL_ONES, Kind, Scope, Setting

SETTINGS: tuple[Setting, ...] = settings_cluster.SETTINGS + settings_groups.SETTINGS + settings_resources.SETTINGS

_BY_SCOPE: Mapping[Scope, Mapping[str, Setting]] = MappingProxyType(
    {scope: MappingProxyType({each.name: each for each in SETTINGS if each.scope is scope}) for scope in Scope}
)

_ISOLATION = "nodes keep no workloads without their lease until storage fencing is verified, so there is nothing to set"
_WANTED = "what is wanted survives every restart already: use 'online' and 'offline'"

NOT_YET: Mapping[Scope, Mapping[str, str]] = MappingProxyType(
    {
        Scope.CLUSTER: MappingProxyType(
            {
                "cross_subnet_delay": "all nodes are taken for one subnet",
                "cross_subnet_threshold": "all nodes are taken for one subnet",
                "dynamic_quorum": "votes do not change by themselves",
                "resiliency_level": _ISOLATION,
                "resiliency_default_period": _ISOLATION,
                "add_evict_delay": "nodes are not added to a running cluster",
            }
        ),
        Scope.NODE: MappingProxyType({"node_weight": "every node has one vote"}),
        Scope.GROUP: MappingProxyType(
            {
                "resiliency_period": _ISOLATION,
                "default_owner": "it is the last owner, and follows from moves",
                "persistent_state": _WANTED,
                "group_type": "it follows from the resources",
                "placement_options": "the reference gives it no meaning",
                "fault_domain": "nodes have fault domains; for groups there are rules",
                "update_domain": "the reference gives it no meaning",
            }
        ),
        Scope.RESOURCE: MappingProxyType({"persistent_state": _WANTED}),
        Scope.RESOURCE_TYPE: MappingProxyType(
            {"maximum_monitors": "each resource that crashed gets a host of its own"}
        ),
    }
)


def settings_of(scope: Scope) -> Mapping[str, Setting]:
    """The properties of one scope by their snake-case name, in the order of the table."""
    return _BY_SCOPE[scope]


def setting(scope: Scope, name: str) -> Setting:
    """The property of that exact snake-case name; it must exist."""
    settings = settings_of(scope)
    invariant(name in settings, f"there is no {scope} property {name}")
    return settings[name]


__all__ = ["ALL_ONES", "NOT_YET", "SETTINGS", "Kind", "Scope", "Setting", "setting", "settings_of"]
