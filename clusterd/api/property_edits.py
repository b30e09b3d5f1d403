"""What do given properties make of the stored ones, what differs then, and may anybody store that now? Pure.

A value of None takes a property back to its default. Values are checked each for itself first, then together.
"""

from collections.abc import Mapping

from clusterd.api.checks import PartProblem, refuse_bad
from clusterd.database import DatabaseView
from clusterd.model.errors import Conflict
from clusterd.model.ids import name_problem
from clusterd.model.records import Json
from clusterd.model.settings_catalogue import Scope, Setting, settings_of
from clusterd.model.settings_check import check_properties, find_setting, unknown_property, value_text
from clusterd.model.settings_relations import relation_problems

TEXT_SHOWN_MAX = 80


def merged(scope: Scope, before: Mapping[str, Json], given: Mapping[str, Json]) -> dict[str, Json]:
    """Present values with the given ones over them. Raises BadInput with every problem."""
    taken_away = {name: find_setting(scope, name) for name, value in given.items() if value is None}
    checked = check_properties(scope, {name: value for name, value in given.items() if value is not None})
    problems = [PartProblem(each.name, each.text) for each in checked.problems]
    problems += [
        PartProblem(name, unknown_property(scope, name)) for name, found in taken_away.items() if found is None
    ]
    without = {found.name for found in taken_away.values() if found is not None}
    problems += [
        PartProblem(name, f"{name} is both set and taken back to its default")
        for name in sorted(without & checked.values.keys())
    ]
    after = {name: value for name, value in {**before, **checked.values}.items() if name not in without}
    if not problems and scope is not Scope.CLUSTER:  # the cluster's are refused with what only a running one forbids
        problems = [PartProblem("", text) for text in relation_problems(scope, after)]
    refuse_bad(problems, f"{scope} properties")
    return after


def property_changes(scope: Scope, before: Mapping[str, Json], after: Mapping[str, Json]) -> list[str]:
    """'restart_delay: 500ms by default → 2s' for every common property that differs."""
    return [
        f"{name}: {_written(setting, before)} → {_written(setting, after)}"
        for name, setting in settings_of(scope).items()
        if before.get(name) != after.get(name)
    ]


def _written(setting: Setting, values: Mapping[str, Json]) -> str:
    default: Json = list(setting.default) if isinstance(setting.default, tuple) else setting.default
    text = value_text(setting, values.get(setting.name, default)) or "none"
    unit = f" {setting.unit}" if setting.unit and text.isdecimal() else ""
    shown = text + unit if len(text) <= TEXT_SHOWN_MAX else text[: TEXT_SHOWN_MAX - 1] + "…"
    return shown if setting.name in values else f"{shown} by default"


def refuse_name(name: str) -> None:
    """Raise BadInput when nothing can be called so."""
    problem = name_problem(name)
    refuse_bad([PartProblem("name", problem)] if problem else [], f"{name!r}")


def refuse_other_revision(view: DatabaseView, key: str, revision: int | None) -> None:
    """Raise Conflict, with the newer revision, when the caller looked at an older one."""
    present = view.revision_of(key)
    if revision is not None and revision != present:
        raise Conflict(
            f"{key} is at revision {present} now, not {revision}: somebody changed it meanwhile",
            key=key,
            revision=present,
            hint=f"look at it again, then repeat the change with --if-revision {present}",
        )
