"""Do group sets make sense alone and together? Pure.

A group is in at most one set, sets depend on sets that exist, and nothing waits for itself: not through providers, and not
through a global set, on which every group outside it depends but those that it depends on itself.
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from typing import NamedTuple

from clusterd.model.ids import key_of
from clusterd.model.records import GroupSetRecord
from clusterd.model.relations import refusal
from clusterd.model.settings import ClusterSettings, group_set_settings
from clusterd.model.settings_check import nearest

_ABILITY_OF_SETTING: Mapping[str, str] = {"os-heartbeat": "os-heartbeat", "application-ready": "application-ready"}
"""What a resource type must be able to tell before a set can become ready that way."""


class GroupSetProblem(NamedTuple):
    """Why a set is refused, and which part of it is at fault."""

    name: str
    part: str
    text: str


def group_set_problems(
    sets: Sequence[GroupSetRecord], *, cluster: ClusterSettings, abilities: Set[str]
) -> list[GroupSetProblem]:
    """Every reason to refuse these sets together. `abilities` are those of any resource type there is."""
    return [
        *_membership_problems(sets),
        *_provider_problems(sets),
        *(problem for each in sets for problem in _readiness_problems(each, cluster, abilities)),
    ]


def _membership_problems(sets: Sequence[GroupSetRecord]) -> list[GroupSetProblem]:
    problems: list[GroupSetProblem] = []
    home: dict[str, GroupSetRecord] = {}
    for each in sets:
        for number, group in enumerate(each.groups):
            first = home.setdefault(key_of(group), each)
            if first is not each:
                text = f"group {group} is in set {first.name} already: a group is in at most one set; take it out there"
                problems.append(GroupSetProblem(each.name, f"groups[{number}]", refusal("one-set-per-group", text)))
    return problems


def _provider_problems(sets: Sequence[GroupSetRecord]) -> list[GroupSetProblem]:
    problems: list[GroupSetProblem] = []
    known = {key_of(each.name): each for each in sets}
    for each in sets:
        for number, name in enumerate(each.providers):
            part = f"providers[{number}]"
            if key_of(name) == key_of(each.name):
                text = f"set {each.name} cannot depend on itself: leave it out"
                problems.append(GroupSetProblem(each.name, part, refusal("providers-exist", text)))
            elif key_of(name) not in known:
                others = [str(other.name) for other in sets if other is not each]
                text = f"there is no group set {name}: {nearest(name, others).replace('valid are', 'there are')}"
                problems.append(GroupSetProblem(each.name, part, refusal("providers-exist", text)))
    return problems + _cycles(known)


def _cycles(known: Mapping[str, GroupSetRecord]) -> list[GroupSetProblem]:
    """Sets that wait for each other. What stays when everything satisfiable is peeled off is in, or behind, a cycle."""
    waits_for = waits_of(known.values())
    waiting = sorted(known)
    while ready := [key for key in waiting if not waits_for[key] & set(waiting)]:
        waiting = [key for key in waiting if key not in ready]
    problems: list[GroupSetProblem] = []
    told: set[str] = set()
    for start in waiting:
        path: list[str] = []
        key = start
        while key not in path and key not in told:
            path.append(key)
            key = min(waits_for[key] & set(waiting))
        if key in path:
            circle = [known[each] for each in path[path.index(key) :]]
            names = " → ".join(str(each.name) for each in [*circle, circle[0]])
            is_global = any(group_set_settings(each).is_global for each in circle)
            why = "; every group outside a global set waits for it" if is_global else ""
            text = f"group sets wait for each other in a circle: {names}{why}"
            problems.append(GroupSetProblem(circle[0].name, "providers", refusal("no-circles", text)))
        told.update(path)
    return problems


def waits_of(sets: Iterable[GroupSetRecord]) -> dict[str, set[str]]:
    """Which sets each set waits for, by folded name: its providers, and every global set that does not wait for it."""
    known = {key_of(each.name): each for each in sets}
    providers = {key: {key_of(name) for name in each.providers} & known.keys() - {key} for key, each in known.items()}
    everywhere = {key: _below(key, providers) for key, each in known.items() if group_set_settings(each).is_global}
    return {
        key: direct | {name for name, below in everywhere.items() if name != key and key not in below}
        for key, direct in providers.items()
    }


def _below(start: str, providers: Mapping[str, Set[str]]) -> set[str]:
    """Everything that a set depends on, directly or not."""
    found: set[str] = set()
    waiting = [start]
    while waiting:
        new = providers[waiting.pop()] - found
        found |= new
        waiting += sorted(new)
    return found


def _readiness_problems(each: GroupSetRecord, cluster: ClusterSettings, abilities: Set[str]) -> list[GroupSetProblem]:
    settings = group_set_settings(each)
    problems: list[GroupSetProblem] = []
    if settings.startup_count is not None and each.groups and settings.startup_count > len(each.groups):
        text = (
            f"startup_count is {settings.startup_count} and set {each.name} has {len(each.groups)} groups: "
            "it would never be ready; lower it, or say all"
        )
        problems.append(GroupSetProblem(each.name, "properties.startup_count", refusal("count-within-set", text)))
    ability = _ABILITY_OF_SETTING.get(settings.startup_setting)
    if ability is not None and ability not in abilities:
        text = (
            f"startup_setting {settings.startup_setting} needs a resource type that reports it, and none does: "
            f"set {each.name} would never be ready; say delay or online"
        )
        problems.append(
            GroupSetProblem(each.name, "properties.startup_setting", refusal("readiness-is-reported", text))
        )
    if settings.startup_delay_ms >= cluster.group_dependency_timeout_ms:
        text = (
            f"startup_delay of set {each.name} is {settings.startup_delay_ms // 1000} s and group_dependency_timeout of "
            f"the cluster {cluster.group_dependency_timeout_ms // 1000} s: those that depend on it would be started "
            "before it is ready; it must be shorter"
        )
        problems.append(GroupSetProblem(each.name, "properties.startup_delay", refusal("delay-within-timeout", text)))
    return problems
