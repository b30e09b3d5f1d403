"""Commands about groups. I/O."""

from collections.abc import Mapping
from typing import Any

import click

from clusterd.cli.client import path_to
from clusterd.cli.output import ago_text, paint, plain, state_text, table
from clusterd.cli.session import carry_out, client_of, mutating, show
from clusterd.cli.values import names_of, properties_of


@click.group()
def group() -> None:
    """Groups: what moves together.

    \b
    clusterctl group list
    clusterctl group move web n3
    clusterctl group offline web
    clusterctl group set web failover_threshold=2 failover_period=1h
    """


@group.command(name="list")
@click.pass_context
def list_groups(ctx: click.Context) -> None:
    """Every group with its state, wish and owner."""
    show(ctx, client_of(ctx).read("/v1/groups"), _list_lines)


def _list_lines(found: Mapping[str, Any]) -> list[str]:
    rows = [
        [
            each["name"],
            state_text(each["state"]),
            each["wanted"],
            each["owner"] or "-",
            str(each["generation"]),
            ago_text(each["since"]),
            str(len(each["resources"])),
            each["because"],
        ]
        for each in found["groups"]
    ]
    return table(["GROUP", "STATE", "WANTED", "OWNER", "GENERATION", "SINCE", "RESOURCES", "WHY"], rows)


@group.command(name="show")
@click.argument("name")
@click.pass_context
def show_group(ctx: click.Context, name: str) -> None:
    """One group with its resources."""
    show(ctx, client_of(ctx).read(path_to("groups", name)), _show_lines)


def _show_lines(found: Mapping[str, Any]) -> list[str]:
    each = found["groups"][0]
    lines = [
        f"{paint(plain(each['name']), 'bold')}: {state_text(each['state'])}, wanted {each['wanted']}, "
        f"owner {each['owner'] or 'none'}, generation {each['generation']}",
        f"why: {plain(each['because'])}",
    ]
    if each["preferred_owners"]:
        lines.append(f"preferred owners: {', '.join(each['preferred_owners'])}")
    lines += [f"{name}: {value}" for name, value in each["properties"].items()]
    rows = [
        [r["name"], r["type"], state_text(r["state"]), r["wanted"], str(r["pid"] or "-"), r["depends_on"] or "-"]
        for r in each["resources"]
    ]
    return [*lines, "", *table(["RESOURCE", "TYPE", "STATE", "WANTED", "PID", "DEPENDS ON"], rows)]


@group.command()
@click.argument("name")
@click.argument("properties", nargs=-1, metavar="[PROPERTY=VALUE]...")
@click.option("--preferred-owners", default=None, metavar="N1,N2", help="Nodes in order of preference.")
@mutating
@click.pass_context
def create(
    ctx: click.Context,
    name: str,
    properties: tuple[str, ...],
    preferred_owners: str | None,
    plan: bool,
    wait: bool,
    timeout: int,
) -> None:
    """Make an empty group, wanted offline: add resources, then bring it online."""
    body = {"name": name, "properties": properties_of(properties), "preferred_owners": names_of(preferred_owners)}
    carry_out(ctx, "POST", "/v1/groups", body, plan=plan, wait=wait, timeout=timeout)


@group.command(name="set")
@click.argument("name")
@click.argument("properties", nargs=-1, metavar="[PROPERTY=VALUE]...")
@click.option("--unset", multiple=True, metavar="PROPERTY", help="Back to the default.")
@click.option("--preferred-owners", default=None, metavar="N1,N2", help="Nodes in order of preference; '' for none.")
@click.option("--if-revision", type=int, default=None, help="Only if the group was last changed by this revision.")
@mutating
@click.pass_context
def set_group(
    ctx: click.Context,
    name: str,
    properties: tuple[str, ...],
    unset: tuple[str, ...],
    preferred_owners: str | None,
    if_revision: int | None,
    plan: bool,
    wait: bool,
    timeout: int,
) -> None:
    """Change properties of a group.

    \b
    clusterctl group set web failover_threshold=2 failover_period=1h --preferred-owners n1,n2
    """
    body = {"properties": properties_of(properties, unset), "preferred_owners": names_of(preferred_owners)}
    headers = {} if if_revision is None else {"If-Match": str(if_revision)}
    path = path_to("groups", name)
    carry_out(ctx, "PATCH", path, body, plan=plan, wait=wait, timeout=timeout, headers=headers)


@group.command()
@click.argument("name")
@mutating
@click.pass_context
def online(ctx: click.Context, name: str, plan: bool, wait: bool, timeout: int) -> None:
    """Want the group and all its resources online; a failed one is tried again."""
    carry_out(ctx, "POST", path_to("groups", name, "online"), plan=plan, wait=wait, timeout=timeout)


@group.command()
@click.argument("name")
@mutating
@click.pass_context
def offline(ctx: click.Context, name: str, plan: bool, wait: bool, timeout: int) -> None:
    """Want the group offline: dependents stop before what they need."""
    carry_out(ctx, "POST", path_to("groups", name, "offline"), plan=plan, wait=wait, timeout=timeout)


@group.command()
@click.argument("name")
@click.argument("node", required=False, default="")
@mutating
@click.pass_context
def move(ctx: click.Context, name: str, node: str, plan: bool, wait: bool, timeout: int) -> None:
    """Move a group to NODE, or to the best node when none is named."""
    body = {"target": node} if node else {}
    carry_out(ctx, "POST", path_to("groups", name, "move"), body, plan=plan, wait=wait, timeout=timeout)


@group.command()
@click.argument("name")
@mutating
@click.pass_context
def delete(ctx: click.Context, name: str, plan: bool, wait: bool, timeout: int) -> None:
    """Delete a group that is offline, with its resources."""
    carry_out(ctx, "DELETE", path_to("groups", name), plan=plan, wait=wait, timeout=timeout)
