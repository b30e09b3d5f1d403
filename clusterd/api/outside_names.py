"""Does what a resource names outside the cluster fit every node, and no other resource? Pure.

A resource type says which of its properties each node must have for itself (`x-per-node`: two nodes that come under one name
throw each other out), and which name something that one resource may have (`x-sole`, of a mapping by some of its keys: two
resources that name one disk take it from each other).
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from clusterd.api.checks import PartProblem
from clusterd.model.ids import key_of
from clusterd.model.records import Json, ResourceRecord

NODE = "{node}"


def outside_problems(
    before: ResourceRecord | None,
    after: ResourceRecord,
    schema: Mapping[str, Any],
    others: Iterable[ResourceRecord],
    *,
    node_count: int,
) -> list[PartProblem]:
    """What is new in `after` and does not fit. `others` are the resources beside it, as they would be."""
    known = schema.get("properties")
    declared = known if isinstance(known, dict) else {}
    owners = len(after.possible_owners) or node_count
    problems = [
        PartProblem(f"properties.{path}", f"each node needs one of its own: put {NODE} into it, or leave it out")
        for path, value in _per_node("", declared, after.private)
        if owners > 1 and NODE not in value
    ]
    was = _sole(declared, before) if before is not None else {}
    mine = {name: value for name, value in _sole(declared, after).items() if was.get(name) != value}
    for other in others:
        if not mine or key_of(other.name) == key_of(after.name) or key_of(other.type) != key_of(after.type):
            continue
        theirs = _sole(declared, other)
        problems += [
            PartProblem(f"properties.{name}", f"resource {other.name} has it already, and one may have it")
            for name, value in mine.items()
            if theirs.get(name) == value
        ]
    return problems


def _per_node(path: str, declared: Mapping[str, Any], given: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
    for name, part in declared.items():
        value = given.get(name)
        if part.get("x-per-node") and isinstance(value, str) and value:
            yield f"{path}{name}", value
        if isinstance(value, Mapping) and isinstance(part.get("properties"), dict):
            yield from _per_node(f"{path}{name}.", part["properties"], value)


def _sole(declared: Mapping[str, Any], record: ResourceRecord) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for name, part in declared.items():
        by, value = part.get("x-sole"), record.private.get(name)
        if by is True and value:
            found[name] = value
        elif isinstance(by, list) and isinstance(value, Mapping):
            found[name] = [value.get(each) for each in by]
    return found
