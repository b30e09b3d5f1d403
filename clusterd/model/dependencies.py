"""Which resources must be online before this one, and is such a rule acceptable? Pure.

The grammar is an AND of terms, each a single bracketed name or a parenthesised OR of them: `([a] or [b]) and ([c])`.
Nothing nests deeper, a provider appears once in the whole expression, and empty text means "depends on nothing".
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from clusterd.model.errors import BadInput
from clusterd.model.ids import ResourceId, key_of, name_problem
from clusterd.model.records import ResourceRecord

DEPTH_MAX = 100
TEXT_LENGTH_MAX = 8192

_TOKEN = re.compile(r"\s*(?:(?P<mark>[()])|\[(?P<name>[^\[\]]*)\]|(?P<word>[A-Za-z0-9][\w.-]*)|(?P<bad>\S))")
_GRAMMAR_HINT = "write it like ([a] or [b]) and ([c])"


class BadDependency(BadInput):
    """Text that is no dependency expression. `position` counts characters from 0."""

    def __init__(self, message: str, *, position: int) -> None:
        self.position = position
        super().__init__(message, hint=_GRAMMAR_HINT)


@dataclass(frozen=True, slots=True)
class Dependency:
    """Every term must hold; a term holds when one of its providers is online. No terms: always satisfied."""

    terms: tuple[tuple[ResourceId, ...], ...] = ()

    @property
    def providers(self) -> tuple[ResourceId, ...]:
        """Every resource named, in the order of the expression."""
        return tuple(provider for term in self.terms for provider in term)

    def is_satisfied(self, online: Set[str]) -> bool:
        """Whether `online` (folded names) holds a provider of every term."""
        return all(_holds(term, online) for term in self.terms)

    def missing(self, online: Set[str]) -> tuple[tuple[ResourceId, ...], ...]:
        """The terms that do not hold, with these online (folded names)."""
        return tuple(term for term in self.terms if not _holds(term, online))

    def __str__(self) -> str:
        """The text that parses back to this."""
        if len(self.terms) == 1 and len(self.terms[0]) == 1:
            return f"[{self.terms[0][0]}]"
        return " and ".join("(" + " or ".join(f"[{name}]" for name in term) + ")" for term in self.terms)


class DependencyFault(StrEnum):
    """What is wrong with a dependency."""

    GRAMMAR = "grammar"
    TWICE = "twice"
    SELF = "self"
    NOT_FOUND = "not-found"
    OTHER_GROUP = "other-group"
    CYCLE = "cycle"
    TOO_DEEP = "too-deep"


def _holds(term: Iterable[ResourceId], online: Set[str]) -> bool:
    return any(key_of(provider) in online for provider in term)


@dataclass(frozen=True, slots=True)
class DependencyProblem:
    """Why a group's dependencies are refused. `provider` is the name at fault, empty when the text itself is."""

    resource: ResourceId
    kind: DependencyFault
    text: str
    provider: str = ""


@lru_cache(maxsize=4096)
def parse_dependency(text: str) -> Dependency:
    """The expression in `text`. Raises BadDependency; whether the names exist is not asked here."""
    if len(text) > TEXT_LENGTH_MAX:
        raise BadDependency(f"a dependency has at most {TEXT_LENGTH_MAX} characters", position=TEXT_LENGTH_MAX)
    if not text.strip():
        return Dependency()
    tokens = _tokens(text)
    terms: list[tuple[ResourceId, ...]] = []
    at = 0
    while True:
        term, at = _term(tokens, at)
        terms.append(term)
        if tokens[at].kind == "end":
            break
        at = _expect(tokens, at, "and")
    _refuse_repeats(terms)
    return Dependency(tuple(terms))


def dependency_problems(
    resources: Sequence[ResourceRecord], group_of: Callable[[str], str | None] = lambda name: None
) -> list[DependencyProblem]:
    """Every reason to refuse the dependencies among `resources`, all those of one group.

    `group_of` answers for names outside the group: the group they belong to, or None when there is no such resource.
    """
    problems: list[DependencyProblem] = []
    known = {key_of(each.name): each for each in resources}
    providers: dict[str, tuple[str, ...]] = {}
    for each in resources:
        try:
            dependency = parse_dependency(each.depends_on)
        except BadDependency as error:
            fault = DependencyFault.TWICE if isinstance(error, RepeatedProvider) else DependencyFault.GRAMMAR
            problems.append(DependencyProblem(each.name, fault, error.message))
            providers[key_of(each.name)] = ()
            continue
        problems += _reference_problems(each, dependency, known, group_of)
        inside = (key_of(name) for name in dependency.providers)
        providers[key_of(each.name)] = tuple(key for key in inside if key in known and key != key_of(each.name))
    return problems + _shape_problems(known, providers)


class RepeatedProvider(BadDependency):
    """One provider named twice in one expression."""


