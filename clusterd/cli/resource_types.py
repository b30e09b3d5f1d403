"""Commands about resource types: those that the nodes have, and tools for their authors. I/O."""

from collections.abc import Mapping
from typing import Any

import click

from clusterd.cli.client import path_to
from clusterd.cli.output import paint, plain, table
from clusterd.cli.session import client_of, show


@click.group(name="resource-type")
def resource_type() -> None:
    """Resource types: the plug-ins that manage each kind of thing.

    \b
    clusterctl resource-type list
    clusterctl resource-type show generic_service
    clusterctl resource-type new my_type
    clusterctl resource-type test my_type.py
    """


@resource_type.command(name="list")
@click.pass_context
def list_types(ctx: click.Context) -> None:
    """Every resource type with the nodes that have it."""
    show(ctx, client_of(ctx).read("/v1/resource-types"), _list_lines)


def _list_lines(found: Mapping[str, Any]) -> list[str]:
    rows = [
        [
            each["name"],
            each["version"] or "-",
            ", ".join(each["nodes"]),
            ", ".join(each["abilities"]) or "-",
            str(each["schema"].get("description", "")),
        ]
        for each in found["resource_types"]
    ]
    return table(["TYPE", "VERSION", "NODES", "ABILITIES", "SAYS"], rows)


@resource_type.command(name="show")
@click.argument("name")
@click.pass_context
def show_type(ctx: click.Context, name: str) -> None:
    """The properties of one resource type."""
    show(ctx, client_of(ctx).read(path_to("resource-types", name)), _show_lines)


def _show_lines(found: Mapping[str, Any]) -> list[str]:
    each = found["resource_types"][0]
    schema = each["schema"]
    required = schema.get("required", [])
    rows = [
        [name, _kind(part), "required" if name in required else _default(part), str(part.get("description", ""))]
        for name, part in schema.get("properties", {}).items()
    ]
    lines = [f"{paint(plain(each['name']), 'bold')} {each['version']} on {', '.join(each['nodes'])}"]
    if schema.get("description"):
        lines.append(plain(schema["description"]))
    return [*lines, "", *table(["PROPERTY", "KIND", "DEFAULT", "SAYS"], rows)]


def _kind(part: Mapping[str, Any]) -> str:
    if part.get("format") == "duration":
        return f"time (bare number: {part.get('x-unit', 'ms')})"
    if "oneOf" in part:
        return " or ".join(_kind(each) for each in part["oneOf"])
    if "enum" in part:
        return " | ".join(str(each) for each in part["enum"])
    return str(part.get("type", "any"))


def _default(part: Mapping[str, Any]) -> str:
    default = part.get("default")
    return "-" if default is None else str(default)
