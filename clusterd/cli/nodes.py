"""Commands about nodes and votes. I/O."""

from collections.abc import Mapping
from typing import Any

import click

from clusterd.cli.client import path_to
from clusterd.cli.node_verbs import add_node_verbs
from clusterd.cli.output import ago_text, paint, plain, table
from clusterd.cli.properties import change, changing, settings_lines
from clusterd.cli.session import client_of, show
from clusterd.cli.standing import member_text, node_standing_lines, words_text


@click.group()
def node() -> None:
    """Nodes: the machines of the cluster.

    \b
    clusterctl node list
    clusterctl node drain n1                           before work on the machine
    clusterctl node resume n1 --failback immediate     after it
    clusterctl node stop n1
    """


@node.command(name="list")
@click.pass_context
def list_nodes(ctx: click.Context) -> None:
    """Every node with its state and vote.

    \b
    clusterctl node list
    """
    show(ctx, client_of(ctx).read("/v1/nodes"), _list_lines)


def _list_lines(found: Mapping[str, Any]) -> list[str]:
    rows = [
        [
            each["name"],
            words_text(each),
            member_text(each),
            str(each["vote"]),
            "yes" if each["is_leader"] else "",
            "-" if each["heartbeat_age_ms"] is None else f"{each['heartbeat_age_ms']} ms ago",
            ago_text(each["since"]),
            ", ".join(each["groups"]) or "-",
            each["because"] or "-",
        ]
        for each in found["nodes"]
    ]
    return table(["NODE", "STATE", "MEMBER", "VOTE", "LEADER", "HEARD", "SINCE", "GROUPS", "WHY"], rows)


@node.command(name="show")
@click.argument("name")
@click.pass_context
def show_node(ctx: click.Context, name: str) -> None:
    """One node.

    \b
    clusterctl node show n1
    """
    show(ctx, client_of(ctx).read(path_to("nodes", name)), _show_lines)


def _show_lines(found: Mapping[str, Any]) -> list[str]:
    each = found["nodes"][0]
    words = words_text(each)
    return [
        f"{paint(plain(each['name']), 'bold')}: {words} since {ago_text(each['since'])}: {plain(each['because'])}",
        f"member: {member_text(each)}{_lag_text(each)}",
        f"vote: {each['vote']} of {each['assigned_vote']}{', leader' if each['is_leader'] else ''}",
        f"peer address: {each['peer_address']}, API: {each['api_address'] or '-'}",
        f"run: {each['incarnation'] or 'none'}",
        f"groups: {plain(', '.join(each['groups'])) or 'none'}",
        *node_standing_lines(each),
        f"revision: {each['revision']}",
        "",
        *settings_lines(each["settings"]),
    ]


def _lag_text(each: Mapping[str, Any]) -> str:
    lag = each.get("lag_entries")
    return f", {lag} {'entry' if lag == 1 else 'entries'} behind" if lag else ""


@node.command(name="set")
@click.argument("name")
@changing
@click.pass_context
def set_node(ctx: click.Context, /, name: str, **how: Any) -> None:
    """Say where a machine stands and what it can carry.

    \b
    clusterctl node set n1 fault_domain=site:east/rack:r1
    clusterctl node set n1 memory_capacity=8192 memory_reserve=1024
    clusterctl node set n1 avoid_placement=true
    """
    change(ctx, path_to("nodes", name), **how)


add_node_verbs(node)


@click.group()
def quorum() -> None:
    """Votes: whether the cluster may change anything."""


@quorum.command(name="show")
@click.pass_context
def show_quorum(ctx: click.Context) -> None:
    """Votes, who has them, and what to do when they are too few.

    \b
    clusterctl quorum show
    """
    show(ctx, client_of(ctx).read("/v1/quorum"), _quorum_lines)


def _quorum_lines(found: Mapping[str, Any]) -> list[str]:
    state = paint("quorate", "green") if found["quorate"] else paint("NO QUORUM", "red")
    voters = [f"{each['node']}{'' if each['reachable'] else ' (not reached)'}" for each in found["voters"]]
    lines = [
        f"{state}: {found['have']} of {found['votes']} votes, needs {found['needed']}, since {ago_text(found['since'])}",
        f"voters: {', '.join(voters)}; witness: {found['witness'] or 'none'}",
        f"leader: {found['leader'] or 'none'}, term {found['term']}",
    ]
    return lines + ([plain(found["advice"])] if found["advice"] else [])
