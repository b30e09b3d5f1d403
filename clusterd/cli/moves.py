"""The command that moves a group, waits in a queue for it, or takes it back. I/O."""

from typing import Any

import click

from clusterd.cli.client import path_to
from clusterd.cli.session import carry_out, mutating


@click.command()
@click.argument("name")
@click.argument("node", required=False, default="")
@click.option("--queue", is_flag=True, help="Wait for what forbids it now, instead of giving up.")
@click.option("--ignore-lock", is_flag=True, help="Although it is locked from moving.")
@click.option("--ignore-rules", is_flag=True, help="Although a rule about several groups forbids it.")
@click.option("--cancel", is_flag=True, help="Take back a move that waits.")
@mutating
@click.pass_context
def move(
    ctx: click.Context,
    /,
    name: str,
    node: str,
    queue: bool,
    ignore_lock: bool,
    ignore_rules: bool,
    cancel: bool,
    **how: Any,
) -> None:
    """Move a group to NODE, or to the best node when none is named.

    \b
    clusterctl group move web n3
    clusterctl group move web n3 --queue
    clusterctl group move web --cancel
    """
    options = {"queue": queue, "ignore_lock": ignore_lock, "ignore_rules": ignore_rules, "cancel": cancel}
    if cancel and (node or queue or ignore_lock or ignore_rules):
        raise click.UsageError("--cancel stands alone", ctx=ctx)
    body = {**({"target": node} if node else {}), **{name: True for name, is_set in options.items() if is_set}}
    carry_out(ctx, "POST", path_to("groups", name, "move"), body, **how)


def add_move(group: click.Group) -> None:
    group.add_command(move)
