"""Commands about resource types: those that the nodes have, and tools for their authors. I/O."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from clusterd.cli.client import path_to
from clusterd.cli.output import paint, plain, table
from clusterd.cli.properties import change, changing, settings_lines
from clusterd.cli.session import client_of, show
from clusterd.cli.values import properties_of
from clusterd.model.errors import BadInput, Refused


@click.group(name="resource-type")
def resource_type() -> None:
    """Resource types: the plug-ins that manage each kind of thing.

    \b
    clusterctl resource-type list
    clusterctl resource-type show generic_service
    clusterctl resource-type set generic_service pending_timeout=5min
    clusterctl resource-type new my_type
    clusterctl resource-type test my_type.py
    """


@resource_type.command(name="list")
@click.pass_context
def list_types(ctx: click.Context) -> None:
    """Every resource type with the nodes that have it.

    \b
    clusterctl resource-type list
    """
    show(ctx, client_of(ctx).read("/v1/resource-types"), _list_lines)


def _list_lines(found: Mapping[str, Any]) -> list[str]:
    rows = [
        [
            each["name"],
            each["version"] or "-",
            _nodes_text(each),
            ", ".join(each["abilities"]) or "-",
            str(each["schema"].get("description", "")),
        ]
        for each in found["resource_types"]
    ]
    lines = table(["TYPE", "VERSION", "NODES", "ABILITIES", "SAYS"], rows)
    not_loaded = found.get("not_loaded", ())
    told = [
        f"{paint('!', 'yellow')} {plain(each['node'])} does not load: {plain(each['because'])}" for each in not_loaded
    ]
    return [*lines, "", *told] if told else lines


def _nodes_text(each: Mapping[str, Any]) -> str:
    """The nodes that have it; with the version where that is not the newest."""
    versions = each.get("versions", {})
    nodes = ((node, versions.get(node, each["version"])) for node in each["nodes"])
    return ", ".join(
        node if version == each["version"] else f"{node} ({plain(version or '-')})" for node, version in nodes
    )


@resource_type.command(name="show")
@click.argument("name")
@click.pass_context
def show_type(ctx: click.Context, name: str) -> None:
    """The properties of one resource type.

    \b
    clusterctl resource-type show generic_service
    """
    show(ctx, client_of(ctx).read(path_to("resource-types", name)), _show_lines)


def _show_lines(found: Mapping[str, Any]) -> list[str]:
    each = found["resource_types"][0]
    schema = each["schema"]
    required = schema.get("required", [])
    rows = [
        [name, _kind(part), "required" if name in required else _default(part), str(part.get("description", ""))]
        for name, part in schema.get("properties", {}).items()
    ]
    lines = [f"{paint(plain(each['name']), 'bold')} {each['version']} on {_nodes_text(each)}"]
    if schema.get("description"):
        lines.append(plain(schema["description"]))
    own = table(["PROPERTY", "KIND", "DEFAULT", "SAYS"], rows)
    common = settings_lines(each["settings"])
    return [*lines, "", *own, "", f"common to all its resources (revision {each['revision']}):", *common]


@resource_type.command(name="set")
@click.argument("name")
@changing
@click.pass_context
def set_type(ctx: click.Context, /, name: str, **how: Any) -> None:
    """Change what holds for every resource of a type that says nothing itself.

    \b
    clusterctl resource-type set generic_service is_alive_poll_interval=30s
    clusterctl resource-type set generic_script PendingTimeout=10min
    clusterctl resource-type set generic_script --unset pending_timeout
    """
    change(ctx, path_to("resource-types", name), **how)


@resource_type.command(name="new")
@click.argument("name")
@click.option("--dir", "folder", default=".", type=click.Path(file_okay=False), help="Folder to write it to.")
@click.pass_context
def new_type(ctx: click.Context, name: str, folder: str) -> None:
    """Write a starting point for a resource type of your own: one file of Python.

    \b
    clusterctl resource-type new my_type
    clusterctl resource-type test my_type.py
    """
    from clusterd.reshost.template import new_resource_type

    try:
        text = new_resource_type(name)
    except ValueError as error:
        raise BadInput(str(error), hint="take a lower-case word such as my_type") from error
    path = Path(folder) / f"{name}.py"
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise Refused(f"{path} is there already", hint="take another name, or remove the file") from error
    except OSError as error:
        raise BadInput(f"{path} cannot be written: {error.strerror}", hint="name another folder with --dir") from error
    lines = [f"wrote {path}", f"try it: clusterctl resource-type test {path}"]
    show(ctx, {"schema": 1, "name": name, "path": str(path)}, lambda _: lines)


@resource_type.command(name="test")
@click.argument("path")
@click.argument("properties", nargs=-1, metavar="[PROPERTY=VALUE]...")
@click.pass_context
def test_type(ctx: click.Context, path: str, properties: tuple[str, ...]) -> None:
    """Run the conformance suite on a plug-in file (or on a shipped type by name), on this machine.

    The properties must be ones that work here.

    \b
    clusterctl resource-type test my_type.py
    clusterctl resource-type test generic_service command='[sleep, "1000"]'
    """
    from clusterd.reshost.conformance import run_conformance

    results = run_conformance(path, properties_of(properties))
    passed = all(each.passed for each in results)
    checks = [{"name": each.name, "passed": each.passed, "message": each.message} for each in results]
    show(ctx, {"schema": 1, "path": path, "passed": passed, "checks": checks}, _check_lines)
    if not passed:
        ctx.exit(1)


def _check_lines(found: Mapping[str, Any]) -> list[str]:
    words = {True: paint("ok", "green"), False: paint("BROKEN", "red")}
    rows = [[words[each["passed"]], each["name"], each["message"]] for each in found["checks"]]
    broken = sum(not each["passed"] for each in found["checks"])
    verdict = f"{broken} of {len(rows)} rules are broken" if broken else f"all {len(rows)} rules are kept"
    return [*table(["", "RULE", "SAYS"], rows), verdict]


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
