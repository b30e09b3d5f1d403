"""What would applying this manifest change, and may it? Pure. Nothing of a refused manifest is stored.

What the manifest names gets exactly the configuration written there (of the cluster only the properties named). What it
leaves out is kept, unless `prune` is asked for: then resources, groups, group sets and rules that it does not name are
deleted; groups and resources must be offline for that. Everything is judged as it would be after the change, and all
problems are told at once, with those that the text alone shows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from clusterd.api.apply_policies import Policies
from clusterd.api.checks import (
    PartProblem,
    cluster_property_refusals,
    delete_refusals,
    group_dependency_problems,
    known_nodes,
    known_site,
    known_type,
    name_refusals,
    private_values,
    refuse,
    running_refusals,
    version_problems,
)
from clusterd.api.edits_groups import delete_group, group_differences, put_group, with_known_site
from clusterd.api.edits_resources import put_resource
from clusterd.api.edits_settings import put_cluster, put_node, put_type
from clusterd.api.observed import ObservedGroup, observe_group
from clusterd.api.outside_names import outside_problems
from clusterd.api.plans import Asked, Plan, Planner
from clusterd.api.secrets_shown import kept
from clusterd.api.waits import wait_problems
from clusterd.database import DatabaseView, Draft
from clusterd.leader.namesakes import held_names
from clusterd.model import keys
from clusterd.model.clients import client_note
from clusterd.model.events import CONFIGURATION_APPLIED
from clusterd.model.ids import key_of
from clusterd.model.manifest import (
    BadManifest,
    GroupSpec,
    Manifest,
    ManifestProblem,
    PropertiesSpec,
    ResourceSpec,
    read_manifest,
)
from clusterd.model.owner_notes import owner_notes
from clusterd.model.records import (
    AssignmentRecord,
    ClusterRecord,
    GroupRecord,
    NodeRecord,
    ResourceRecord,
    TypeSettingsRecord,
)
from clusterd.model.settings import type_settings
from clusterd.model.states import Wanted
from clusterd.model.type_times import own_times


def apply_manifest(manifest: Manifest, *, prune: bool, problems: Sequence[ManifestProblem] = ()) -> Planner:
    """The planner for a manifest that was read with `problems`. Raises BadManifest with all of them, or Refused."""

    def plan(view: DatabaseView, asked: Asked) -> Plan:
        return _Application(view, asked, manifest, problems, prune=prune).plan()

    return plan


def apply_text(text: str, *, prune: bool) -> Planner:
    """The same for a manifest that has still to be read."""
    manifest, problems = read_manifest(text)
    return apply_manifest(manifest, prune=prune, problems=problems)


class _Application:
    """One manifest against one state of the database."""

    def __init__(
        self, view: DatabaseView, asked: Asked, manifest: Manifest, problems: Sequence[ManifestProblem], *, prune: bool
    ) -> None:
        self._view = view
        self._asked = asked
        self._manifest = manifest
        self._prune = prune
        self._problems: list[ManifestProblem] = list(problems)
        self._refusals: list[str] = []
        self._held: Mapping[str, Sequence[AssignmentRecord]] | None = None
        self._plan = Plan(Draft(view))
        self._planned: dict[str, ResourceRecord] = {}
        self._types: dict[str, TypeSettingsRecord] = {}
        """Settings of types as they will be, as far as the manifest names them."""
        self._nodes = {each.name: each for each in view.nodes()}
        self._groups = {key_of(each.name): each for each in view.groups()}

    def plan(self) -> Plan:
        for node_spec in self._manifest.nodes:
            self._node(node_spec)
        cluster = self._cluster()
        for type_spec in self._manifest.resource_types:
            self._type(type_spec)
        for spec in self._manifest.groups:
            self._group(spec)
        policies = Policies(self._view, self._asked, self._manifest, self._plan, prune=self._prune)
        self._problems += policies.apply(cluster, list(self._nodes.values()), list(self._groups.values()))
        if self._problems:
            raise BadManifest(self._problems)
        self._refusals += policies.refusals
        if self._prune:
            self._prune_groups()
        refuse(self._refusals, "the manifest cannot be applied now", hint="nothing was changed")
        return self._plan

    # ---- the cluster, nodes and types ----

    def _cluster(self) -> ClusterRecord:
        """The cluster as it will be."""
        before, places = self._view.cluster(), self._manifest.cluster_places
        properties = {**before.properties, **self._manifest.cluster_properties}
        wished = str(properties.get("preferred_site", ""))
        if wished and wished != before.properties.get("preferred_site"):
            properties["preferred_site"], found = known_site(wished, self._nodes.values())
            self._problems += [places.problem(each.part, each.message) for each in found]
        after = replace(before, properties=properties)
        refusals = cluster_property_refusals(before, after) if after != before else []
        self._problems += [places.problem("properties", text) for text in refusals]
        if not refusals:
            put_cluster(self._plan, self._asked, before, after)
        return after

    def _node(self, spec: PropertiesSpec) -> None:
        [*names], found = known_nodes(self._view, [spec.name], "name")
        self._problems += [spec.places.problem("name", each.message) for each in found]
        for name in names:
            before = self._nodes[name]
            after: NodeRecord = replace(before, properties=dict(spec.properties))
            self._nodes[name] = after
            put_node(self._view, self._asked, self._plan, before, after)

    def _type(self, spec: PropertiesSpec) -> None:
        kind, found = known_type(self._view, spec.name)
        self._problems += [spec.places.problem("name", each.message) for each in found]
        if kind is not None:
            before = self._view.type_settings(kind.name)
            after = TypeSettingsRecord(kind.name, dict(spec.properties))
            self._types[key_of(kind.name)] = after
            put_type(self._view, self._asked, self._plan, before, after)

    # ---- groups ----

    def _group(self, spec: GroupSpec) -> None:
        before = self._view.group(spec.name)
        owners, found = known_nodes(self._view, spec.preferred_owners, "preferred_owners")
        after = replace(
            before or GroupRecord(spec.name, id=self._asked.request_id),
            preferred_owners=owners,
            properties=dict(spec.properties),
            wanted=spec.wanted or (before.wanted if before else Wanted.ONLINE),
        )
        after, site_problems = with_known_site(self._nodes.values(), before, after)
        self._add(spec, [*found, *site_problems])
        self._groups[key_of(after.name)] = after
        status = self._asked.status
        group = None
        if before:
            group = observe_group(self._view, before, is_quorate=status.is_quorate, unheard=status.unheard)
        records = [(each, self._record(each, after)) for each in spec.resources]
        if spec.is_whole:
            self._check_dependencies(after, records)
        changed = len(self._plan.changes)
        if before is None:
            self._plan.add("create", "group", spec.name)
        elif before != after:
            self._plan.add("update", "group", before.name, *group_differences(before, after))
        for resource_spec, record in records:
            self._resource(resource_spec, record, group)
        self._left_out(group, spec)
        if len(self._plan.changes) > changed:
            self._commit_group(before, after, changed)
            self._plan.notes += owner_notes(after, self._resources_after(after, records))
        if after.wanted is Wanted.ONLINE and (records or (group and group.resources)):
            self._plan.wait_for.append(f"group {after.name} settled")

    def _commit_group(self, before: GroupRecord | None, after: GroupRecord, first: int) -> None:
        """Put the group even when only a resource changed: it guards checks that span its resources."""
        put_group(self._view, self._plan, before, after)
        told = "; ".join(str(each) for each in self._plan.changes[first:])
        self._plan.event(self._asked, CONFIGURATION_APPLIED, f"applied: {told}", group=after.name)

    def _check_dependencies(self, group: GroupRecord, records: list[tuple[ResourceSpec, ResourceRecord]]) -> None:
        named = {key_of(spec.name): spec for spec, _ in records}
        for record, text in group_dependency_problems(self._view, self._resources_after(group, records)):
            spec = named.get(key_of(record.name))
            if spec is not None:
                self._add(spec, [PartProblem("depends_on", text)])
            else:
                self._refusals.append(f"resource {record.name}, which the manifest leaves out: {text}")

    def _resources_after(
        self, group: GroupRecord, records: list[tuple[ResourceSpec, ResourceRecord]]
    ) -> list[ResourceRecord]:
        named = {key_of(spec.name) for spec, _ in records}
        kept = [each for each in self._view.resources_of(group.name) if key_of(each.name) not in named]
        return [record for _, record in records] + ([] if self._prune else kept)

    def _left_out(self, group: ObservedGroup | None, spec: GroupSpec) -> None:
        named = {key_of(each.name) for each in spec.resources}
        left = [each for each in group.resources if key_of(each.record.name) not in named] if group else []
        if not left or group is None:
            return
        names = [str(each.record.name) for each in left]
        if not self._prune:
            self._plan.notes.append(
                f"{', '.join(names)} of {spec.name} is kept although the manifest leaves it out; --prune deletes it"
            )
            return
        self._refusals += [each.text for each in delete_refusals(group, names) if key_of(each.resource) not in named]
        for each in left:
            is_wanted = each.record.wanted is Wanted.ONLINE and group.record.wanted is Wanted.ONLINE
            if is_wanted and not self._refusals:
                self._refusals.append(
                    f"{each.record.name} is wanted online; first: clusterctl resource offline {each.record.name}"
                )
            self._plan.draft.delete(keys.resource(each.record.name))
            self._plan.add("delete", "resource", each.record.name)
        self._plan.draft.expect(keys.assignment(spec.name)).expect(keys.report(spec.name))

    def _prune_groups(self) -> None:
        named = {key_of(each.name) for each in self._manifest.groups}
        for record in self._view.groups():
            if key_of(record.name) not in named:
                delete_group(self._view, self._asked, self._plan, record.name)

    # ---- resources ----

    def _record(self, spec: ResourceSpec, group: GroupRecord) -> ResourceRecord:
        """The resource as it would be stored; what does not fit the cluster is a problem of the manifest."""
        before = self._view.resource(spec.name)
        owners, found = known_nodes(self._view, spec.possible_owners, "possible_owners")
        self._add(spec, found)
        kind, type_problems = known_type(self._view, spec.type) if spec.type else (None, [])
        self._add(spec, type_problems)
        private = dict(spec.private)
        private_problems: list[PartProblem] = []
        if kind is not None:
            given, problems = kept(dict(spec.private), before.private if before is not None else {})
            private, private_problems = private_values(kind.schema, given)
            self._add(spec, [*problems, *private_problems])
        after = replace(
            before or ResourceRecord(spec.name, group.name, spec.type),
            group=group.name,
            type=kind.name if kind else spec.type,
            wanted=spec.wanted or (before.wanted if before else Wanted.ONLINE),
            depends_on=spec.depends_on,
            possible_owners=owners,
            properties=dict(spec.properties),
            private=private,
        )
        if kind is not None:
            self._add(spec, version_problems(self._view, after) if not private_problems else [])
            of_type = self._types.get(key_of(kind.name), self._view.type_settings(kind.name))
            self._add(spec, wait_problems(after, kind.schema, type_settings(of_type, own_times(kind.schema))))
            found = outside_problems(before, after, kind.schema, self._beside(), node_count=len(self._view.nodes()))
            self._add(spec, found)
        self._planned[key_of(after.name)] = after
        return after

    def _beside(self) -> list[ResourceRecord]:
        """Every resource as it would be, as far as the manifest was read; what it leaves out goes only with --prune."""
        named = {key_of(each.name) for group in self._manifest.groups for each in group.resources}
        there = {key_of(each.name): each for each in self._view.resources()}
        if self._prune:
            there = {key: each for key, each in there.items() if key in named}
        return list((there | self._planned).values())

    def _resource(self, spec: ResourceSpec, after: ResourceRecord, group: ObservedGroup | None) -> None:
        before = self._view.resource(spec.name)
        if before is None:
            self._refusals += name_refusals(self._held_names(), after.name, after.group)
            self._plan.draft.replace(after)
            self._plan.add("create", "resource", after.name, f"in group {after.group}", f"type {after.type}")
            self._plan.notes += client_note(after.private, after.name)
            return
        found = running_refusals(group, before, after) if spec.type else []
        self._add(spec, [each for each in found if each.part != "depends_on"])
        self._refusals += [each.message for each in found if each.part == "depends_on"]
        if found or after == before:
            self._plan.draft.expect(keys.resource(after.name))
            return
        put_resource(self._view, self._asked, self._plan, before, after)

    def _held_names(self) -> Mapping[str, Sequence[AssignmentRecord]]:
        """Every report is looked through: once, and only for what is new."""
        if self._held is None:
            self._held = held_names(self._view)
        return self._held

    def _add(self, spec: GroupSpec | ResourceSpec, problems: list[PartProblem]) -> None:
        self._problems += [spec.places.problem(each.part, each.message) for each in problems]
