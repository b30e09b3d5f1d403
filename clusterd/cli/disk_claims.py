"""clusterctl resource clear-claim: ends what a former user left on a disk. I/O."""

import sys
from collections.abc import Mapping
from typing import Any

import click

from clusterd.cli.client import COMPUTED_MAX_S, path_to
from clusterd.cli.output import plain
from clusterd.cli.session import carry_out, client_of, mutating, output_of, plan_lines, show
from clusterd.model.errors import BadInput


@click.command(name="clear-claim")
@click.argument("name")
@click.option(
    "--node", "by_node", default="", metavar="NODE", help="The node that does it; else the first that reaches it."
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@mutating
@click.pass_context
def clear_claim(ctx: click.Context, /, name: str, by_node: str, yes: bool, plan: bool, **how: Any) -> None:
    """End claims that a former user left on a disk, which nobody uses.

    Shows who holds it and asks. For claims that do not go by themselves: of a former cluster of this name, of another
    cluster or a tool. Whoever made them loses the disk; the disk's resource must be offline, or have failed.

    \b
    clusterctl resource clear-claim shop-disk
    clusterctl resource clear-claim shop-disk --node n2 --yes
    """
    if not yes and not plan and not sys.stdin.isatty():
        raise BadInput("nobody can be asked here", hint="--yes ends it without asking, --plan only shows it")
    path = path_to("resources", name, "clear-claim")
    planned = client_of(ctx).change("POST", path, {"node": by_node}, extra_s=COMPUTED_MAX_S, plan="1")
    if plan or not planned["changes"]:
        show(ctx, planned, _lines)
        return
    if output_of(ctx) == "table" and not yes:
        for line in _lines({**planned, "foresight": None}):
            click.echo(line)
    if not yes:
        click.confirm("End what is named? Nobody may use the disk.", abort=True, err=True)
    body = {"node": planned["node"], "keys": [each["key"] for each in planned["claims"]]}
    carry_out(ctx, "POST", path, body, plan=False, extra_s=COMPUTED_MAX_S, **how)


def _lines(outcome: Mapping[str, Any]) -> list[str]:
    claims = [f"{plain(outcome['node'])} sees claim {plain(each['text'])}" for each in outcome["claims"]]
    return [*(claims or [f"{plain(outcome['node'])} sees no claim"]), *plan_lines(outcome)]
