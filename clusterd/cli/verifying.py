"""clusterctl group verify: does a group really run on every node that may own it? I/O. Ordinary moves, each in its turn."""

import time
from collections.abc import Mapping
from typing import Any

import click

from clusterd.cli.client import path_to
from clusterd.cli.moves import KINDS
from clusterd.cli.output import paint, plain, table
from clusterd.cli.session import Milliseconds, client_of, output_of, show, wait_for
from clusterd.model.errors import ClusterError, Refused

FAILED_EXIT = 1
MOVED, FAILED, LEFT_OUT = "moved", "failed", "left-out"
_WORDS = {MOVED: ("ok", "green"), FAILED: ("failed", "red"), LEFT_OUT: ("left out", "yellow")}


@click.command()
@click.argument("name")
@click.option(
    "--kind", type=click.Choice(KINDS), default=None, help="How each move is made: live is without interruption."
)
@click.option("--timeout", type=Milliseconds(), default="60s", show_default=True, help="Longest wait for each move.")
@click.pass_context
def verify(ctx: click.Context, /, name: str, kind: str | None, timeout: int) -> None:
    """Move a group to each of its possible owners and back to where it was, and report on each.

    Every move interrupts the group as long as any other move of its kind does. A node that is down, paused or quarantined is
    said and left out. Exit code 1 when a move failed.

    \b
    clusterctl group verify shop
    clusterctl group verify shop --kind live
    """
    group = _group(ctx, name)
    home = group["owner"]
    if group["state"] != "online" or not home:
        hint = f"clusterctl group online {name}"
        raise Refused(f"group {group['name']} is {group['state']}: only what is online can be verified", hint=hint)
    try:
        visits = [
            _left_out(node, why) if why else _visit(ctx, group["name"], node, kind, timeout)
            for node, why in _owners(ctx, group)
            if node != home
        ]
        visits.append(_visit(ctx, group["name"], home, kind, timeout))
    except KeyboardInterrupt:
        back = f"clusterctl group move {plain(group['name'])} {plain(home)}" + (f" --kind {kind}" if kind else "")
        click.echo(f"interrupted: a move under way goes on, and nothing brings it back: {back}", err=True)
        raise
    document = {
        "schema": 1,
        "group": group["name"],
        "home": home,
        "kind": kind,
        "verified": not any(each["result"] == FAILED for each in visits),
        "moves": visits,
    }
    show(ctx, document, verify_lines)
    if not document["verified"]:
        ctx.exit(FAILED_EXIT)


def verify_lines(document: Mapping[str, Any]) -> list[str]:
    """A line for each node, and a sentence that claims no more than was tried."""
    group, home, moves = plain(document["group"]), plain(document["home"]), document["moves"]
    rows = [
        (
            each["node"] + (" (back)" if number == len(moves) - 1 else ""),
            paint(*_WORDS[each["result"]]),
            "-" if each["took_ms"] is None else f"{each['took_ms'] / 1000:.2f} s",
            "-" if each["blackout_ms"] is None else f"{each['blackout_ms']} ms",
            each["because"],
        )
        for number, each in enumerate(moves)
    ]
    lines = table(("NODE", "MOVE", "TOOK", "STOOD STILL", "WHAT HAPPENED"), rows)
    left_out = ", ".join(plain(each["node"]) for each in moves if each["result"] == LEFT_OUT)
    if not document["verified"]:
        return [*lines, f"{group} does not run everywhere: clusterctl events --group {group}"]
    if left_out:
        return [*lines, f"{group} runs on every node that could be tried, not tried {left_out}; it is on {home} again"]
    return [*lines, f"{group} runs on every node that may own it, and is on {home} again"]


def _visit(ctx: click.Context, name: str, node: str, kind: str | None, timeout_ms: int) -> dict[str, Any]:
    """Move it there. What fails is told, and the next node is tried from wherever the group is then."""
    if output_of(ctx) == "table":
        click.echo(f"moving {plain(name)} to {plain(node)} …", err=True)
    began = time.monotonic()
    body = {"target": node, **({"kind": kind} if kind else {})}
    blackout_ms: int | None = None
    try:
        outcome = client_of(ctx).change("POST", path_to("groups", name, "move"), body)
        waited = wait_for(ctx, outcome["wait_for"], longest_ms=timeout_ms, after_revision=outcome["revision"])
        moved = bool(waited["reached"])
        because = "; ".join(plain(each["now"]) for each in waited["conditions"])
        if moved and kind == "live":
            blackout_ms = (_group(ctx, name)["migration"] or {}).get("blackout_ms")
    except ClusterError as error:
        moved, because = False, plain(error.message)
    took_ms = int((time.monotonic() - began) * 1000)
    return _said(node, MOVED if moved else FAILED, because, took_ms, blackout_ms)


def _left_out(node: str, why: str) -> dict[str, Any]:
    return _said(node, LEFT_OUT, why, None, None)


def _said(node: str, result: str, because: str, took_ms: int | None, blackout_ms: int | None) -> dict[str, Any]:
    return {"node": node, "result": result, "took_ms": took_ms, "blackout_ms": blackout_ms, "because": because}


def _owners(ctx: click.Context, group: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Nodes that every resource of it may run on, in join order, and why one cannot take it now."""
    nodes = client_of(ctx).read("/v1/nodes")["nodes"]
    limits = [set(each["possible_owners"]) for each in group["resources"] if each.get("possible_owners")]
    return [(each["name"], _why_not(each)) for each in nodes if all(each["name"] in owners for owners in limits)]


def _why_not(node: Mapping[str, Any]) -> str:
    if node["state"] != "up":
        return f"it is {node['state']}"
    return "it is quarantined" if node.get("quarantined_until") else ""


def _group(ctx: click.Context, name: str) -> dict[str, Any]:
    found: dict[str, Any] = client_of(ctx).read(path_to("groups", name))["groups"][0]
    return found
