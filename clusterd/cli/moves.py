"""The command that moves a group, waits in a queue for it, or takes it back. I/O."""

from typing import Any

import click

from clusterd.cli.client import path_to
from clusterd.cli.session import carry_out, mutating

KINDS = ("live", "quick", "shutdown", "turn-off")


@click.command()
@click.argument("name")
@click.argument("node", required=False, default="")
@click.option("--kind", type=click.Choice(KINDS), default=None, help="How: live is without interruption.")
@click.option("--queue", is_flag=True, help="Wait for what forbids it now, instead of giving up.")
@click.option("--ignore-lock", is_flag=True, help="Although it is locked from moving.")
@click.option("--ignore-rules", is_flag=True, help="Although a rule about several groups forbids it.")
@click.option("--with-set", is_flag=True, help="And all groups that rules want on the same node.")
@click.option("--cancel", is_flag=True, help="Take back a move that waits.")
@mutating
@click.pass_context
def move(
    ctx: click.Context,
    /,
    name: str,
    node: str,
    kind: str | None,
    queue: bool,
    ignore_lock: bool,
    ignore_rules: bool,
    with_set: bool,
    cancel: bool,
    **how: Any,
) -> None:
    """Move a group to NODE, or to the best node when none is named.

    \b
    clusterctl group move web n3
    clusterctl group move web n3 --queue
    clusterctl group move machine n3 --kind live
    clusterctl group move web n3 --with-set
    clusterctl group move web --cancel
    """
    options = {"queue": queue, "ignore_lock": ignore_lock, "ignore_rules": ignore_rules, "cancel": cancel}
    options["with_set"] = with_set
    if cancel and (node or kind or queue or ignore_lock or ignore_rules or with_set):
        raise click.UsageError("--cancel stands alone", ctx=ctx)
    given = {"target": node, "kind": kind, **options}
    body = {name: value for name, value in given.items() if value}
    carry_out(ctx, "POST", path_to("groups", name, "move"), body, is_followed=kind == "live", **how)


def add_move(group: click.Group) -> None:
    group.add_command(move)
