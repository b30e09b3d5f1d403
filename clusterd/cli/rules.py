"""Commands about affinity rules. I/O."""

from collections.abc import Mapping
from typing import Any

import click

from clusterd.cli.client import path_to
from clusterd.cli.output import paint, plain, table
from clusterd.cli.session import carry_out, client_of, mutating, show
from clusterd.cli.values import names_of
from clusterd.cli.verbs import add_verb

KINDS = "same-node, different-node, same-fault-domain or different-fault-domain"


@click.group()
def rule() -> None:
    """Rules: which groups belong on one node, and which apart.

    \b
    clusterctl rule create apart different-node db-1,db-2
    clusterctl rule set apart --disable
    clusterctl rule list
    """


@rule.command(name="list")
@click.pass_context
def list_rules(ctx: click.Context) -> None:
    """Every rule with its groups and where they are.

    \b
    clusterctl rule list
    """
    show(ctx, client_of(ctx).read("/v1/rules"), _list_lines)


def _list_lines(found: Mapping[str, Any]) -> list[str]:
    if not found["rules"]:
        return ["no rules yet; keep two groups apart with: clusterctl rule create NAME different-node GROUP,GROUP"]
    rows = [
        [each["name"], each["kind"], "yes" if each["enabled"] else "no", ", ".join(_groups_of(each))]
        for each in found["rules"]
    ]
    return table(["RULE", "KIND", "ENABLED", "GROUPS"], rows)


@rule.command(name="show")
@click.argument("name")
@click.pass_context
def show_rule(ctx: click.Context, name: str) -> None:
    """One rule.

    \b
    clusterctl rule show apart
    """
    show(ctx, client_of(ctx).read(path_to("rules", name)), _show_lines)


def _show_lines(found: Mapping[str, Any]) -> list[str]:
    each = found["rules"][0]
    return [
        f"{paint(plain(each['name']), 'bold')}: {each['kind']}, {'enabled' if each['enabled'] else 'disabled'}, "
        f"revision {each['revision']}",
        *table(["GROUP", "OWNER"], [[group["name"], group["owner"] or "-"] for group in each["groups"]]),
    ]


def _groups_of(each: Mapping[str, Any]) -> list[str]:
    return [f"{group['name']} on {group['owner']}" if group["owner"] else group["name"] for group in each["groups"]]


@rule.command()
@click.argument("name")
@click.argument("kind")
@click.argument("groups", metavar="GROUP,GROUP...")
@click.option("--disabled", is_flag=True, help="Keep it without effect for now.")
@mutating
@click.pass_context
def create(ctx: click.Context, /, name: str, kind: str, groups: str, disabled: bool, **how: Any) -> None:
    """Make a rule of KIND same-node, different-node, same-fault-domain or different-fault-domain.

    It is kept for every placement by the cluster itself; an operator's move may ignore it. Groups that run already are
    left where they are.

    \b
    clusterctl rule create apart different-node db-1,db-2
    clusterctl rule create near same-fault-domain app,cache
    """
    body = {"name": name, "kind": kind, "groups": names_of(groups), "enabled": not disabled}
    carry_out(ctx, "POST", "/v1/rules", body, **how)


@rule.command(name="set")
@click.argument("name")
@click.option("--kind", default=None, metavar="KIND", help=f"{KINDS}.")
@click.option("--groups", default=None, metavar="G1,G2", help="The groups that it is about, all of them.")
@click.option("--enable/--disable", "enabled", default=None, help="Whether it has an effect.")
@click.option("--if-revision", type=int, default=None, metavar="N", help="Only if nobody changed it since revision N.")
@mutating
@click.pass_context
def set_rule(
    ctx: click.Context,
    /,
    name: str,
    kind: str | None,
    groups: str | None,
    enabled: bool | None,
    if_revision: int | None,
    **how: Any,
) -> None:
    """Change a rule, or switch it on or off.

    \b
    clusterctl rule set apart --disable
    clusterctl rule set apart --groups db-1,db-2,db-3
    """
    parts = {"kind": kind, "groups": names_of(groups), "enabled": enabled}
    body = {name: value for name, value in parts.items() if value is not None}
    headers = {} if if_revision is None else {"If-Match": str(if_revision)}
    carry_out(ctx, "PATCH", path_to("rules", name), body, headers=headers, **how)


add_verb(rule, "delete", "rules", "Delete a rule. Groups stay where they are.")
