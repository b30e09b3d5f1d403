"""What does this manifest ask for, and what in it cannot be? Pure.

Checks everything that can be known from the text alone; what needs the cluster (nodes, resource types, other groups) is
checked by whoever plans the change, with the places kept in the specs.
"""

from collections.abc import Iterable, Mapping
from typing import TypeVar

from clusterd.model.dependencies import BadDependency, parse_dependency
from clusterd.model.ids import GroupId, NodeId, ResourceId, key_of, name_problem
from clusterd.model.manifest.problems import BadManifest, ManifestProblem
from clusterd.model.manifest.source import Located, read_yaml
from clusterd.model.manifest.specs import ALIASES, GroupSpec, Manifest, Places, ResourceSpec
from clusterd.model.records import Json
from clusterd.model.settings_catalogue import Scope, settings_of
from clusterd.model.settings_check import (
    BadValue,
    canonical_value,
    find_setting,
    nearest,
    relation_problems,
    unknown_property,
)
from clusterd.model.states import Wanted

TOP_KEYS = ("cluster", "groups")
CLUSTER_KEYS = ("properties",)
GROUP_KEYS = ("name", "wanted", "preferred_owners", "properties", "resources")
RESOURCE_KEYS = ("name", "type", "wanted", "depends_on", "possible_owners", "properties", *ALIASES)

T = TypeVar("T")


def parse_manifest(text: str) -> Manifest:
    """The manifest in `text`. Raises BadManifest with every problem that the text alone shows."""
    root, problems = read_yaml(text)
    parser = _Parser(problems)
    manifest = parser.manifest(root)
    if parser.problems:
        raise BadManifest(parser.problems)
    return manifest


