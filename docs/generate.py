"""Writes the pages that are made from tables in the code. `python docs/generate.py` after a table changed.

A test compares what is committed with what this makes.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from clusterd.model.durations import duration_text
from clusterd.model.events import CATALOGUE
from clusterd.model.manifest.specs import ALIASES
from clusterd.model.relations import RELATIONS
from clusterd.model.settings_catalogue import ALL_ONES, NOT_YET, Kind, Scope, Setting, settings_of
from clusterd.model.settings_check import value_text
from clusterd.owner.machine import ARCS, IGNORED
from clusterd.resource_api import ResourceType, schema_of
from resource_types.generic_script import GenericScript
from resource_types.generic_service import GenericService
from resource_types.physical_disk.resource import PhysicalDisk
from resource_types.virtual_machine import VirtualMachine
from resource_types.virtual_machine_configuration import VirtualMachineConfiguration

HERE = Path(__file__).resolve().parent
MADE = "<!-- Made by docs/generate.py; change the table in the code instead. -->\n"


def pages() -> dict[str, str]:
    """File name → text, for every page that is made."""
    return {
        "events.md": events_page(),
        "states.md": states_page(),
        "settings.md": settings_page(),
        "resource-types.md": resource_types_page(),
    }


def events_page() -> str:
    lines = [
        MADE,
        "# Events",
        "",
        "What can happen that somebody may want to read: the names in the log, in the timeline",
        "(`clusterctl events`) and in test traces. `error`: a person must act. `warning`: may have to.",
        "`info`: state changed. `debug`: the rest.",
        "",
        "| name | level | says | keys |",
        "|---|---|---|---|",
    ]
    for event in CATALOGUE.values():
        lines.append(f"| `{event.name}` | {event.level} | {event.says} | {', '.join(event.keys)} |")
    return "\n".join(lines) + "\n"


def states_page() -> str:
    lines = [
        MADE,
        "# States of a resource",
        "",
        "```mermaid",
        "stateDiagram-v2",
        "    [*] --> offline",
        *(
            f"    {source.replace('-', '_')} --> {arc.target.replace('-', '_')}: {what}"
            for (source, what), arc in ARCS.items()
        ),
        "```",
        "",
        "| from | what happens | to | because |",
        "|---|---|---|---|",
        *(f"| {source} | {what} | {arc.target} | {arc.because} |" for (source, what), arc in ARCS.items()),
        "",
        "What changes nothing, and why:",
        "",
        "| state | what happens | why it changes nothing |",
        "|---|---|---|",
        *(f"| {state} | {what} | {why} |" for (state, what), why in IGNORED.items()),
    ]
    return "\n".join(lines) + "\n"


_SCOPE_WORDS = {
    Scope.CLUSTER: ("The cluster", "clusterctl cluster set NAME=VALUE", "cluster: {properties: {NAME: VALUE}}"),
    Scope.NODE: ("Nodes", "clusterctl node set NODE NAME=VALUE", "nodes: [{name: NODE, properties: {NAME: VALUE}}]"),
    Scope.GROUP: (
        "Groups",
        "clusterctl group set GROUP NAME=VALUE",
        "groups: [{name: GROUP, properties: {NAME: VALUE}}]",
    ),
    Scope.GROUP_SET: (
        "Group sets",
        "clusterctl group-set set SET NAME=VALUE",
        "group_sets: [{name: SET, properties: {NAME: VALUE}}]",
    ),
    Scope.RESOURCE: (
        "Resources",
        "clusterctl resource set RESOURCE NAME=VALUE",
        "resources: [{name: RESOURCE, type: TYPE, properties: {NAME: VALUE}}]",
    ),
    Scope.RESOURCE_TYPE: (
        "Resource types",
        "clusterctl resource-type set TYPE NAME=VALUE",
        "resource_types: [{name: TYPE, properties: {NAME: VALUE}}]",
    ),
}


def settings_page() -> str:
    lines = [
        MADE,
        "# Settings",
        "",
        "Common properties, as commands, the API and manifests take them. `clusterctl … show` tells the value in",
        "force of each. Durations take a unit (`500ms`, `2s`, `15min`, `6h`, `1d`); a bare number has the unit of the",
        "table. A choice is given as its word or as the reference's number; a word such as `never` also as `-1` or",
        "`0xFFFFFFFF`. Both names of a property are understood, in any case. Values are checked each for itself and",
        "then together, and nothing of a refused change is stored.",
        "",
        "Short forms in manifests:",
        "",
        *(
            f"- in a {scope}: `{alias}: {{{', '.join(f'{key}: …' for key in table)}}}` stands for "
            + ", ".join(f"`{name}`" for names in table.values() for name in names)
            for scope, aliases in ALIASES.items()
            for alias, table in aliases.items()
        ),
        "",
        "What must fit together; a refusal ends with the name of its rule:",
        "",
        "| rule | says |",
        "|---|---|",
        *(f"| `{name}` | {says} |" for name, says in RELATIONS.items()),
        "",
    ]
    for scope in _SCOPE_WORDS:
        lines += _settings_of_scope(scope)
    return "\n".join(lines).rstrip() + "\n"


def _settings_of_scope(scope: Scope) -> list[str]:
    title, command, manifest = _SCOPE_WORDS[scope]
    lines = [
        f"## {title}",
        "",
        f"`{command}`, or in a manifest `{manifest}`.",
        "",
        "| property | also | type | default | values | what it does |",
        "|---|---|---|---|---|---|",
    ]
    for each in settings_of(scope).values():
        default = value_text(each, list(each.default) if isinstance(each.default, tuple) else each.default) or "none"
        unit = f" ({each.unit})" if each.unit else ""
        lines.append(
            f"| `{each.name}` | `{each.reference_name}` | {each.kind}{unit} | {default} | {_values_text(each)} "
            f"| {_effects_text(each)} |"
        )
    refused = NOT_YET.get(scope, {})
    if refused:
        lines += ["", "Not to be set, and why:", "", *(f"- `{name}`: {why}." for name, why in refused.items())]
    return [*lines, ""]


def _values_text(each: Setting) -> str:
    match each.kind:
        case Kind.SWITCH:
            return "true (1), false (0)"
        case Kind.CHOICE:
            return ", ".join(f"`{word}` ({number})" for number, word in enumerate(each.choices, each.first_choice))
        case Kind.TEXT:
            return f"at most {each.most} characters"
        case Kind.NAMES:
            return f"at most {each.most} names"
        case Kind.COUNT | Kind.DURATION:
            words = "".join(f", `{word}` ({number})" for word, number in each.words.items())
            return f"{_number_text(each, each.least)} to {_number_text(each, each.most)}{words}"


def _number_text(each: Setting, number: int) -> str:
    return duration_text(number, unit=each.unit) if each.kind is Kind.DURATION and number != ALL_ONES else str(number)


def _effects_text(each: Setting) -> str:
    effects = (("Too small", each.too_small), ("Too large", each.too_large))
    later = " A running cluster can only raise it." if each.is_only_raised else ""
    return each.says + later + "".join(f" {name}: {text[0].lower()}{text[1:]}" for name, text in effects if text)


def resource_types_page() -> str:
    lines = [MADE, "# Resource types that ship", ""]
    kinds: tuple[type[ResourceType], ...] = (
        GenericService,
        GenericScript,
        PhysicalDisk,
        VirtualMachineConfiguration,
        VirtualMachine,
    )
    for kind in kinds:
        schema = schema_of(kind.properties, says=kind.says, exactly_one=kind.exactly_one)
        lines += [f"## {kind.name}", "", f"{kind.says[0].upper()}{kind.says[1:]}.", ""]
        lines += ["| property | kind | default | what it is |", "|---|---|---|---|"]
        for each in kind.properties:
            default = "required" if each.name in schema["required"] else ("" if each.default is None else each.default)
            unit = f" {each.unit}" if each.unit and default not in ("", "required") else ""
            fields = "".join(f"; `{field.name}`: {field.says}" for field in each.fields)
            lines.append(f"| `{each.name}` | {each.kind} | {default}{unit} | {each.says}{fields} |")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    for name, text in pages().items():
        (HERE / name).write_text(text, encoding="utf-8")
        print(f"docs/{name}")
