"""Which values of a definition are secrets, how are they shown, and what does a shown one mean when it comes back? Pure.

A value is a secret by its name: a property or an environment variable called password, token, secret and the like, an
option of a command (`--password=…`), the password in an address (`://user:…@`). It is shown as a word that stands for it;
where that word comes back (an exported manifest, a copied property) the stored value is kept.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from clusterd.api.checks import PartProblem

SECRET = "(secret)"
_WORDS = r"pass(?:word|wd|phrase)|secret|token|credentials?|(?:api|access|private|secret|encryption)[_-]?key"
_NAME = re.compile(rf"(?:^|[_.\-]|[a-z])(?:{_WORDS})s?$", re.IGNORECASE)
_OPTION = re.compile(rf"^(--?[\w.\-]*(?:{_WORDS}))=(.+)$", re.IGNORECASE | re.DOTALL)
_OPTION_ALONE = re.compile(rf"^--?[\w.\-]*(?:{_WORDS})$", re.IGNORECASE)
_ADDRESS = re.compile(r"(://[^/\s:@]*:)([^/\s@]+)(@)")


def is_secret_name(name: str) -> bool:
    return bool(_NAME.search(name))


def shown(value: Any, name: str = "") -> Any:
    """The value as anybody may see it."""
    if isinstance(value, Mapping):
        return {key: shown(each, str(key)) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_shown_item(list(value), at, name) for at in range(len(value))]
    if is_secret_name(name) and value not in (None, "") and not isinstance(value, bool):
        return SECRET
    return _shown_text(value) if isinstance(value, str) else value


def kept(given: Any, stored: Any, path: str = "properties") -> tuple[Any, list[PartProblem]]:
    """What was given, with stored secrets where only their word was given; and where there is none to keep."""
    if not _has_word(given):
        return given, []
    if stored is not None and given == shown(stored, path.rpartition(".")[2]):
        return stored, []
    if isinstance(given, Mapping):
        result: dict[str, Any] = {}
        problems: list[PartProblem] = []
        for key, each in given.items():
            before = stored.get(key) if isinstance(stored, Mapping) else None
            result[key], found = kept(each, before, f"{path}.{key}")
            problems += found
        return result, problems
    return given, [PartProblem(path, f"{SECRET} stands for a stored value, and there is none here to keep: give it")]


def secret_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Secrets that differ, by their names only: what is shown of them is the same."""
    return [
        f"{name}: {SECRET} changed"
        for name in {**before, **after}
        if before.get(name) != after.get(name) and shown(before).get(name) == shown(after).get(name)
    ]


def _shown_item(values: list[Any], at: int, name: str) -> Any:
    value, before = values[at], values[at - 1] if at else None
    if isinstance(value, str) and isinstance(before, str) and _OPTION_ALONE.match(before):
        return SECRET
    return shown(value, name)


def _shown_text(value: str) -> str:
    value = _OPTION.sub(lambda found: f"{found[1]}={SECRET}", value)
    return _ADDRESS.sub(lambda found: f"{found[1]}{SECRET}{found[3]}", value)


def _has_word(value: Any) -> bool:
    return any(SECRET in text for text in _texts(value))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _texts(each)
