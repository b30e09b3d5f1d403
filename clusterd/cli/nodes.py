"""Commands about nodes, votes and the cluster itself. I/O."""

from collections.abc import Mapping
from typing import Any

import click

from clusterd.cli.client import path_to
from clusterd.cli.output import ago_text, paint, plain, state_text, table
from clusterd.cli.session import carry_out, client_of, mutating, show
from clusterd.cli.values import properties_of


@click.group()
def node() -> None:
    """Nodes: the machines of the cluster."""


@node.command(name="list")
@click.pass_context
def list_nodes(ctx: click.Context) -> None:
    """Every node with its state and vote."""
    show(ctx, client_of(ctx).read("/v1/nodes"), _list_lines)


def _list_lines(found: Mapping[str, Any]) -> list[str]:
    rows = [
        [
            each["name"],
            state_text(each["state"]) + "".join(f", {word}" for word in each["status"]),
            str(each["vote"]),
            "yes" if each["is_leader"] else "",
            "-" if each["heartbeat_age_ms"] is None else f"{each['heartbeat_age_ms']} ms ago",
            ago_text(each["since"]),
            ", ".join(each["groups"]) or "-",
            each["because"] or "-",
        ]
        for each in found["nodes"]
    ]
    return table(["NODE", "STATE", "VOTE", "LEADER", "HEARD", "SINCE", "GROUPS", "WHY"], rows)


@node.command(name="show")
@click.argument("name")
@click.pass_context
def show_node(ctx: click.Context, name: str) -> None:
    """One node."""
    show(ctx, client_of(ctx).read(path_to("nodes", name)), _show_lines)


def _show_lines(found: Mapping[str, Any]) -> list[str]:
    each = found["nodes"][0]
    words = ", ".join([state_text(each["state"]), *each["status"]])
    return [
        f"{paint(plain(each['name']), 'bold')}: {words} since {ago_text(each['since'])}: {plain(each['because'])}",
        f"vote: {each['vote']} of {each['assigned_vote']}{', leader' if each['is_leader'] else ''}",
        f"peer address: {each['peer_address']}, API: {each['api_address'] or '-'}",
        f"run: {each['incarnation'] or 'none'}",
        f"groups: {plain(', '.join(each['groups'])) or 'none'}",
    ]


@click.group()
def quorum() -> None:
    """Votes: whether the cluster may change anything."""


@quorum.command(name="show")
@click.pass_context
def show_quorum(ctx: click.Context) -> None:
    """Votes, who has them, and what to do when they are too few."""
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


@click.group()
def cluster() -> None:
    """The cluster itself."""


@cluster.command(name="show")
@click.pass_context
def show_cluster(ctx: click.Context) -> None:
    """Name, times and fence agents."""
    show(ctx, client_of(ctx).read("/v1/cluster"), _cluster_lines)


def _cluster_lines(found: Mapping[str, Any]) -> list[str]:
    agents = [f"{each['name']} ({each['agent']})" for each in found["fence_agents"]]
    return [
        f"{paint(plain(found['name']), 'bold')}, version {found['version']}, id {found['id']}",
        *(f"{name}: {value}" for name, value in found["properties"].items()),
        f"a node is suspected after {found['silence_max_ms']} ms of silence",
        f"without other evidence its groups move {found['expiry_ms']} ms after its last acknowledged heartbeat",
        f"fence agents: {plain(', '.join(agents)) or 'none'}",
    ]


@cluster.command(name="set")
@click.argument("properties", nargs=-1, required=True, metavar="PROPERTY=VALUE...")
@mutating
@click.pass_context
def set_cluster(ctx: click.Context, properties: tuple[str, ...], plan: bool, wait: bool, timeout: int) -> None:
    """Change properties of the cluster.

    \b
    clusterctl cluster set same_subnet_threshold=12
    """
    body = {"properties": properties_of(properties)}
    carry_out(ctx, "PATCH", "/v1/cluster", body, plan=plan, wait=wait, timeout=timeout)
