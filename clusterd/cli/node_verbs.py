"""Commands that take a node out of use and back: pause, drain, resume, stop, fence, clear-quarantine. I/O."""

from typing import Any

import click

from clusterd.cli.client import path_to
from clusterd.cli.failures import Unreachable
from clusterd.cli.maintenance import add_maintenance
from clusterd.cli.output import plain
from clusterd.cli.session import carry_out, client_of, mutating, show
from clusterd.model.ids import key_of


def add_node_verbs(node: click.Group) -> None:
    """Add the verbs to the commands about nodes."""
    for command in (pause, drain, resume, stop, fence, clear_quarantine):
        node.add_command(command)
    add_maintenance(node, "nodes")


@click.command()
@click.argument("name")
@mutating
@click.pass_context
def pause(ctx: click.Context, /, name: str, **how: Any) -> None:
    """A node may gain nothing from now on, through every restart; what runs there goes on.

    \b
    clusterctl node pause n1
    """
    carry_out(ctx, "POST", path_to("nodes", name, "pause"), **how)


@click.command()
@click.argument("name")
@click.option("--target", default="", metavar="NODE", help="Everything goes there; placement decides when left out.")
@click.option("--force", is_flag=True, help="What cannot be moved in order is stopped, and moved like a failed group.")
@click.option("--retry", is_flag=True, help="Try what fails again and again.")
@mutating
@click.pass_context
def drain(ctx: click.Context, /, name: str, target: str, force: bool, retry: bool, **how: Any) -> None:
    """Pause a node and have every group leave it, the most important first; waits until it is empty.

    Ends with 1, and names the group and the reason, when something could not leave.

    \b
    clusterctl node drain n1
    clusterctl node drain n1 --target n2 --timeout 10min
    clusterctl node resume n1 --failback immediate
    """
    given = {"target": target, "force": force, "retry": retry}
    body = {name: value for name, value in given.items() if value}
    carry_out(ctx, "POST", path_to("nodes", name, "drain"), body, **how)


@click.command()
@click.argument("name")
@click.option(
    "--failback",
    type=click.Choice(["none", "immediate", "policy"]),
    default="none",
    show_default=True,
    help="What of the drained groups comes back: nothing, all of it now, or as each group's failback says.",
)
@mutating
@click.pass_context
def resume(ctx: click.Context, /, name: str, failback: str, **how: Any) -> None:
    """End the pause of a node.

    \b
    clusterctl node resume n1 --failback policy
    """
    carry_out(ctx, "POST", path_to("nodes", name, "resume"), {"failback": failback}, **how)


@click.command()
@click.argument("name")
@click.option("--force", is_flag=True, help="Although the cluster loses its quorum.")
@mutating
@click.pass_context
def stop(ctx: click.Context, /, name: str, force: bool, **how: Any) -> None:
    """Stop a node's daemon in order: its groups go to other nodes first, unless drain_on_shutdown is off.

    \b
    clusterctl node stop n1
    """
    is_only_door = _is_only_door(ctx, name)
    try:
        carry_out(ctx, "POST", path_to("nodes", name, "stop"), {"force": True} if force else {}, **how)
    except Unreachable:
        if not is_only_door:
            raise
        # Who else could be asked is not known here; a daemon that was told to stop closes its door last.
        gone = {"schema": 1, "node": name, "message": f"{name} answers no more: it has stopped"}
        show(ctx, gone, lambda document: [plain(document["message"])])


def _is_only_door(ctx: click.Context, name: str) -> bool:
    client = client_of(ctx)
    if len(client.doors.endpoints) > 1:
        return False
    return bool(key_of(client.read("/v1/quorum")["as_of"]["node"]) == key_of(name))


@click.command()
@click.argument("name")
@click.option("--force", is_flag=True, help="Although the cluster loses its quorum.")
@mutating
@click.pass_context
def fence(ctx: click.Context, /, name: str, force: bool, **how: Any) -> None:
    """End a node's present run: everything on it is stopped at once, by its power switch where it has one.

    For what is stuck there and cannot be stopped otherwise. Its next run is not touched.

    \b
    clusterctl node fence n1
    """
    carry_out(ctx, "POST", path_to("nodes", name, "fence"), {"force": True} if force else {}, **how)


@click.command(name="clear-quarantine")
@click.argument("name")
@mutating
@click.pass_context
def clear_quarantine(ctx: click.Context, /, name: str, **how: Any) -> None:
    """Trust a node again that was lost too often.

    \b
    clusterctl node clear-quarantine n1
    """
    carry_out(ctx, "POST", path_to("nodes", name, "clear-quarantine"), **how)
