"""Commands about group sets. I/O."""

from collections.abc import Mapping
from typing import Any

import click

from clusterd.cli.client import path_to
from clusterd.cli.output import paint, plain, table
from clusterd.cli.properties import change, changing, settings_lines, with_properties
from clusterd.cli.session import carry_out, client_of, show
from clusterd.cli.values import names_of, properties_of
from clusterd.cli.verbs import add_verb
from clusterd.model.durations import rough_text


@click.group(name="group-set")
def group_set() -> None:
    """Group sets: which groups start before which.

    \b
    clusterctl group-set create databases --groups db-1,db-2 startup_setting=online
    clusterctl group-set create shops --groups shop --providers databases
    clusterctl group-set list
    """


@group_set.command(name="list")
@click.pass_context
def list_sets(ctx: click.Context) -> None:
    """Every set with its groups and what it waits for.

    \b
    clusterctl group-set list
    """
    show(ctx, client_of(ctx).read("/v1/group-sets"), _list_lines)


def _list_lines(found: Mapping[str, Any]) -> list[str]:
    if not found["group_sets"]:
        return ["no group sets yet; make one with: clusterctl group-set create NAME --groups GROUP,GROUP"]
    rows = [
        [
            each["name"],
            ", ".join(each["groups"]) or "-",
            ", ".join(each["waits_for"]) or "-",
            _ready_text(each),
            "yes" if each["is_global"] else "",
        ]
        for each in found["group_sets"]
    ]
    return table(["SET", "GROUPS", "WAITS FOR", "READY WHEN", "GLOBAL"], rows)


def _ready_text(each: Mapping[str, Any]) -> str:
    count = "all" if each["startup_count"] is None else str(each["startup_count"])
    words = {"delay": "coming online", "online": "online", "os-heartbeat": "heard of", "application-ready": "ready"}
    state = words.get(each["startup_setting"], each["startup_setting"])
    return f"{count} {state}, then {rough_text(each['startup_delay_ms'])}"


@group_set.command(name="show")
@click.argument("name")
@click.pass_context
def show_set(ctx: click.Context, name: str) -> None:
    """One set with its properties.

    \b
    clusterctl group-set show backend
    """
    show(ctx, client_of(ctx).read(path_to("group-sets", name)), _show_lines)


def _show_lines(found: Mapping[str, Any]) -> list[str]:
    each = found["group_sets"][0]
    return [
        f"{paint(plain(each['name']), 'bold')}, revision {each['revision']}",
        f"groups: {', '.join(each['groups']) or 'none'}",
        f"waits for: {', '.join(each['waits_for']) or 'nothing'}",
        f"ready when: {_ready_text(each)}",
        "",
        *settings_lines(each["settings"]),
    ]


@group_set.command()
@click.argument("name")
@click.option("--groups", default=None, metavar="G1,G2", help="Its groups; a group is in at most one set.")
@click.option("--providers", default=None, metavar="S1,S2", help="Sets that must be ready before its groups start.")
@with_properties
@click.pass_context
def create(
    ctx: click.Context, /, name: str, groups: str | None, providers: str | None, properties: tuple[str, ...], **how: Any
) -> None:
    """Make a set of groups that others can wait for.

    \b
    clusterctl group-set create databases --groups db-1,db-2 startup_setting=online startup_delay=5s
    clusterctl group-set create shops --groups shop --providers databases
    """
    parts = {"groups": names_of(groups), "providers": names_of(providers)}
    body = {"name": name, "properties": properties_of(properties), **parts}
    carry_out(ctx, "POST", "/v1/group-sets", body, **how)


@group_set.command(name="set")
@click.argument("name")
@click.option("--groups", default=None, metavar="G1,G2", help="Its groups, all of them; '' for none.")
@click.option("--providers", default=None, metavar="S1,S2", help="What it waits for, all of it; '' for nothing.")
@changing
@click.pass_context
def set_set(ctx: click.Context, /, name: str, groups: str | None, providers: str | None, **how: Any) -> None:
    """Change a set.

    \b
    clusterctl group-set set databases StartupCount=1
    clusterctl group-set set shops --providers databases,storage
    """
    parts = {"groups": names_of(groups), "providers": names_of(providers)}
    change(ctx, path_to("group-sets", name), parts=parts, **how)


add_verb(group_set, "delete", "group-sets", "Delete a set. Its groups stay; sets that waited for it do so no more.")
