"""What do the rules and group sets of a manifest change, and do they fit together with those that are kept? Pure."""

from collections.abc import Mapping

from clusterd.api.checks import PartProblem, by_key, known_names
from clusterd.api.edits_rules import drop_group_set, drop_rule, put_group_set, put_rule
from clusterd.api.plans import Asked, Plan
from clusterd.api.relations import new_rule_problems, new_set_problems, notes_on_rule
from clusterd.database import DatabaseView
from clusterd.model.ids import GroupId, key_of
from clusterd.model.manifest import GroupSetSpec, Manifest, ManifestProblem, RuleSpec
from clusterd.model.records import ClusterRecord, GroupRecord, GroupSetRecord, NodeRecord, RuleRecord


class Policies:
    """Rules and sets of one manifest. `refusals` are what the manifest does to those that it leaves out."""

    def __init__(self, view: DatabaseView, asked: Asked, manifest: Manifest, plan: Plan, *, prune: bool) -> None:
        self._view = view
        self._asked = asked
        self._manifest = manifest
        self._plan = plan
        self._prune = prune
        self._problems: list[ManifestProblem] = []
        self.refusals: list[str] = []
        named = by_key(each.name for each in manifest.groups)
        there = {} if prune else by_key(each.name for each in view.groups())
        # A group that is there keeps its own spelling.
        known = by_key(each.name for each in view.groups())
        self._groups = {key: known.get(key, name) for key, name in {**named, **there}.items()}

    def apply(
        self, cluster: ClusterRecord, nodes: list[NodeRecord], groups: list[GroupRecord]
    ) -> list[ManifestProblem]:
        """Add the changes to the plan, judged by what else there will be. Returns what is wrong in the manifest."""
        self._apply_sets(cluster)
        self._apply_rules(cluster, nodes, groups)
        return self._problems

    # ---- group sets ----

    def _apply_sets(self, cluster: ClusterRecord) -> None:
        specs = {key_of(each.name): each for each in self._manifest.group_sets}
        before = {key_of(each.name): each for each in self._view.group_sets()}
        left = [each for key, each in before.items() if key not in specs]
        known = by_key(
            [*(each.name for each in specs.values()), *([] if self._prune else [each.name for each in left])]
        )
        after = {key: self._set(each, known, before.get(key)) for key, each in specs.items()}
        together = [*([] if self._prune else left), *after.values()]
        for problem in new_set_problems(self._view, together, cluster):
            spec = specs.get(key_of(problem.name))
            if spec is not None:
                self._problems.append(spec.places.problem(problem.part, problem.text))
            else:
                self.refusals.append(f"group set {problem.name}, which the manifest leaves out: {problem.text}")
        for key, record in after.items():
            if record != before.get(key):
                put_group_set(self._view, self._asked, self._plan, before.get(key), record)
        for record in left if self._prune else []:
            drop_group_set(self._view, self._asked, self._plan, record)

    def _set(self, spec: GroupSetSpec, known: Mapping[str, str], before: GroupSetRecord | None) -> GroupSetRecord:
        groups, problems = known_names(spec.groups, self._groups, "groups", "group")
        providers, provider_problems = known_names(spec.providers, known, "providers", "group set")
        self._add(spec, [*problems, *provider_problems])
        name = before.name if before else spec.name
        return GroupSetRecord(name, tuple(GroupId(each) for each in groups), providers, dict(spec.properties))

    # ---- rules ----

    def _apply_rules(self, cluster: ClusterRecord, nodes: list[NodeRecord], groups: list[GroupRecord]) -> None:
        specs = {key_of(each.name): each for each in self._manifest.rules}
        before = {key_of(each.name): each for each in self._view.rules()}
        left = [each for key, each in before.items() if key not in specs]
        after = {key: self._rule(each, before.get(key)) for key, each in specs.items()}
        whole = [each for key, each in after.items() if len(each.groups) == len(specs[key].groups)]
        for problem in new_rule_problems(self._view, [*([] if self._prune else left), *whole]):
            spec = specs.get(key_of(problem.rule))
            if spec is None:
                self.refusals.append(problem.text)
            else:
                self._problems.append(spec.places.problem(problem.part, problem.text))
        for key, record in after.items():
            if record != before.get(key):
                put_rule(self._view, self._asked, self._plan, before.get(key), record)
                self._plan.notes += notes_on_rule(record, nodes, groups, cluster)
        for record in left if self._prune else []:
            drop_rule(self._view, self._asked, self._plan, record)

    def _rule(self, spec: RuleSpec, before: RuleRecord | None) -> RuleRecord:
        groups, problems = known_names(spec.groups, self._groups, "groups", "group")
        self._add(spec, problems)
        name = before.name if before else spec.name
        return RuleRecord(name, spec.kind, tuple(GroupId(each) for each in groups), spec.is_enabled)

    def _add(self, spec: GroupSetSpec | RuleSpec, problems: list[PartProblem]) -> None:
        self._problems += [spec.places.problem(each.part, each.message) for each in problems]
