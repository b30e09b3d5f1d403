"""Commands that keep hands off: maintenance of the cluster, a node, a group or a resource. I/O."""

from typing import Any

import click

from clusterd.cli.client import path_to
from clusterd.cli.session import carry_out, mutating

SHORT = "Keep hands off: failures are only reported."
LOOK_MAX_S = 20.0
"""How long nodes are asked, at its end, whether what would start runs there already."""
SWITCH = click.Choice(["on", "off"])
_LOOK = click.option(
    "--no-look", is_flag=True, help="With off: do not ask whether what would start runs somewhere already."
)
_REASON = click.option("--reason", default="", metavar="TEXT", help="Shown wherever hands are kept off.")


def add_maintenance(group: click.Group, collection: str) -> None:
    """Add `maintenance NAME on|off` to the commands about one kind of thing."""
    one = collection.removesuffix("s")

    example = f"clusterctl {one} maintenance NAME on --reason 'new firmware'"

    @group.command(name="maintenance", help=_says(one, example), short_help=SHORT)
    @click.argument("name")
    @click.argument("switch", type=SWITCH)
    @_REASON
    @_LOOK
    @mutating
    @click.pass_context
    def run(ctx: click.Context, /, name: str, switch: str, reason: str, no_look: bool, **how: Any) -> None:
        body = _body(switch, reason, no_look)
        carry_out(ctx, "POST", path_to(collection, name, "maintenance"), body, extra_s=LOOK_MAX_S, **how)


def add_cluster_maintenance(group: click.Group) -> None:
    """Add `maintenance on|off` for everything."""

    example = "clusterctl cluster maintenance on --reason 'new switch'"

    @group.command(name="maintenance", help=_says("cluster", example), short_help=SHORT)
    @click.argument("switch", type=SWITCH)
    @_REASON
    @_LOOK
    @mutating
    @click.pass_context
    def run(ctx: click.Context, /, switch: str, reason: str, no_look: bool, **how: Any) -> None:
        body = _body(switch, reason, no_look)
        carry_out(ctx, "POST", path_to("cluster", "maintenance"), body, extra_s=LOOK_MAX_S, **how)


def _body(switch: str, reason: str, no_look: bool) -> dict[str, Any]:
    return {"on": switch == "on", "reason": reason, **({"look": False} if no_look else {})}


def _says(one: str, example: str) -> str:
    what = {"cluster": "everything", "node": "every group on a node", "group": "a group", "resource": "a resource"}[one]
    return (
        f"Keep hands off {what}: failures are reported, nothing is started, stopped, restarted or moved.\n\n"
        "Asked for during a recovery it waits for its end. When it ends, what is still failed is judged by its policy. "
        "It does not end while a possible owner says that what would start runs there already.\n\n"
        f"\b\n{example}\n{example.replace(' on --reason', ' off#').split('#')[0]}"
    )