def _reference_problems(
    resource: ResourceRecord,
    dependency: Dependency,
    known: Mapping[str, ResourceRecord],
    group_of: Callable[[str], str | None],
) -> Iterable[DependencyProblem]:
    for provider in dependency.providers:
        if key_of(provider) == key_of(resource.name):
            yield DependencyProblem(
                resource.name, DependencyFault.SELF, f"{resource.name} cannot depend on itself", provider
            )
        elif key_of(provider) not in known:
            group = group_of(provider)
            if group is None:
                text = f"{resource.name} depends on {provider}, and there is no such resource"
                yield DependencyProblem(resource.name, DependencyFault.NOT_FOUND, text, provider)
            else:
                text = (
                    f"{resource.name} is in group {resource.group} and {provider} in group {group}: both must be in one"
                )
                yield DependencyProblem(resource.name, DependencyFault.OTHER_GROUP, text, provider)


def _shape_problems(
    known: Mapping[str, ResourceRecord], providers: Mapping[str, Sequence[str]]
) -> list[DependencyProblem]:
    """Cycles and over-long chains. What stays when everything satisfiable is peeled off is in, or behind, a cycle."""
    depth: dict[str, int] = {}
    waiting = sorted(known)
    while waiting:
        ready = [key for key in waiting if all(provider in depth for provider in providers[key])]
        if not ready:
            break
        for key in ready:
            depth[key] = 1 + max((depth[provider] for provider in providers[key]), default=0)
        waiting = [key for key in waiting if key not in depth]
    problems = [
        DependencyProblem(
            known[key].name,
            DependencyFault.TOO_DEEP,
            f"{known[key].name} is {depth[key]} levels deep; at most {DEPTH_MAX}",
        )
        for key in sorted(depth)
        if depth[key] > DEPTH_MAX
    ]
    return problems[:1] + _cycles(waiting, known, providers)


def _cycles(
    waiting: Sequence[str], known: Mapping[str, ResourceRecord], providers: Mapping[str, Sequence[str]]
) -> list[DependencyProblem]:
    """One problem for each cycle: from any remaining resource, providers that remain lead into one."""
    problems: list[DependencyProblem] = []
    remaining, reported = set(waiting), set[str]()
    for start in waiting:
        path: list[str] = []
        key = start
        while key not in path and key not in reported:
            path.append(key)
            key = next(provider for provider in providers[key] if provider in remaining)
        if key in path:
            circle = path[path.index(key) :]
            names = [str(known[each].name) for each in circle]
            text = "dependencies go in a circle: " + " → ".join([*names, names[0]])
            problems.append(DependencyProblem(known[circle[0]].name, DependencyFault.CYCLE, text))
        reported.update(path)
    return problems


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str  # "(", ")", "name", "and", "or", "end"
    text: str
    position: int


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    end = len(text.rstrip())
    at = 0
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None or match["bad"]:
            position = at if match is None else match.start("bad")
            raise BadDependency(f"unexpected {text[position]!r} at character {position + 1}", position=position)
        tokens.append(_token(match))
        at = match.end()
    return [*tokens, _Token("end", "the end", end)]


def _token(match: re.Match[str]) -> _Token:
    if match["mark"]:
        return _Token(match["mark"], match["mark"], match.start("mark"))
    if match["name"] is not None:
        name, position = match["name"].strip(), match.start("name") - 1
        problem = name_problem(name)
        if problem:
            raise BadDependency(f"[{name}] at character {position + 1}: {problem}", position=position)
        return _Token("name", name, position)
    word, position = match["word"].lower(), match.start("word")
    if word not in ("and", "or"):
        message = f"{match['word']!r} at character {position + 1}: names stand in brackets, as in [{match['word']}]"
        raise BadDependency(message, position=position)
    return _Token(word, word, position)


def _term(tokens: Sequence[_Token], at: int) -> tuple[tuple[ResourceId, ...], int]:
    if tokens[at].kind == "name":
        if tokens[at + 1].kind == "or":
            message = f"'or' at character {tokens[at + 1].position + 1} is outside parentheses"
            raise BadDependency(message, position=tokens[at + 1].position)
        return (ResourceId(tokens[at].text),), at + 1
    at = _expect(tokens, at, "(")
    names: list[ResourceId] = []
    while True:
        if tokens[at].kind == "(":
            position = tokens[at].position
            raise BadDependency(f"'(' at character {position + 1}: parentheses do not nest", position=position)
        names.append(ResourceId(tokens[at].text))
        at = _expect(tokens, at, "name")
        if tokens[at].kind == ")":
            return tuple(names), at + 1
        at = _expect(tokens, at, "or")


def _expect(tokens: Sequence[_Token], at: int, kind: str) -> int:
    token = tokens[at]
    if token.kind != kind:
        wanted = "a name in brackets" if kind == "name" else "a name in brackets or '('" if kind == "(" else f"'{kind}'"
        found = token.text if token.kind == "end" else f"'{token.text}'"
        message = f"expected {wanted} at character {token.position + 1}, found {found}"
        raise BadDependency(message, position=token.position)
    return at + 1


def _refuse_repeats(terms: Iterable[Iterable[ResourceId]]) -> None:
    seen: set[str] = set()
    for term in terms:
        for name in term:
            if key_of(name) in seen:
                raise RepeatedProvider(f"{name} is named twice in one dependency", position=0)
            seen.add(key_of(name))
