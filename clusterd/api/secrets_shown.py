"""What does a secret that is shown as a word mean when it comes back, and how is a changed one told? Pure.

Where the word comes back (an exported manifest, a copied property) the stored value is kept.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from clusterd.api.checks import PartProblem
from clusterd.resource_api.secret_values import SECRET, name_below, shown


def kept(given: Any, stored: Any, path: str = "properties", name: str = "") -> tuple[Any, list[PartProblem]]:
    """What was given, with stored secrets where only their word was given; and where there is none to keep."""
    if not _has_word(given):
        return given, []
    if stored is not None and given == shown(stored, name):
        return stored, []
    if isinstance(given, Mapping):
        result: dict[str, Any] = {}
        problems: list[PartProblem] = []
        for key, each in given.items():
            before = stored.get(key) if isinstance(stored, Mapping) else None
            result[key], found = kept(each, before, f"{path}.{key}", name_below(name, str(key)))
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
