"""Does this configuration fit the cluster: its nodes, its resource types, and what runs now? Pure.

Problems name the part of the object (`properties.command[2]`), so that a manifest can add the line and a command the option.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from clusterd.api.observed import ObservedGroup
from clusterd.database import DatabaseView
from clusterd.leader.namesakes import namesake
from clusterd.leader.type_versions import newest, refused_by
from clusterd.model.dependencies import Dependency, DependencyFault, dependency_problems, parse_dependency
from clusterd.model.errors import BadInput, Refused
from clusterd.model.ids import NodeId, ResourceId, key_of
from clusterd.model.records import (
    AssignmentRecord,
    ClusterRecord,
    Json,
    NodeRecord,
    Properties,
    ResourceRecord,
    ResourceTypeRecord,
)
from clusterd.model.relations import refusal, rule_in
from clusterd.model.settings import node_settings
from clusterd.model.settings_catalogue import NOT_YET, Scope, settings_of
from clusterd.model.settings_check import nearest, snake_case, unknown_property, value_text
from clusterd.model.settings_relations import relation_problems
from clusterd.model.states import PENDING_STATES, ResourceState
from clusterd.resource_api.properties import ProblemKind, validate

AWAIT_FREE = "nothing was changed; try again in a moment: the name is free once nothing of the other one can run"


class PartProblem(NamedTuple):
    """What is wrong with one part of an object; an empty part means the object as a whole."""

    part: str
    message: str


def refuse_bad(problems: Sequence[PartProblem], what: str) -> None:
    """Raise BadInput when there are any, with all of them in it."""
    if problems:
        told = "; ".join(f"{each.part}: {each.message}" if each.part else each.message for each in problems)
        raise BadInput(f"{what}: {told}", hint="nothing was changed; mend what is named and try again")


# ---- references ----


def by_key(names: Iterable[str]) -> dict[str, str]:
    """Names as they are spelled, by the form in which they are compared."""
    return {key_of(each): each for each in names}


def known_names(
    names: Iterable[str], there: Mapping[str, str], part: str, kind: str
) -> tuple[tuple[str, ...], list[PartProblem]]:
    """The things under their own spelling, and the names that are none. `there`: `by_key` of those that there are."""
    found: list[str] = []
    problems: list[PartProblem] = []
    for number, name in enumerate(names):
        own = there.get(key_of(name))
        if own is None:
            hint = nearest(name, there.values()).replace("valid are", "there are") if there else "there is none yet"
            problems.append(PartProblem(f"{part}[{number}]", f"there is no {kind} {name}: {hint}"))
        elif own in found:
            problems.append(PartProblem(f"{part}[{number}]", f"{name} is named twice"))
        else:
            found.append(own)
    return tuple(found), problems


def known_nodes(view: DatabaseView, names: Iterable[str], part: str) -> tuple[tuple[NodeId, ...], list[PartProblem]]:
    found, problems = known_names(names, by_key(each.name for each in view.nodes()), part, "node")
    return tuple(NodeId(each) for each in found), problems


def known_site(name: str, nodes: Iterable[NodeRecord]) -> tuple[str, list[PartProblem]]:
    """The site in the spelling of the nodes that are there; empty text names none."""
    if not name:
        return "", []
    sites = {node_settings(each).site for each in nodes} - {""}
    own = next((each for each in sorted(sites) if key_of(each) == key_of(name)), None)
    if own is not None:
        return own, []
    if sites:
        hint = nearest(name, sites).replace("valid are", "there are")
    else:
        hint = f"first say where nodes are: clusterctl node set NODE fault_domain=site:{name}"
    text = refusal("site-has-node", f"no node is at site {name}: {hint}")
    return name, [PartProblem("properties.preferred_site", text)]


def known_type(view: DatabaseView, name: str) -> tuple[ResourceTypeRecord | None, list[PartProblem]]:
    """What the hosts of nodes said about the type: its newest version."""
    records = view.resource_types()
    found = newest(each for each in records if key_of(each.name) == key_of(name))
    if found is not None:
        return found, []
    if not records:
        message = (
            f"no node has said yet which resource types it has, so {name} cannot be checked: try again in a moment"
        )
    else:
        message = f"there is no resource type {name}: {nearest(name, {each.name for each in records})}"
    return None, [PartProblem("type", message)]


def private_values(schema: Properties, given: Mapping[str, Json]) -> tuple[dict[str, Json], list[PartProblem]]:
    """Private properties under the type's own names, and what its schema says against them."""
    known = schema.get("properties")
    names = set(known) if isinstance(known, dict) else set()
    values: dict[str, Json] = {}
    problems: list[PartProblem] = []
    for written, value in given.items():
        name = snake_case(written) if written not in names and snake_case(written) in names else written
        if name in values:
            problems.append(PartProblem(f"properties.{written}", f"{name} is given twice"))
        values[name] = value
    common = sorted(settings_of(Scope.RESOURCE))
    for found in validate(values, dict(schema)):
        message = found.message
        if snake_case(found.path) in NOT_YET[Scope.RESOURCE]:
            message = unknown_property(Scope.RESOURCE, found.path)
        elif found.kind is ProblemKind.UNKNOWN:
            message += f": {nearest(found.path, [*names, *common])}"
        problems.append(PartProblem(f"properties.{found.path}" if found.path else "properties", message))
    return values, problems


