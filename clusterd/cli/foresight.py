"""Commands that look ahead: what-if, plan, capacity. I/O. They change nothing but for `plan apply`."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from clusterd.cli.client import path_to
from clusterd.cli.failures import Answered
from clusterd.cli.foreseen import foreseen_lines
from clusterd.cli.output import clock_text, paint, plain, table
from clusterd.cli.session import WAIT_DEFAULT, Milliseconds, carry_out, client_of, plan_lines, show

NOT_ENOUGH_EXIT = 3
STRANDED_SHOWN_MAX = 12

T = TypeVar("T")


@click.command(name="what-if")
@click.argument("change", nargs=-1, required=True)
@click.pass_context
def what_if(ctx: click.Context, change: tuple[str, ...]) -> None:
    """What would follow from a change, decision by decision. Changes nothing; any node answers.

    \b
    clusterctl what-if node n2 down
    clusterctl what-if drain n1
    clusterctl what-if group web move n3
    clusterctl what-if group web offline
    """
    found = client_of(ctx).read_computed("/v1/what-if", change=" ".join(change))
    show(ctx, found, _what_if_lines)


def _what_if_lines(found: Mapping[str, Any]) -> list[str]:
    return [*foreseen_lines(found), *(f"note: {plain(each)}" for each in found["notes"])]


@click.group()
def plan() -> None:
    """Plans: made by --plan of any command that changes something, applied by their id."""


@plan.command(name="show")
@click.argument("plan_id", metavar="ID")
@click.pass_context
def show_plan(ctx: click.Context, plan_id: str) -> None:
    """What a plan would change, and what would follow.

    \b
    clusterctl plan show 4f1c…
    """
    found = _at_the_node_that_made_it(ctx, lambda: client_of(ctx).read(path_to("plans", plan_id)))
    show(ctx, found, _plan_lines)


def _plan_lines(found: Mapping[str, Any]) -> list[str]:
    state = "applied" if found["applied"] else "not applied"
    made = f"made at {clock_text(found['made'])}, revision {found['made_at_revision']}, {state}"
    return [
        f"plan {paint(plain(found['plan_id']), 'bold')}: {made}",
        *plan_lines({**found, "plan_only": not found["applied"]}),
    ]


@plan.command(name="apply")
@click.argument("plan_id", metavar="ID")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Wait until it has come true.")
@click.option("--timeout", type=Milliseconds(), default=WAIT_DEFAULT, show_default=True, help="Longest wait.")
@click.pass_context
def apply_plan(ctx: click.Context, plan_id: str, wait: bool, timeout: int) -> None:
    """Carry out a plan, while nothing that it read has changed.

    \b
    clusterctl group move web n3 --plan
    clusterctl plan apply 4f1c…
    """
    path = path_to("plans", plan_id)
    _at_the_node_that_made_it(ctx, lambda: carry_out(ctx, "POST", path, plan=False, wait=wait, timeout=timeout))


def _at_the_node_that_made_it(ctx: click.Context, act: Callable[[], T]) -> T:
    """Plans are kept by the node that made them: ask one door after the other."""
    client = client_of(ctx)
    failure: Answered | None = None
    for _ in client.doors.endpoints:
        try:
            return act()
        except Answered as error:
            if error.code != "not-found":
                raise
            failure = failure or error
            client.next_door()
    raise failure or Answered({"message": "there is no node to ask"})


@click.command()
@click.option("--failures", type=click.IntRange(0, 16), default=1, show_default=True, help="How many nodes are lost.")
@click.pass_context
def capacity(ctx: click.Context, failures: int) -> None:
    """Would every group still find a node, and the cluster its quorum, if some were lost? Ends with 0 or, when not, 3.

    \b
    clusterctl capacity
    clusterctl capacity --failures 2 -o json
    """
    found = client_of(ctx).read_computed("/v1/capacity", failures=str(failures))
    show(ctx, found, _capacity_lines)
    if not found["enough"]:
        ctx.exit(NOT_ENOUGH_EXIT)


def _capacity_lines(found: Mapping[str, Any]) -> list[str]:
    lines = [paint(plain(found["summary"]), "bold" if found["enough"] else "red")]
    if found["votes"]["enough"]:
        lines.append(f"votes: {plain(found['votes']['text'])}")
    lines.append("")
    lines += table(
        ["NODE", "GROUPS", "MEMORY USED", "FREE", "CORES USED", "FREE", "TAKES GROUPS"],
        [_node_row(each) for each in found["nodes"]],
    )
    for each in found["homeless"]:
        lines.append(f"{plain(each['group'])} has no node now: {plain(each['reason'])}")
    for loss in found["losses"]:
        lines += ["", f"without {plain(' and '.join(loss['nodes']))} these would have no node:"]
        stranded = loss["stranded"]
        lines += [f"  {plain(each['group'])}: {plain(each['reason'])}" for each in stranded[:STRANDED_SHOWN_MAX]]
        if len(stranded) > STRANDED_SHOWN_MAX:
            lines.append(f"  … and {len(stranded) - STRANDED_SHOWN_MAX} more; -o json has them all")
    return lines


def _node_row(each: Mapping[str, Any]) -> list[str]:
    return [
        each["name"],
        str(each["groups"]),
        f"{each['memory_used_mib']} MiB",
        "not limited" if each["memory_free_mib"] is None else f"{each['memory_free_mib']} MiB",
        str(each["cores_used"]),
        "not limited" if each["cores_free"] is None else str(each["cores_free"]),
        f"no: {each['refusal']}" if each["refusal"] else "yes",
    ]
