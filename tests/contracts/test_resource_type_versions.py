"""A shipped resource type whose properties change bears another version: by it nodes differ while a cluster is updated.

`resource_type_versions.txt` names each version that was ever shipped with the digest of what it takes. A line is never
changed after a release; a type that takes something else gets a higher version and a line of its own.
"""

import hashlib
import json
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from clusterd.model.versions import version_rank
from clusterd.resource_api import ResourceType
from clusterd.resource_api.properties import schema_of

TABLE = Path(__file__).with_name("resource_type_versions.txt")


def shipped() -> list[type[ResourceType]]:
    found = [
        each.load()
        for each in entry_points(group="clusterd.resource_types")
        if each.module.startswith("resource_types.")
    ]
    return sorted(found, key=lambda each: each.name)


def digest(kind: type[ResourceType]) -> str:
    """Of what it takes: names, kinds, ranges, defaults. The texts for people may change."""
    schema = schema_of(kind.properties, exactly_one=kind.exactly_one)
    return hashlib.sha256(json.dumps(_without_texts(schema), sort_keys=True).encode()).hexdigest()[:16]


def _without_texts(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: _without_texts(each) for key, each in value.items() if key != "description" or isinstance(each, dict)
        }
    return [_without_texts(each) for each in value] if isinstance(value, list) else value


def table() -> dict[str, dict[str, str]]:
    """By type and version."""
    found: dict[str, dict[str, str]] = {}
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        name, version, what = line.split()
        assert version not in found.setdefault(name, {}), f"{name} {version} is there twice"
        found[name][version] = what
    return found


@pytest.mark.parametrize("kind", shipped(), ids=lambda kind: kind.name)
def test_what_a_version_takes_does_not_change(kind: type[ResourceType]) -> None:
    known, now = table().get(kind.name, {}), digest(kind)
    line = f"{kind.name} {kind.version} {now}"
    assert kind.version in known, f"a new version needs a line in {TABLE.name}: {line}"
    assert known[kind.version] == now, (
        f"{kind.name} takes other properties than its version {kind.version} did: raise the version and append its line"
    )
    assert kind.version == max(known, key=version_rank), "a version does not go back"


def test_a_changed_property_changes_the_digest() -> None:
    class Wider(shipped()[0]):  # type: ignore[misc]  # of whichever is first
        properties = shipped()[0].properties[1:]

    assert digest(Wider) != digest(shipped()[0])
