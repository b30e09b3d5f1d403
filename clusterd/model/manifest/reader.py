"""How is each part of a manifest read, and what is wrong with it? Pure.

Every problem is kept with its place, and reading goes on: what is wrong is left out, so that the rest can be judged too.
"""

from collections.abc import Iterable, Mapping

from clusterd.model.dependencies import BadDependency, parse_dependency
from clusterd.model.errors import BadInput
from clusterd.model.ids import key_of, name_problem
from clusterd.model.manifest.problems import ManifestProblem
from clusterd.model.manifest.source import Located
from clusterd.model.manifest.specs import ALIASES, Places
from clusterd.model.records import Json
from clusterd.model.rules import parse_rule_kind
from clusterd.model.settings_catalogue import Scope, settings_of
from clusterd.model.settings_check import (
    BadValue,
    canonical_value,
    find_setting,
    nearest,
    unknown_property,
)
from clusterd.model.settings_relations import relation_problems
from clusterd.model.states import RuleKind, Wanted

_SCOPES = {each.value: each for each in Scope}


class Reader:
    """Reads parts, and collects what is wrong with them."""

    def __init__(self, problems: Iterable[ManifestProblem]) -> None:
        self.problems = list(problems)

    # ---- properties ----

    def checked(self, given: Mapping[str, Located], scope: Scope) -> dict[str, Json]:
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

    def split(self, node: Located | None) -> tuple[dict[str, Located], dict[str, Located]]:
        """Common properties, and those that the resource's type defines."""
        common: dict[str, Located] = {}
        private: dict[str, Located] = {}
        for name, each in self.mapping(node).items():
            (common if find_setting(Scope.RESOURCE, name) else private)[name] = each
        return common, private

    def add_aliases(self, parts: Mapping[str, Located], common: dict[str, Located], scope: Scope) -> None:
        """What the short forms among `parts` stand for. A property may stand in one way only."""
        for alias, table in ALIASES[scope].items():
            for key, node in self.entries(parts[alias], tuple(table), alias).items() if alias in parts else ():
                for name, each in self._alias_parts(node, table[key]).items():
                    self._refuse_second(name, common, scope)
                    common[name] = each

    def _alias_parts(self, node: Located, names: tuple[str, ...]) -> dict[str, Located]:
        if len(names) == 1:
            return {names[0]: node}
        texts = [each.strip() for each in str(node.value).split("-")]
        if len(texts) != len(names):
            self.problems.append(node.at(f"expected {len(names)} numbers, as in 22-6, found {_kind_of(node)}"))
            return {}
        return {name: Located(node.path, node.line, text) for name, text in zip(names, texts, strict=True)}

    def _refuse_second(self, name: str, common: dict[str, Located], scope: Scope) -> None:
        for written, first in list(common.items()):
            setting = find_setting(scope, written)
            if setting is not None and setting.name == name:
                self.problems.append(first.at(f"{name} stands in its short form already: give it once"))
                del common[written]

    def values(self, owner: Located, given: Mapping[str, Located], scope: Scope) -> dict[str, Json]:
        """Common properties, each and together. Where one cannot be read, what is missing may only seem so."""
        problem_count = len(self.problems)
        values = self.checked(given, scope)
        if len(self.problems) == problem_count:
            self.problems += [owner.at(text) for text in relation_problems(scope, values)]
        return values

    # ---- values ----

    def entries(self, node: Located, allowed: tuple[str, ...], kind: str) -> dict[str, Located]:
        """The entries with a known key; the others are problems."""
        entries = self.mapping(node)
        known: dict[str, Located] = {}
        for key, each in entries.items():
            if key in allowed:
                known[key] = each
            else:
                self.problems.append(each.at(_unknown_key(kind, key, allowed)))
        return known

    def mapping(self, node: Located | None) -> dict[str, Located]:
        if node is None or node.value is None:
            return {}
        if isinstance(node.value, dict):
            return node.value
        self.problems.append(node.at(f"expected keys and values, found {_kind_of(node)}"))
        return {}

    def items(self, node: Located | None) -> list[Located]:
        if node is None or node.value is None:
            return []
        if isinstance(node.value, list):
            return node.value
        self.problems.append(node.at(f"expected a list, found {_kind_of(node)}"))
        return []

    def text(self, node: Located | None) -> str:
        if node is None:
            return ""
        if isinstance(node.value, str):
            return node.value
        self.problems.append(node.at(f"expected text, found {_kind_of(node)}"))
        return ""

    def name(self, owner: Located, parts: Mapping[str, Located], kind: str) -> str:
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

    def names(self, node: Located | None) -> tuple[str, ...]:
        """A list of names of things, each once."""
        names: list[str] = []
        for each in self.items(node):
            problem = name_problem(each.value)
            if problem:
                self.problems.append(each.at(problem))
            elif key_of(str(each.value)) in {key_of(name) for name in names}:
                self.problems.append(each.at(f"{each.value} is named twice"))
            else:
                names.append(str(each.value))
        return tuple(names)

    def switch(self, node: Located | None, *, default: bool) -> bool:
        if node is None:
            return default
        if isinstance(node.value, bool):
            return node.value
        self.problems.append(node.at(f"expected true or false, found {_kind_of(node)}"))
        return default

    def rule_kind(self, owner: Located, node: Located | None) -> RuleKind | None:
        if node is None:
            if isinstance(owner.value, dict):
                self.problems.append(owner.at("a rule needs a kind, as in kind: different-node"))
            return None
        try:
            return parse_rule_kind(node.plain())
        except BadInput as error:
            self.problems.append(node.at(error.message))
            return None

    def wanted(self, node: Located | None) -> Wanted | None:
        if node is None:
            return None
        words = [each.value for each in Wanted]
        if isinstance(node.value, str) and node.value in words:
            return Wanted(node.value)
        self.problems.append(node.at(f"wanted is {' or '.join(words)}, not {node.plain()!r}"))
        return None

    def dependency(self, node: Located | None) -> str:
        if node is None or node.value is None:
            return ""
        text = self.text(node)
        try:
            return str(parse_dependency(text))
        except BadDependency as error:
            self.problems.append(node.at(f"{error.message}; {error.hint}"))
            return ""


def places_of(node: Located) -> Places:
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
    scope = _SCOPES.get(kind)
    if scope is not None and find_setting(scope, key) is not None:
        return f"{key} is a property: put it under properties"
    if scope is None or _is_close(key, allowed):
        return f"a {kind} has no key {key}: {nearest(key, allowed)}"
    known = [*allowed, *settings_of(scope)]
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
