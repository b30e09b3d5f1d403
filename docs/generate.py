"""Writes the pages that are made from tables in the code. `python docs/generate.py` after a table changed.

A test compares what is committed with what this makes.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from clusterd.model.events import CATALOGUE
from clusterd.model.settings_catalogue import SETTINGS
from clusterd.owner.machine import ARCS, IGNORED
from clusterd.resource_api import ResourceType, schema_of
from resource_types.generic_script import GenericScript
from resource_types.generic_service import GenericService

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


def settings_page() -> str:
    lines = [
        MADE,
        "# Settings",
        "",
        "Common properties, as `clusterctl … set` and manifests take them. Durations take a unit (`500ms`, `2s`,",
        "`15min`, `6h`); a bare number has the unit of the table. The reference's own spelling is accepted too.",
        "",
        "| of | property | also | unit | default | range | what it does |",
        "|---|---|---|---|---|---|---|",
    ]
    for each in SETTINGS:
        spread = ", ".join(each.choices) or ("" if isinstance(each.default, bool) else f"{each.least} to {each.most}")
        words = "".join(f"; `{word}` is {number}" for word, number in each.words.items())
        effects = " ".join(
            f"{name}: {text}" for name, text in (("Too small", each.too_small), ("Too large", each.too_large)) if text
        )
        lines.append(
            f"| {each.scope} | `{each.name}` | {each.reference_name} | {each.unit} | {each.default} | {spread}{words} "
            f"| {each.says} {effects} |"
        )
    return "\n".join(lines) + "\n"


def resource_types_page() -> str:
    lines = [MADE, "# Resource types that ship", ""]
    kinds: tuple[type[ResourceType], ...] = (GenericService, GenericScript)
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