def version_problems(view: DatabaseView, after: ResourceRecord) -> list[PartProblem]:
    """Why a possible owner, where another version of the type is installed, refuses what the newest version takes."""
    owners = {key_of(each) for each in after.possible_owners}
    records = [
        each
        for each in view.resource_types()
        if key_of(each.name) == key_of(after.type) and (not owners or key_of(each.node) in owners)
    ]
    hint = "install the same version there, or leave the node out of its possible owners"
    return [PartProblem("properties", f"{problem} ({hint})") for _, problem in refused_by(records, after.private)]


# ---- relations ----


def group_dependency_problems(
    view: DatabaseView, resources: Sequence[ResourceRecord]
) -> list[tuple[ResourceRecord, str]]:
    """Why the dependencies among all resources of one group are refused: the resource and the sentence."""
    by_key = {key_of(each.name): each for each in resources}

    def group_of(name: str) -> str | None:
        record = view.resource(name)
        return record.group if record is not None and key_of(name) not in by_key else None

    found = dependency_problems(resources, group_of)
    known = [str(each.name) for each in resources]
    told: list[tuple[ResourceRecord, str]] = []
    for problem in found:
        text = problem.text
        if problem.kind is DependencyFault.NOT_FOUND:
            text += f": {nearest(problem.provider, [each for each in known if each != problem.resource])}"
        told.append((by_key[key_of(problem.resource)], text))
    return told


def running_refusals(group: ObservedGroup | None, before: ResourceRecord, after: ResourceRecord) -> list[PartProblem]:
    """What may not change about a resource that exists, or that is online now."""
    if key_of(before.group) != key_of(after.group):
        text = f"{before.name} is in group {before.group}; delete it there first, or give this one another name"
        return [PartProblem("name", text)]
    refusals: list[PartProblem] = []
    if key_of(before.type) != key_of(after.type):
        text = f"{before.name} is a {before.type}, and the type of a resource cannot change: delete it first"
        refusals.append(PartProblem("type", text))
    states = {key_of(each.record.name): each.state for each in group.resources} if group else {}
    refusals += _dependency_refusals(before, after, lambda name: states.get(key_of(name), ResourceState.OFFLINE))
    return refusals


def _dependency_refusals(
    before: ResourceRecord, after: ResourceRecord, state_of: Callable[[str], ResourceState]
) -> list[PartProblem]:
    """The reference's rule: nothing is added below a resource that is online or pending, and no online member of an OR
    set is taken away from it."""
    mine = state_of(before.name)
    if mine is not ResourceState.ONLINE and mine not in PENDING_STATES:
        return []
    old, new = parse_dependency(before.depends_on), parse_dependency(after.depends_on)
    added = sorted(_keys(new) - _keys(old))
    removed = sorted(
        key for key in _keys(old) - _keys(new) if state_of(key) is ResourceState.ONLINE and _is_or(old, key)
    )
    if not added and not removed:
        return []
    what = f"add {', '.join(added)}" if added else f"take away {', '.join(removed)}"
    text = f"{before.name} is {mine}: cannot {what} now; first: clusterctl resource offline {before.name}"
    return [PartProblem("depends_on", text)]


