"""Commands about resources. I/O."""

from collections.abc import Mapping
from typing import Any

import click

from clusterd.cli.client import path_to
from clusterd.cli.output import ago_text, paint, plain, state_text, table
from clusterd.cli.session import carry_out, client_of, mutating, show
from clusterd.cli.values import names_of, properties_of
from clusterd.model.durations import rough_text


@click.group()
def resource() -> None:
    """Resources: the managed things in a group.

    \b
    clusterctl resource list
    clusterctl resource create db-server --group db --type generic_service command=[/usr/bin/db]
    clusterctl resource depend db-server '[db-disk]'
    clusterctl resource fail web-server           see what its restart policy does
    clusterctl resource logs web-server
    """


@resource.command(name="list")
@click.pass_context
def list_resources(ctx: click.Context) -> None:
    """Every resource with its state."""
    show(ctx, client_of(ctx).read("/v1/resources"), _list_lines)


def _list_lines(found: Mapping[str, Any]) -> list[str]:
    rows = [
        [
            each["name"],
            each["group"],
            each["type"],
            state_text(each["state"]),
            each["wanted"],
            each["owner"] or "-",
            str(each["pid"] or "-"),
            f"{each['restarts']['used']} of {each['restarts']['limit']}",
            ago_text(each["since"]),
            each["because"] or "-",
        ]
        for each in found["resources"]
    ]
    header = ["RESOURCE", "GROUP", "TYPE", "STATE", "WANTED", "OWNER", "PID", "RESTARTS", "SINCE", "WHY"]
    return table(header, rows)


@resource.command(name="show")
@click.argument("name")
@click.pass_context
def show_resource(ctx: click.Context, name: str) -> None:
    """One resource with its properties."""
    show(ctx, client_of(ctx).read(path_to("resources", name)), _show_lines)


def _show_lines(found: Mapping[str, Any]) -> list[str]:
    each = found["resources"][0]
    restarts = each["restarts"]
    lines = [
        f"{paint(plain(each['name']), 'bold')} ({each['type']}) in group {plain(each['group'])}: "
        f"{state_text(each['state'])}, wanted {each['wanted']}, owner {each['owner'] or 'none'}",
        f"why: {plain(each['because']) or '-'}",
        f"pid: {each['pid'] or '-'}",
        f"restarts: {restarts['used']} of {restarts['limit']} used within {rough_text(restarts['window_ms'])}",
        f"depends on: {plain(each['depends_on']) or 'nothing'}",
    ]
    if each["possible_owners"]:
        lines.append(f"possible owners: {', '.join(each['possible_owners'])}")
    return [*lines, *(f"{name}: {plain(value)}" for name, value in each["properties"].items())]


@resource.command()
@click.argument("name")
@click.argument("properties", nargs=-1, metavar="[PROPERTY=VALUE]...")
@click.option("--group", "group_name", required=True, metavar="NAME", help="The group that it joins.")
@click.option("--type", "kind", required=True, metavar="TYPE", help="See: clusterctl resource-type list.")
@click.option("--depends-on", default=None, metavar="EXPRESSION", help="As in '([a] or [b]) and ([c])'.")
@click.option("--possible-owners", default=None, metavar="N1,N2", help="Nodes that may run it; all when left out.")
@mutating
@click.pass_context
def create(
    ctx: click.Context,
    name: str,
    properties: tuple[str, ...],
    group_name: str,
    kind: str,
    depends_on: str | None,
    possible_owners: str | None,
    plan: bool,
    wait: bool,
    timeout: int,
) -> None:
    """Add a resource to a group, wanted offline.

    \b
    clusterctl resource create db-server --group db --type generic_service \\
        command='[/usr/bin/db, --port, "5000"]' 'ready={tcp: 5000}' restart_threshold=2
    """
    body = {
        "name": name,
        "group": group_name,
        "type": kind,
        "properties": properties_of(properties),
        "depends_on": depends_on,
        "possible_owners": names_of(possible_owners),
    }
    carry_out(ctx, "POST", "/v1/resources", body, plan=plan, wait=wait, timeout=timeout)


@resource.command(name="set")
@click.argument("name")
@click.argument("properties", nargs=-1, metavar="[PROPERTY=VALUE]...")
@click.option("--unset", multiple=True, metavar="PROPERTY", help="Back to the default.")
@click.option("--possible-owners", default=None, metavar="N1,N2", help="Nodes that may run it; '' for all.")
@click.option("--if-revision", type=int, default=None, help="Only if it was last changed by this revision.")
@mutating
@click.pass_context
def set_resource(
    ctx: click.Context,
    name: str,
    properties: tuple[str, ...],
    unset: tuple[str, ...],
    possible_owners: str | None,
    if_revision: int | None,
    plan: bool,
    wait: bool,
    timeout: int,
) -> None:
    """Change properties, common ones and those of its type."""
    body = {"properties": properties_of(properties, unset), "possible_owners": names_of(possible_owners)}
    headers = {} if if_revision is None else {"If-Match": str(if_revision)}
    path = path_to("resources", name)
    carry_out(ctx, "PATCH", path, body, plan=plan, wait=wait, timeout=timeout, headers=headers)


@resource.command()
@click.argument("name")
@click.argument("expression")
@mutating
@click.pass_context
def depend(ctx: click.Context, name: str, expression: str, plan: bool, wait: bool, timeout: int) -> None:
    """Say what must be online before it; '' for nothing.

    \b
    clusterctl resource depend web-server '[web-data]'
    clusterctl resource depend app '([disk-a] or [disk-b]) and ([address])'
    """
    body = {"depends_on": expression}
    carry_out(ctx, "PATCH", path_to("resources", name), body, plan=plan, wait=wait, timeout=timeout)


@resource.command()
@click.argument("name")
@mutating
@click.pass_context
def online(ctx: click.Context, name: str, plan: bool, wait: bool, timeout: int) -> None:
    """Want the resource online, with what it needs."""
    carry_out(ctx, "POST", path_to("resources", name, "online"), plan=plan, wait=wait, timeout=timeout)


@resource.command()
@click.argument("name")
@mutating
@click.pass_context
def offline(ctx: click.Context, name: str, plan: bool, wait: bool, timeout: int) -> None:
    """Want the resource offline; what depends on it goes first."""
    carry_out(ctx, "POST", path_to("resources", name, "offline"), plan=plan, wait=wait, timeout=timeout)


@resource.command()
@click.argument("name")
@mutating
@click.pass_context
def fail(ctx: click.Context, name: str, plan: bool, wait: bool, timeout: int) -> None:
    """Treat the resource as failed, once, to see what its policy does."""
    carry_out(ctx, "POST", path_to("resources", name, "fail"), plan=plan, wait=wait, timeout=timeout)


@resource.command()
@click.argument("name")
@mutating
@click.pass_context
def delete(ctx: click.Context, name: str, plan: bool, wait: bool, timeout: int) -> None:
    """Delete a resource that is offline and that nothing depends on."""
    carry_out(ctx, "DELETE", path_to("resources", name), plan=plan, wait=wait, timeout=timeout)


@resource.command()
@click.argument("name")
@click.option("--lines", type=click.IntRange(1, 10_000), default=100, show_default=True, help="The newest so many.")
@click.pass_context
def logs(ctx: click.Context, name: str, lines: int) -> None:
    """What it wrote, as far as its resource host kept it."""
    found = client_of(ctx).read(path_to("resources", name, "logs"), lines=str(lines))
    show(ctx, found, lambda document: [plain(line) for line in document["text"].splitlines()])
