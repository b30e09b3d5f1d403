"""Which common properties can an operator set, and which values are sensible? Pure.

Every property with its scope, both spellings, unit, default, range and what happens when it is too small or too large. Only
what this version acts on is here; `settings_not_yet` says why the reference's others are refused.
"""

from collections.abc import Mapping
from types import MappingProxyType

from clusterd.model import settings_cluster, settings_groups, settings_resources
from clusterd.model.errors import invariant
from clusterd.model.setting import ALL_ONES, Kind, Scope, Setting
from clusterd.model.settings_not_yet import NOT_YET

SETTINGS: tuple[Setting, ...] = settings_cluster.SETTINGS + settings_groups.SETTINGS + settings_resources.SETTINGS

_BY_SCOPE: Mapping[Scope, Mapping[str, Setting]] = MappingProxyType(
    {scope: MappingProxyType({each.name: each for each in SETTINGS if each.scope is scope}) for scope in Scope}
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
