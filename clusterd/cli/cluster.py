"""Commands about the cluster itself. I/O."""

from collections.abc import Mapping
from typing import Any

import click

from clusterd.cli.maintenance import add_cluster_maintenance
from clusterd.cli.output import paint, plain
from clusterd.cli.properties import change, changing, settings_lines
from clusterd.cli.session import client_of, show


@click.group()
def cluster() -> None:
    """The cluster itself.

    \b
    clusterctl cluster show
    clusterctl cluster set quarantine_threshold=5 auto_balancer_mode=off
    """


@cluster.command(name="show")
@click.pass_context
def show_cluster(ctx: click.Context) -> None:
    """Name, fence agents, and every property with its value.

    \b
    clusterctl cluster show -o json
    """
    show(ctx, client_of(ctx).read("/v1/cluster"), _cluster_lines)


def _cluster_lines(found: Mapping[str, Any]) -> list[str]:
    agents = [f"{each['name']} ({each['agent']})" for each in found["fence_agents"]]
    return [
        f"{paint(plain(found['name']), 'bold')}, version {found['version']}, id {found['id']}, "
        f"revision {found['revision']}",
        f"a node is suspected after {found['silence_max_ms']} ms of silence",
        f"without other evidence its groups move {found['expiry_ms']} ms after its last acknowledged heartbeat",
        f"fence agents: {plain(', '.join(agents)) or 'none'}",
        "",
        *settings_lines(found["settings"]),
    ]


@cluster.command(name="set")
@changing
@click.pass_context
def set_cluster(ctx: click.Context, /, **how: Any) -> None:
    """Change properties of the cluster. Both spellings are understood, and times take a unit.

    \b
    clusterctl cluster set same_subnet_threshold=12
    clusterctl cluster set QuarantineDuration=30min --unset quarantine_threshold
    """
    change(ctx, "/v1/cluster", **how)


add_cluster_maintenance(cluster)
