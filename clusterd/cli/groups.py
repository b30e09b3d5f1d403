"""Commands about groups. I/O."""

from collections.abc import Mapping
from typing import Any

import click

from clusterd.cli.client import path_to
from clusterd.cli.maintenance import add_maintenance
from clusterd.cli.moves import add_move
from clusterd.cli.output import ago_text, paint, plain, table
from clusterd.cli.properties import change, changing, settings_lines, with_properties
from clusterd.cli.session import carry_out, client_of, show
from clusterd.cli.standing import availability_line, group_standing_lines, words_text
from clusterd.cli.values import names_of, properties_of
from clusterd.cli.verbs import add_verb
from clusterd.cli.verifying import verify


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
    """Every group with its state, wish and owner.

    \b
    clusterctl group list
    """
    show(ctx, client_of(ctx).read("/v1/groups"), _list_lines)


def _list_lines(found: Mapping[str, Any]) -> list[str]:
    rows = [
        [
            each["name"],
            words_text(each),
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
    """One group with its resources and every property.

    \b
    clusterctl group show web -o json
    """
    show(ctx, client_of(ctx).read(path_to("groups", name)), _show_lines)


def _show_lines(found: Mapping[str, Any]) -> list[str]:
    each = found["groups"][0]
    lines = [
        f"{paint(plain(each['name']), 'bold')}: {words_text(each)}, wanted {each['wanted']}, "
        f"owner {each['owner'] or 'none'}, generation {each['generation']}, revision {each['revision']}",
        f"why: {plain(each['because'])}",
        *group_standing_lines(each),
        availability_line(each.get("availability")),
        *([f"guarantee: {plain(each['guarantee']['text'])}"] if each["guarantee"]["disks"] else []),
    ]
    if each["preferred_owners"]:
        lines.append(f"preferred owners: {', '.join(each['preferred_owners'])}")
    lines += [f"rules: {', '.join(each['rules'])}"] if each["rules"] else []
    lines += [f"group set: {', '.join(each['group_sets'])}"] if each["group_sets"] else []
    rows = [
        [r["name"], r["type"], words_text(r), r["wanted"], str(r["pid"] or "-"), r["depends_on"] or "-"]
        for r in each["resources"]
    ]
    resources = table(["RESOURCE", "TYPE", "STATE", "WANTED", "PID", "DEPENDS ON"], rows)
    return [*lines, "", *resources, "", *settings_lines(each["settings"])]


@group.command()
@click.argument("name")
@click.option("--preferred-owners", default=None, metavar="N1,N2", help="Nodes in order of preference.")
@with_properties
@click.pass_context
def create(
    ctx: click.Context, /, name: str, preferred_owners: str | None, properties: tuple[str, ...], **how: Any
) -> None:
    """Make an empty group, wanted offline: add resources, then bring it online.

    \b
    clusterctl group create web --preferred-owners n1,n2 priority=high
    """
    body = {"name": name, "properties": properties_of(properties), "preferred_owners": names_of(preferred_owners)}
    carry_out(ctx, "POST", "/v1/groups", body, **how)


@group.command(name="set")
@click.argument("name")
@click.option("--preferred-owners", default=None, metavar="N1,N2", help="Nodes in order of preference; '' for none.")
@changing
@click.pass_context
def set_group(ctx: click.Context, /, name: str, preferred_owners: str | None, **how: Any) -> None:
    """Change properties of a group. Both spellings are understood, and times take a unit.

    \b
    clusterctl group set web failover_threshold=2 failover_period=1h --preferred-owners n1,n2
    clusterctl group set web AutoFailbackType=allow failback_window_start=22 failback_window_end=6
    clusterctl group set web --unset priority
    """
    change(ctx, path_to("groups", name), parts={"preferred_owners": names_of(preferred_owners)}, **how)


add_verb(group, "online", "groups", "Want the group and all its resources online; a failed one is tried again.")
add_verb(group, "offline", "groups", "Want the group offline: dependents stop before what they need.")
add_verb(group, "delete", "groups", "Delete a group that is offline, with its resources, also from rules and sets.")
group.add_command(verify)
add_move(group)
add_maintenance(group, "groups")
