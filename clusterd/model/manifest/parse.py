"""What does this manifest ask for, and what in it cannot be? Pure.

Checks everything that can be known from the text alone; what needs the cluster (nodes, resource types, other groups) is
checked by whoever plans the change, with the places kept in the specs.
"""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from clusterd.model.ids import GroupId, NodeId, ResourceId, key_of
from clusterd.model.manifest.problems import BadManifest, ManifestProblem
from clusterd.model.manifest.reader import Reader, places_of
from clusterd.model.manifest.source import Located, read_yaml
from clusterd.model.manifest.specs import (
    ALIASES,
    GroupSetSpec,
    GroupSpec,
    Manifest,
    Places,
    PropertiesSpec,
    ResourceSpec,
    RuleSpec,
)
from clusterd.model.settings_catalogue import Scope

TOP_KEYS = ("cluster", "nodes", "resource_types", "groups", "group_sets", "rules")
CLUSTER_KEYS = ("properties",)
PROPERTIES_KEYS = ("name", "properties")
GROUP_KEYS = ("name", "wanted", "preferred_owners", *ALIASES[Scope.GROUP], "properties", "resources")
RESOURCE_KEYS = ("name", "type", "wanted", "depends_on", "possible_owners", "properties", *ALIASES[Scope.RESOURCE])
GROUP_SET_KEYS = ("name", "groups", "providers", "properties")
RULE_KEYS = ("name", "kind", "groups", "enabled")


class _Named(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def places(self) -> Places: ...


N = TypeVar("N", bound=_Named)


def parse_manifest(text: str) -> Manifest:
    """The manifest in `text`. Raises BadManifest with every problem that the text alone shows."""
    manifest, problems = read_manifest(text)
    if problems:
        raise BadManifest(problems)
    return manifest


def read_manifest(text: str) -> tuple[Manifest, list[ManifestProblem]]:
    """What of the manifest can be read, and every problem. Raises BadManifest when the text is no YAML at all.

    Whoever knows the cluster adds what it says against the rest, so that all is told at once.
    """
    root, problems = read_yaml(text)
    parser = _Parser(problems)
    return parser.manifest(root), parser.problems


class _Parser(Reader):
    def manifest(self, root: Located) -> Manifest:
        entries = self.entries(root, TOP_KEYS, "manifest")
        cluster = entries.get("cluster", Located("cluster", 1, {}))
        parts = self.entries(cluster, CLUSTER_KEYS, "cluster")
        manifest = Manifest(
            places_of(cluster),
            self.checked(self.mapping(parts.get("properties")), Scope.CLUSTER),
            groups=_found([self._group(each) for each in self.items(entries.get("groups"))]),
            nodes=self._of_properties(entries.get("nodes"), Scope.NODE),
            resource_types=self._of_properties(entries.get("resource_types"), Scope.RESOURCE_TYPE),
            group_sets=_found([self._group_set(each) for each in self.items(entries.get("group_sets"))]),
            rules=_found([self._rule(each) for each in self.items(entries.get("rules"))]),
        )
        self._refuse_repeats(manifest)
        return manifest

    def _of_properties(self, node: Located | None, scope: Scope) -> tuple[PropertiesSpec, ...]:
        found: list[PropertiesSpec] = []
        for each in self.items(node):
            parts = self.entries(each, PROPERTIES_KEYS, scope.value)
            name = self.name(each, parts, scope.value)
            values = self.values(each, self.mapping(parts.get("properties")), scope)
            if name:
                found.append(PropertiesSpec(name, places_of(each), values))
        return tuple(found)

    def _group(self, node: Located) -> GroupSpec | None:
        parts = self.entries(node, GROUP_KEYS, "group")
        name = self.name(node, parts, "group")
        common = dict(self.mapping(parts.get("properties")))
        self.add_aliases(parts, common, Scope.GROUP)
        nodes = self.items(parts.get("resources"))
        resources = _found([self._resource(each) for each in nodes])
        spec = GroupSpec(
            GroupId(name),
            places_of(node),
            preferred_owners=tuple(NodeId(each) for each in self.names(parts.get("preferred_owners"))),
            wanted=self.wanted(parts.get("wanted")),
            properties=self.values(node, common, Scope.GROUP),
            resources=resources,
            is_whole=len(resources) == len(nodes),
        )
        return spec if name else None

    def _resource(self, node: Located) -> ResourceSpec | None:
        parts = self.entries(node, RESOURCE_KEYS, "resource")
        name = self.name(node, parts, "resource")
        kind = self.text(parts.get("type"))
        if "type" not in parts and isinstance(node.value, dict):
            self.problems.append(node.at("a resource needs a type, as in type: generic_service"))
        common, private = self.split(parts.get("properties"))
        self.add_aliases(parts, common, Scope.RESOURCE)
        spec = ResourceSpec(
            ResourceId(name),
            kind,
            places_of(node),
            depends_on=self.dependency(parts.get("depends_on")),
            possible_owners=tuple(NodeId(each) for each in self.names(parts.get("possible_owners"))),
            wanted=self.wanted(parts.get("wanted")),
            properties=self.values(node, common, Scope.RESOURCE),
            private={key: each.plain() for key, each in private.items()},
        )
        return spec if name else None

    def _group_set(self, node: Located) -> GroupSetSpec | None:
        parts = self.entries(node, GROUP_SET_KEYS, "group set")
        name = self.name(node, parts, "group set")
        spec = GroupSetSpec(
            name,
            places_of(node),
            groups=self.names(parts.get("groups")),
            providers=self.names(parts.get("providers")),
            properties=self.values(node, self.mapping(parts.get("properties")), Scope.GROUP_SET),
        )
        return spec if name else None

    def _rule(self, node: Located) -> RuleSpec | None:
        parts = self.entries(node, RULE_KEYS, "rule")
        name = self.name(node, parts, "rule")
        kind = self.rule_kind(node, parts.get("kind"))
        groups = self.names(parts.get("groups"))
        is_enabled = self.switch(parts.get("enabled"), default=True)
        return RuleSpec(name, places_of(node), kind, groups, is_enabled) if name and kind is not None else None

    def _refuse_repeats(self, manifest: Manifest) -> None:
        """Names are unique in the cluster, not only in their group, without regard to case."""
        self._refuse_repeated("node", manifest.nodes)
        self._refuse_repeated("resource type", manifest.resource_types)
        self._refuse_repeated("group", manifest.groups)
        self._refuse_repeated("resource", [each for group in manifest.groups for each in group.resources])
        self._refuse_repeated("group set", manifest.group_sets)
        self._refuse_repeated("rule", manifest.rules)

    def _refuse_repeated(self, kind: str, specs: Sequence[_Named]) -> None:
        seen: dict[str, Places] = {}
        for each in specs:
            first = seen.setdefault(key_of(each.name), each.places)
            if first is not each.places:
                text = f"there is a {kind} {each.name} on line {first.line} already: names are unique without regard to case"
                self.problems.append(each.places.problem("name", text))


def _found(specs: Sequence[N | None]) -> tuple[N, ...]:
    return tuple(each for each in specs if each is not None)
