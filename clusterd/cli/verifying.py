"""clusterctl group verify: does a group really run on every node that may own it? I/O. Ordinary moves, each in its turn."""

import time
from collections.abc import Mapping
from typing import Any

import click

from clusterd.cli.client import path_to
from clusterd.cli.output import paint, plain, table
from clusterd.cli.session import Milliseconds, client_of, output_of, show, wait_for
from clusterd.model.errors import ClusterError, Refused

FAILED_EXIT = 1


@click.command()
@click.argument("name")
@click.option("--timeout", type=Milliseconds(), default="60s", show_default=True, help="Longest wait for each move.")
@click.pass_context
def verify(ctx: click.Context, /, name: str, timeout: int) -> None:
    """Move a group to each of its possible owners and back to where it was, and report on each.

    Every move interrupts the group as long as any other move of it does. A node that cannot take it now is said and left
    out. Exit code 1 when a move failed.
    """
    group = _group(ctx, name)
    home = group["owner"]
    if group["state"] != "online" or not home:
        hint = f"clusterctl group online {name}"
        raise Refused(f"group {group['name']} is {group['state']}: only what is online can be verified", hint=hint)
    targets = [node for node in _owners(ctx, group) if node != home]
    found = [_visit(ctx, group["name"], node, timeout) for node in targets]
    back = _visit(ctx, group["name"], home, timeout)
    document = {
        "schema": 1,
        "group": group["name"],
        "home": home,
        "verified": all(each["moved"] for each in (*found, back)),
        "moves": [*found, back],
    }
    show(ctx, document, verify_lines)
    if not document["verified"]:
        ctx.exit(FAILED_EXIT)


def verify_lines(document: Mapping[str, Any]) -> list[str]:
    rows = [
        (
            each["node"] + (" (back)" if number == len(document["moves"]) - 1 else ""),
            paint("ok", "green") if each["moved"] else paint("failed", "red"),
            f"{each['took_ms'] / 1000:.2f} s",
            each["because"],
        )
        for number, each in enumerate(document["moves"])
    ]
    lines = table(("NODE", "MOVE", "TOOK", "WHAT HAPPENED"), rows)
    if document["verified"]:
        return [
            *lines,
            f"{plain(document['group'])} runs on every node that may own it, and is on {document['home']} again",
        ]
    return [
        *lines,
        f"{plain(document['group'])} does not run everywhere: clusterctl events --group {document['group']}",
    ]


def _visit(ctx: click.Context, name: str, node: str, timeout_ms: int) -> dict[str, Any]:
    """Move it there. What fails is told, and the next node is tried from wherever the group is then."""
    if output_of(ctx) == "table":
        click.echo(f"moving {plain(name)} to {plain(node)} …", err=True)
    began = time.monotonic()
    try:
        outcome = client_of(ctx).change("POST", path_to("groups", name, "move"), {"target": node})
        waited = wait_for(
            ctx, [f"group {name} online on {node}"], longest_ms=timeout_ms, after_revision=outcome["revision"]
        )
        moved = bool(waited["reached"])
        because = "; ".join(plain(each["now"]) for each in waited["conditions"])
    except ClusterError as error:
        moved, because = False, plain(error.message)
    return {"node": node, "moved": moved, "took_ms": int((time.monotonic() - began) * 1000), "because": because}


def _owners(ctx: click.Context, group: Mapping[str, Any]) -> list[str]:
    """Nodes that every resource of it may run on and that take groups now, in join order."""
    nodes = client_of(ctx).read("/v1/nodes")["nodes"]
    limits = [set(each["possible_owners"]) for each in group["resources"] if each.get("possible_owners")]
    return [
        each["name"]
        for each in nodes
        if each["state"] == "up" and not each.get("paused") and all(each["name"] in owners for owners in limits)
    ]


def _group(ctx: click.Context, name: str) -> dict[str, Any]:
    found: dict[str, Any] = client_of(ctx).read(path_to("groups", name))["groups"][0]
    return found
