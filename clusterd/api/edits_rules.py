"""What do changes of affinity rules and group sets put into the database? Pure. Planners for one object at a time."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from clusterd.api.checks import by_key, changed_parts, known_names, refuse, refuse_bad
from clusterd.api.plans import Asked, Plan, Planner
from clusterd.api.property_edits import merged, property_changes, refuse_name
from clusterd.api.relations import (
    expect_groups,
    guard,
    new_rule_problems,
    new_set_problems,
    notes_on_rule,
    with_rule,
    with_set,
)
from clusterd.api.rules_view import find_group_set, find_rule
from clusterd.database import DatabaseView, Draft
from clusterd.model import keys
from clusterd.model.errors import Refused
from clusterd.model.events import CONFIGURATION_APPLIED
from clusterd.model.ids import GroupId, key_of
from clusterd.model.records import GroupSetRecord, Json, RuleRecord
from clusterd.model.rules import GROUPS_LEAST
from clusterd.model.settings_catalogue import Scope
from clusterd.model.states import RuleKind


@dataclass(frozen=True, slots=True)
class RuleEdit:
    """What to change about a rule; None leaves a part alone."""

    kind: RuleKind | None = None
    groups: tuple[str, ...] | None = None
    is_enabled: bool | None = None


@dataclass(frozen=True, slots=True)
class GroupSetEdit:
    """What to change about a group set; None leaves a part alone."""

    groups: tuple[str, ...] | None = None
    providers: tuple[str, ...] | None = None
    properties: Mapping[str, Json] | None = None


# ---- rules ----


def rule_create(name: str, kind: RuleKind, edit: RuleEdit) -> Planner:
    def plan(view: DatabaseView, asked: Asked) -> Plan:
        refuse_name(name)
        there = view.get(RuleRecord, keys.rule(name))
        if there is not None:
            raise Refused(f"there is a rule {there.name} already", hint=f"to change it: clusterctl rule set {name} …")
        return _put_edited_rule(view, asked, None, RuleRecord(name, kind), edit)

    return plan


def rule_set(name: str, edit: RuleEdit) -> Planner:
    def plan(view: DatabaseView, asked: Asked) -> Plan:
        before = find_rule(view, name)
        return _put_edited_rule(view, asked, before, before, edit)

    return plan


def _put_edited_rule(
    view: DatabaseView, asked: Asked, before: RuleRecord | None, start: RuleRecord, edit: RuleEdit
) -> Plan:
    after = replace(
        start,
        kind=edit.kind or start.kind,
        is_enabled=start.is_enabled if edit.is_enabled is None else edit.is_enabled,
    )
    if edit.groups is not None:
        names, problems = known_names(edit.groups, by_key(each.name for each in view.groups()), "groups", "group")
        refuse_bad(problems, f"rule {after.name}")
        after = replace(after, groups=tuple(GroupId(each) for each in names))
    made = Plan(Draft(view))
    if after != before:
        told = [each.text for each in new_rule_problems(view, with_rule(view.rules(), after))]
        refuse(told, f"rule {after.name} is refused", hint="clusterctl rule list shows the rules there are")
        put_rule(view, asked, made, before, after)
        made.notes += notes_on_rule(after, view.nodes(), view.groups(), view.cluster())
    return made


def put_rule(view: DatabaseView, asked: Asked, plan: Plan, before: RuleRecord | None, after: RuleRecord) -> None:
    """Store a rule that was checked together with the others."""
    plan.draft.replace(after)
    guard(view, plan)
    expect_groups(plan, after.groups)
    details = rule_differences(before, after) if before else [after.kind.value, ", ".join(after.groups)]
    plan.add("update" if before else "create", "rule", after.name, *details)
    plan.event(asked, CONFIGURATION_APPLIED, str(plan.changes[-1]))


def rule_delete(name: str) -> Planner:
    def plan(view: DatabaseView, asked: Asked) -> Plan:
        record = find_rule(view, name)
        made = Plan(Draft(view))
        drop_rule(view, asked, made, record)
        return made

    return plan


def drop_rule(view: DatabaseView, asked: Asked, plan: Plan, record: RuleRecord, *why: str) -> None:
    plan.draft.delete(keys.rule(record.name))
    guard(view, plan)
    plan.add("delete", "rule", record.name, *why)
    plan.event(asked, CONFIGURATION_APPLIED, str(plan.changes[-1]))


def rule_differences(before: RuleRecord, after: RuleRecord) -> list[str]:
    return changed_parts(_rule_parts(before), _rule_parts(after))


def _rule_parts(record: RuleRecord) -> dict[str, object]:
    return {"kind": record.kind.value, "groups": record.groups, "enabled": record.is_enabled}


# ---- group sets ----


def group_set_create(name: str, edit: GroupSetEdit) -> Planner:
    def plan(view: DatabaseView, asked: Asked) -> Plan:
        refuse_name(name)
        there = view.get(GroupSetRecord, keys.group_set(name))
        if there is not None:
            hint = f"to change it: clusterctl group-set set {there.name} …"
            raise Refused(f"there is a group set {there.name} already", hint=hint)
        return _put_edited_set(view, asked, None, GroupSetRecord(name), edit)

    return plan


def group_set_set(name: str, edit: GroupSetEdit) -> Planner:
    def plan(view: DatabaseView, asked: Asked) -> Plan:
        before = find_group_set(view, name)
        return _put_edited_set(view, asked, before, before, edit)

    return plan


def _put_edited_set(
    view: DatabaseView, asked: Asked, before: GroupSetRecord | None, start: GroupSetRecord, edit: GroupSetEdit
) -> Plan:
    after = start
    if edit.groups is not None:
        names, problems = known_names(edit.groups, by_key(each.name for each in view.groups()), "groups", "group")
        refuse_bad(problems, f"group set {after.name}")
        after = replace(after, groups=tuple(GroupId(each) for each in names))
    if edit.providers is not None:
        there = by_key([*(each.name for each in view.group_sets()), after.name])
        names, problems = known_names(edit.providers, there, "providers", "group set")
        refuse_bad(problems, f"group set {after.name}")
        after = replace(after, providers=names)
    if edit.properties is not None:
        after = replace(after, properties=merged(Scope.GROUP_SET, start.properties, edit.properties))
    made = Plan(Draft(view))
    if after != before:
        told = [each.text for each in new_set_problems(view, with_set(view.group_sets(), after), view.cluster())]
        refuse(told, f"group set {after.name} is refused", hint="clusterctl group-set list shows the sets there are")
        put_group_set(view, asked, made, before, after)
    return made


def put_group_set(
    view: DatabaseView, asked: Asked, plan: Plan, before: GroupSetRecord | None, after: GroupSetRecord
) -> None:
    """Store a set that was checked together with the others."""
    plan.draft.replace(after)
    guard(view, plan)
    expect_groups(plan, after.groups)
    if not after.groups:
        plan.notes.append(f"group set {after.name} has no groups: what waits for it waits for group_dependency_timeout")
    details = group_set_differences(before, after) if before else [", ".join(after.groups) or "no groups yet"]
    plan.add("update" if before else "create", "group set", after.name, *details)
    plan.event(asked, CONFIGURATION_APPLIED, str(plan.changes[-1]))


def group_set_delete(name: str) -> Planner:
    """Delete a set; sets that depended on it do so no more."""

    def plan(view: DatabaseView, asked: Asked) -> Plan:
        record = find_group_set(view, name)
        made = Plan(Draft(view))
        drop_group_set(view, asked, made, record)
        for each in view.group_sets():
            left = tuple(other for other in each.providers if key_of(other) != key_of(record.name))
            if left != each.providers and each.name != record.name:
                put_group_set(view, asked, made, each, replace(each, providers=left))
                made.notes.append(f"group set {each.name} does not wait for {record.name} any more")
        return made

    return plan


def drop_group_set(view: DatabaseView, asked: Asked, plan: Plan, record: GroupSetRecord) -> None:
    plan.draft.delete(keys.group_set(record.name))
    guard(view, plan)
    plan.add("delete", "group set", record.name)
    plan.event(asked, CONFIGURATION_APPLIED, str(plan.changes[-1]))


def group_set_differences(before: GroupSetRecord, after: GroupSetRecord) -> list[str]:
    parts = changed_parts(_set_parts(before), _set_parts(after))
    return parts + property_changes(Scope.GROUP_SET, before.properties, after.properties)


def _set_parts(record: GroupSetRecord) -> dict[str, object]:
    return {"groups": record.groups, "providers": record.providers}


# ---- a group goes ----


def forget_group(view: DatabaseView, asked: Asked, plan: Plan, name: str) -> None:
    """Take a group that is being deleted out of rules and sets, and say so."""
    for rule in view.rules():
        left = tuple(each for each in rule.groups if key_of(each) != key_of(name))
        if left == rule.groups:
            continue
        if len(left) < GROUPS_LEAST:
            drop_rule(view, asked, plan, rule, f"it has fewer than {GROUPS_LEAST} groups without {name}")
            plan.notes.append(f"rule {rule.name} is deleted too: without {name} it has nothing to say")
        else:
            put_rule(view, asked, plan, rule, replace(rule, groups=left))
            plan.notes.append(f"rule {rule.name} holds without {name} from now on")
    for each in view.group_sets():
        remaining = tuple(group for group in each.groups if key_of(group) != key_of(name))
        if remaining != each.groups:
            put_group_set(
                view, asked, plan, each, replace(each, groups=remaining, properties=_count_of(each, remaining))
            )
            plan.notes.append(f"group set {each.name} holds without {name} from now on")


def _count_of(group_set: GroupSetRecord, remaining: tuple[GroupId, ...]) -> Mapping[str, Json]:
    """A set never waits for more groups than it has."""
    count = group_set.properties.get("startup_count")
    is_too_many = isinstance(count, int) and remaining and count > len(remaining)
    return {**group_set.properties, "startup_count": len(remaining)} if is_too_many else group_set.properties