class _Parser:
    def __init__(self, problems: Iterable[ManifestProblem]) -> None:
        self.problems = list(problems)

    # ---- objects ----

    def manifest(self, root: Located) -> Manifest:
        entries = self._entries(root, TOP_KEYS, "manifest")
        cluster = entries.get("cluster", Located("cluster", 1, {}))
        parts = self._entries(cluster, CLUSTER_KEYS, "cluster")
        properties = self._common(parts.get("properties"), Scope.CLUSTER)
        groups = [self._group(each) for each in self._list(entries.get("groups"))]
        found = tuple(each for each in groups if each is not None)
        self._refuse_repeats(found)
        return Manifest(_places(cluster), properties, found)

    def _group(self, node: Located) -> GroupSpec | None:
        parts = self._entries(node, GROUP_KEYS, "group")
        name = self._name(node, parts, "group")
        resources = [self._resource(each) for each in self._list(parts.get("resources"))]
        spec = GroupSpec(
            GroupId(name),
            _places(node),
            preferred_owners=self._nodes(parts.get("preferred_owners")),
            wanted=self._wanted(parts.get("wanted")),
            properties=self._common(parts.get("properties"), Scope.GROUP),
            resources=tuple(each for each in resources if each is not None),
        )
        return spec if name else None

    def _resource(self, node: Located) -> ResourceSpec | None:
        parts = self._entries(node, RESOURCE_KEYS, "resource")
        name = self._name(node, parts, "resource")
        kind = self._text(parts.get("type"))
        if "type" not in parts and isinstance(node.value, dict):
            self.problems.append(node.at("a resource needs a type, as in type: generic_service"))
        common, private = self._split(parts.get("properties"))
        for meant, value in self._aliases(parts).items():
            self._refuse_second(meant, common)
            common[meant] = value
        values = self._checked(common, Scope.RESOURCE)
        self.problems += [node.at(text) for text in relation_problems(Scope.RESOURCE, values)]
        spec = ResourceSpec(
            ResourceId(name),
            kind,
            _places(node),
            depends_on=self._dependency(parts.get("depends_on")),
            possible_owners=self._nodes(parts.get("possible_owners")),
            wanted=self._wanted(parts.get("wanted")),
            properties=values,
            private={key: each.plain() for key, each in private.items()},
        )
        return spec if name and kind else None

    def _refuse_repeats(self, groups: Iterable[GroupSpec]) -> None:
        """Names are unique in the cluster, not only in their group, without regard to case."""
        seen_groups: dict[str, Places] = {}
        seen_resources: dict[str, Places] = {}
        for group in groups:
            self._refuse_repeat("group", group.name, group.places, seen_groups)
            for resource in group.resources:
                self._refuse_repeat("resource", resource.name, resource.places, seen_resources)

    def _refuse_repeat(self, kind: str, name: str, places: Places, seen: dict[str, Places]) -> None:
        first = seen.setdefault(key_of(name), places)
        if first is not places:
            text = f"there is a {kind} {name} on line {first.line} already: names are unique without regard to case"
            self.problems.append(places.problem("name", text))

    # ---- properties ----

    def _common(self, node: Located | None, scope: Scope) -> dict[str, Json]:
        return self._checked(self._mapping(node), scope)

    def _checked(self, given: Mapping[str, Located], scope: Scope) -> dict[str, Json]:
        values: dict[str, Json] = {}
        for written, node in given.items():
            setting = find_setting(scope, written)
            if setting is None:
                self.problems.append(node.at(unknown_property(scope, written)))
            elif setting.name in values:
                self.problems.append(node.at(f"{setting.name} is given twice"))
            else:
                try:
                    values[setting.name] = canonical_value(setting, node.plain())
                except BadValue as error:
                    self.problems.append(node.at(str(error)))
        return values

    def _split(self, node: Located | None) -> tuple[dict[str, Located], dict[str, Located]]:
        """Common properties, and those that the resource's type defines."""
        common: dict[str, Located] = {}
        private: dict[str, Located] = {}
        for name, each in self._mapping(node).items():
            (common if find_setting(Scope.RESOURCE, name) else private)[name] = each
        return common, private

    def _aliases(self, parts: Mapping[str, Located]) -> dict[str, Located]:
        meant: dict[str, Located] = {}
        for alias, table in ALIASES.items():
            if alias in parts:
                for key, each in self._entries(parts[alias], tuple(table), alias).items():
                    meant[table[key]] = each
        return meant

    def _refuse_second(self, name: str, common: dict[str, Located]) -> None:
        """A property may stand in its short form or under properties, not in both."""
        for written, first in list(common.items()):
            setting = find_setting(Scope.RESOURCE, written)
            if setting is not None and setting.name == name:
                self.problems.append(first.at(f"{name} stands in its short form already: give it once"))
                del common[written]

    # ---- values ----

    def _entries(self, node: Located, allowed: tuple[str, ...], kind: str) -> dict[str, Located]:
        """The entries with a known key; the others are problems."""
        entries = self._mapping(node)
        known: dict[str, Located] = {}
        for key, each in entries.items():
            if key in allowed:
                known[key] = each
            else:
                self.problems.append(each.at(_unknown_key(kind, key, allowed)))
        return known

    def _mapping(self, node: Located | None) -> dict[str, Located]:
        if node is None or node.value is None:
            return {}
        if isinstance(node.value, dict):
            return node.value
        self.problems.append(node.at(f"expected keys and values, found {_kind_of(node)}"))
        return {}

    def _list(self, node: Located | None) -> list[Located]:
        if node is None or node.value is None:
            return []
        if isinstance(node.value, list):
            return node.value
        self.problems.append(node.at(f"expected a list, found {_kind_of(node)}"))
        return []

    def _text(self, node: Located | None) -> str:
        if node is None:
            return ""
        if isinstance(node.value, str):
            return node.value
        self.problems.append(node.at(f"expected text, found {_kind_of(node)}"))
        return ""

    def _name(self, owner: Located, parts: Mapping[str, Located], kind: str) -> str:
        node = parts.get("name")
        if node is None:
            if isinstance(owner.value, dict):
                self.problems.append(owner.at(f"a {kind} needs a name"))
            return ""
        problem = name_problem(node.value)
        if problem:
            quotes = " (put it in quotes)" if isinstance(node.value, (bool, int, float)) else ""
            self.problems.append(node.at(problem + quotes))
            return ""
        return str(node.value)

    def _nodes(self, node: Located | None) -> tuple[NodeId, ...]:
        names: list[NodeId] = []
        for each in self._list(node):
            problem = name_problem(each.value)
            if problem:
                self.problems.append(each.at(problem))
            elif key_of(str(each.value)) in {key_of(name) for name in names}:
                self.problems.append(each.at(f"{each.value} is named twice"))
            else:
                names.append(NodeId(str(each.value)))
        return tuple(names)

    def _wanted(self, node: Located | None) -> Wanted | None:
        if node is None:
            return None
        words = [each.value for each in Wanted]
        if isinstance(node.value, str) and node.value in words:
            return Wanted(node.value)
        self.problems.append(node.at(f"wanted is {' or '.join(words)}, not {node.plain()!r}"))
        return None

    def _dependency(self, node: Located | None) -> str:
        if node is None or node.value is None:
            return ""
        text = self._text(node)
        try:
            return str(parse_dependency(text))
        except BadDependency as error:
            self.problems.append(node.at(f"{error.message}; {error.hint}"))
            return ""


def _places(node: Located) -> Places:
    """The lines of an object's parts, by their path below it."""
    lines: dict[str, int] = {}

    def visit(each: Located) -> None:
        if each is not node:
            lines[each.path.removeprefix(node.path).lstrip(".")] = each.line
        if isinstance(each.value, dict):
            for part in each.value.values():
                visit(part)
        elif isinstance(each.value, list):
            for part in each.value:
                visit(part)

    visit(node)
    return Places(node.line, node.path, lines)


def _unknown_key(kind: str, key: str, allowed: tuple[str, ...]) -> str:
    scope = {"group": Scope.GROUP, "resource": Scope.RESOURCE, "cluster": Scope.CLUSTER}.get(kind)
    if scope is not None and find_setting(scope, key) is not None:
        return f"{key} is a property: put it under properties"
    known = [*allowed, *(settings_of(scope) if scope is not None else ())]
    return f"a {kind} has no key {key}: {nearest(key, known if _is_close(key, known) else allowed)}"


def _is_close(key: str, names: Iterable[str]) -> bool:
    return nearest(key, names).startswith("did you mean")


def _kind_of(node: Located) -> str:
    match node.value:
        case dict():
            return "keys and values"
        case list():
            return "a list"
        case None:
            return "nothing"
        case bool():
            return str(node.value).lower()
        case _:
            return repr(node.value)
