"""How is an explanation told to a person? I/O."""

from collections.abc import Mapping, Sequence
from typing import Any

import click

from clusterd.cli.client import path_to
from clusterd.cli.output import clock_text, paint, plain, state_text, table
from clusterd.cli.session import client_of, show
from clusterd.model.durations import rough_text


@click.command()
@click.argument("kind", type=click.Choice(["group", "node", "resource"]))
@click.argument("name")
@click.pass_context
def explain(ctx: click.Context, kind: str, name: str) -> None:
    """Why a group, node or resource is as it is, and what happens next.

    \b
    clusterctl explain group web
    clusterctl explain node n1
    clusterctl explain resource web-server
    """
    found = client_of(ctx).read(path_to("explain", kind, name))
    show(ctx, found, {"group": _group_lines, "node": _node_lines, "resource": _resource_lines}[kind])


def _group_lines(found: Mapping[str, Any]) -> list[str]:
    lines = [paint(plain(found["summary"]), "bold")]
    lines += _section("why it is not as wanted", [f"  {plain(each)}" for each in found["why_not"]])
    decision = found["decision"]
    if decision:
        lines += _section("what happened", _step_lines(decision["steps"]))
        lines += _section(f"where it could go ({plain(decision['rule'])})", _candidate_lines(decision["candidates"]))
    lines += _section("resources", _resource_table(found["resources"]))
    told = {(each["time"], each["text"]) for each in decision["steps"]} if decision else set()
    for node in found["nodes"]:
        if node["name"] == found["owner"]:
            lines += _section(f"its owner {plain(node['name'])} is {node['state']}", _step_lines(node["steps"]))
        elif not any((each["time"], each["text"]) in told for each in node["steps"]):
            lines += ["", f"node {plain(node['name'])} is {node['state']}: {plain(node['because'])}"]
    lines += ["", _failover_line(found["failovers"])]
    lines.append(f"next: {plain(found['next_text'])}")
    return lines


def _failover_line(failovers: Mapping[str, Any]) -> str:
    used, limit, window = failovers["used"], failovers["limit"], rough_text(failovers["window_ms"])
    told = f"failovers after failures of its resources: {used} of {limit} within {window}"
    stamps = [f"{each['resource']} on {each['source']} at {clock_text(each['time'])}" for each in failovers["stamps"]]
    return told + (f" ({plain('; '.join(stamps))})" if stamps else "")


def _resource_lines(found: Mapping[str, Any]) -> list[str]:
    lines = [paint(plain(found["summary"]), "bold")]
    lines += _section("why it is not running", [f"  {plain(each)}" for each in found["why_not"]])
    restarts = found["restarts"]
    window = rough_text(restarts["window_ms"])
    lines += [
        "",
        f"its group {plain(found['group'])} is {found['group_state']}: {plain(found['group_because'])}",
        f"restarts in place: {restarts['used']} of {restarts['limit']} used within {window}; {found['policy']}",
    ]
    if found["depends_on"]:
        lines.append(f"depends on: {plain(found['depends_on'])}")
    if found["evidence"]:
        lines.append(f"could not be stopped: {plain(found['evidence'])}")
    if found["next_action"]:
        lines.append(f"next: {found['next_action']} at {clock_text(found['next_action_time'])}")
    return lines


def _node_lines(found: Mapping[str, Any]) -> list[str]:
    lines = [paint(plain(found["summary"]), "bold")]
    lines += _section("what happened", _step_lines(found["steps"]))
    if found["evidence"]:
        evidence = found["evidence"]
        lines.append(f"  evidence ({evidence['kind']}): {plain(evidence['text'])}")
    lines += [
        "",
        f"vote {found['vote']} of {found['assigned_vote']}, run {found['incarnation'] or 'none'}, "
        f"groups: {plain(', '.join(found['groups'])) or 'none'}",
    ]
    if found["lease_left_ms"] is not None:
        lines.append(f"its run lease is good for {rough_text(found['lease_left_ms'])} more")
    lines.append(f"next: {plain(found['next_text'])}")
    return lines


def _section(title: str, lines: Sequence[str]) -> list[str]:
    return ["", paint(title, "bold"), *lines] if lines else []


def _step_lines(steps: Sequence[Mapping[str, Any]]) -> list[str]:
    gaps = ["" if each["after_ms"] is None else f"+{rough_text(each['after_ms'])}" for each in steps]
    width = max((len(gap) for gap in gaps), default=0)
    return [
        f"  {clock_text(each['time'])}  {gap:>{width}}  {plain(each['text'])}"
        for each, gap in zip(steps, gaps, strict=True)
    ]


def _candidate_lines(candidates: Sequence[Mapping[str, Any]]) -> list[str]:
    chosen = [[each["node"], "chosen" if each["is_chosen"] else "not", each["reason"]] for each in candidates]
    return table(["NODE", "", "WHY"], chosen, indent="  ") if chosen else []


def _resource_table(resources: Sequence[Mapping[str, Any]]) -> list[str]:
    rows = []
    for each in resources:
        restarts = each["restarts"]
        next_action = f"{each['next_action']} at {clock_text(each['next_action_time'])}" if each["next_action"] else "-"
        rows.append(
            [
                each["name"],
                state_text(each["state"]),
                clock_text(each["since"]),
                f"{restarts['used']} of {restarts['limit']}",
                next_action,
                each["cause"] or "-",
            ]
        )
    return table(["RESOURCE", "STATE", "SINCE", "RESTARTS", "NEXT", "CAUSE"], rows, indent="  ") if rows else []