def _keys(dependency: Dependency) -> set[str]:
    return {key_of(each) for each in dependency.providers}


def _is_or(dependency: Dependency, key: str) -> bool:
    return any(len(term) > 1 and key in {key_of(each) for each in term} for term in dependency.terms)


def cluster_property_refusals(before: ClusterRecord, after: ClusterRecord) -> list[str]:
    """Relations that would not hold, and times that a running cluster may only raise.

    A node that has not heard of a shorter lease yet still holds the longer one, and its successor would not wait for it.
    """
    refusals = relation_problems(Scope.CLUSTER, after.properties)
    for name, setting in settings_of(Scope.CLUSTER).items():
        was, now = before.properties.get(name, setting.default), after.properties.get(name, setting.default)
        if setting.is_only_raised and isinstance(was, int) and isinstance(now, int) and now < was:
            text = (
                f"{name} is {value_text(setting, was)} and a running cluster can only raise it: "
                f"a node that has not heard of {value_text(setting, now)} yet would run longer than its successor waits"
            )
            refusals.append(refusal("times-only-raised", text))
    return refusals


class DeleteRefusal(NamedTuple):
    """Why resources cannot be deleted; `resource` is the one that stands in the way."""

    resource: ResourceId
    text: str


def delete_refusals(group: ObservedGroup, names: Iterable[str]) -> list[DeleteRefusal]:
    """Why resources of `group` cannot be deleted together."""
    going = {key_of(each) for each in names}
    refusals: list[DeleteRefusal] = []

    def refuse_for(record: ResourceRecord, text: str) -> None:
        refusals.append(DeleteRefusal(record.name, f"{record.name} {text}"))

    for each in group.resources:
        record = each.record
        if key_of(record.name) in going:
            is_at_rest = each.state in (ResourceState.OFFLINE, ResourceState.FAILED)
            is_idle = is_at_rest and not (each.report and each.report.may_run)
            if each.state is ResourceState.INITIALIZING:
                # It may have begun to start it: what was never reported would be given up without a word, too.
                refuse_for(record, f"is {each.state}: {each.cause}; try again in a moment")
            elif not is_idle:
                refuse_for(record, f"is {each.state}; first: clusterctl resource offline {record.name}")
        else:
            needs = [str(name) for name in parse_dependency(record.depends_on).providers if key_of(name) in going]
            if needs:
                refuse_for(record, f"depends on {', '.join(needs)}")
    return refusals


def name_refusals(held: Mapping[str, Sequence[AssignmentRecord]], resource: str, group: str) -> list[str]:
    """Why a new resource cannot have this name yet. `held`: `namesakes.held_names`."""
    found = namesake(held, resource, group)
    if found is None:
        return []
    return [
        f"{found.owner} has not given up the deleted {resource} of group {found.group} yet: wait for it, or until "
        f"{found.owner} is proven to be down"
    ]


def refuse(refusals: Sequence[str], what: str, *, hint: str = "", rule: str = "") -> None:
    """Raise Refused when a rule says no, with every reason and the rule's name."""
    if refusals:
        named = f" (rule {rule})" if rule else ""
        told = f"{what}: {'; '.join(refusals)}{named}"
        raise Refused(told, hint=hint or "nothing was changed", rule=rule or rule_in(refusals[0]))


def changed_parts(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """'name: was → now' for everything that differs."""
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    return [f"{name}: {_shown(before.get(name))} → {_shown(after.get(name))}" for name in names]


def _shown(value: Any) -> str:
    if value is None or value == () or value == "" or value == [] or value == {}:
        return "none"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(str(each) for each in value) + "]"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= 80 else text[:77] + "…"
