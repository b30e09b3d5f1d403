"""How is an explanation told to a person? I/O."""

from collections.abc import Mapping, Sequence
from typing import Any

import click

from clusterd.cli.client import path_to
from clusterd.cli.output import clock_text, paint, plain, state_text, table
from clusterd.cli.session import client_of, show
from clusterd.cli.standing import node_standing_lines, unknown_health_lines
from clusterd.model.durations import rough_text

STEPS_SHOWN_MAX = 14
CANDIDATES_SHOWN_MAX = 8
DETAILS_SHOWN_MAX = 8


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
    show(ctx, found, lambda document: lines_of(kind, document))


def lines_of(kind: str, found: Mapping[str, Any]) -> list[str]:
    """An explanation of one kind as text."""
    return {"group": _group_lines, "node": _node_lines, "resource": _resource_lines}[kind](found)


_RESTS = ("limit-reached", "no-other-node")
"""Codes of decisions that name where it would go, and leave it where it is."""


def _group_lines(found: Mapping[str, Any]) -> list[str]:
    lines = [paint(plain(found["summary"]), "bold")]
    lines += _standing_lines(found)
    lines += _reason_lines(found["not_running"])
    decision = found["decision"]
    lines += _section("what happened", _step_lines(found["chain"]))
    if decision and any(each["is_chosen"] for each in decision["candidates"]):
        word = "first" if decision.get("code") in _RESTS else "chosen"
        candidates = _candidate_lines(decision["candidates"], word)
        lines += _section(f"where it could go ({plain(decision['rule'])})", candidates)
    lines += _section("resources", _resource_table(found["resources"]))
    told = {(each["time"], each["text"]) for each in found["chain"]}
    for node in found["nodes"]:
        if node["name"] == found["owner"]:
            lines += _section(f"its owner {plain(node['name'])} is {node['state']}", _step_lines(node["steps"]))
        elif not any((each["time"], each["text"]) in told for each in node["steps"]):
            lines += ["", f"node {plain(node['name'])} is {node['state']}: {plain(node['because'])}"]
    lines += ["", _failover_line(found["failovers"])]
    if found["why_not_back"]:
        lines.append(f"its place: {plain(found['why_not_back'])}")
    lines.append(f"next: {plain(found['next_text'])}")
    return lines


def _standing_lines(found: Mapping[str, Any]) -> list[str]:
    """What stands beside the state: words, a move that was asked for, hands off."""
    lines = [f"status: {plain(', '.join(found['status']))}"] if found["status"] else []
    move, maintenance = found["move"], found["maintenance"]
    if move:
        how = "waits in the queue" if move["queued"] else "is under way" if move["under_way"] else "was asked for"
        lines.append(
            f"a move to {plain(move['target'] or 'the best node')} {how}, asked at {clock_text(move['since'])}"
        )
    if maintenance and not maintenance["in_force"]:
        lines.append(
            f"hands off is asked for; it waits for the end of what is under way: {plain(maintenance['waits_for'])}"
        )
    return lines


def _reason_lines(reason: Mapping[str, Any] | None) -> list[str]:
    """Why it is not running, and what may be done about it."""
    if reason is None:
        return []
    lines = [f"  {plain(reason['text'])}", *(f"    {plain(each)}" for each in reason["details"][:DETAILS_SHOWN_MAX])]
    if len(reason["details"]) > DETAILS_SHOWN_MAX:
        lines.append(f"    … and {len(reason['details']) - DETAILS_SHOWN_MAX} more")
    lines += [f"  try: {plain(each)}" for each in reason["ways_out"]]
    return _section("why it is not running", lines)


def _failover_line(failovers: Mapping[str, Any]) -> str:
    stamps = [f"{each['resource']} on {each['source']} at {clock_text(each['time'])}" for each in failovers["stamps"]]
    told = f"failovers after failures of its resources: {failovers['text']}"
    return told + (f" ({plain('; '.join(stamps))})" if stamps else "")


def _resource_lines(found: Mapping[str, Any]) -> list[str]:
    lines = [paint(plain(found["summary"]), "bold")]
    lines += _reason_lines(found["not_running"])
    lines += _section("what happened", _step_lines(found["chain"]))
    lines += [
        "",
        f"its group {plain(found['group'])} is {found['group_state']}: {plain(found['group_because'])}",
        f"restarts in place: {found['restarts']['text']}; {found['policy']}",
    ]
    if found["depends_on"]:
        lines.append(f"depends on: {plain(found['depends_on'])}")
    if found["embedded_failure"]:
        lines.append(f"the workload inside complains: {plain(found['embedded_failure'])}")
    lines += unknown_health_lines(found)
    if found.get("concern"):
        lines.append(f"needs to be looked at: {plain(found['concern'])}")
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
    lines += node_standing_lines(found)
    if found["exits"]:
        lines.append(
            f"lost without a clean stop: {len(found['exits'])} times, last at {clock_text(found['exits'][-1])}"
        )
    if found["lease_left_ms"] is not None:
        lines.append(f"its run lease is good for {rough_text(found['lease_left_ms'])} more")
    lines.append(f"next: {plain(found['next_text'])}")
    return lines


def _section(title: str, lines: Sequence[str]) -> list[str]:
    return ["", paint(title, "bold"), *lines] if lines else []


def _step_lines(steps: Sequence[Mapping[str, Any]]) -> list[str]:
    shown = steps[-STEPS_SHOWN_MAX:]
    gaps = ["" if each["after_ms"] is None else f"+{rough_text(each['after_ms'])}" for each in shown]
    width = max((len(gap) for gap in gaps), default=0)
    left_out = [f"  … {len(steps) - len(shown)} earlier ones with -o json"] if len(steps) > len(shown) else []
    return left_out + [
        f"  {clock_text(each['time'])}  {gap:>{width}}  {plain(each['text'])}"
        for each, gap in zip(shown, gaps, strict=True)
    ]


def _candidate_lines(candidates: Sequence[Mapping[str, Any]], word: str) -> list[str]:
    """The chosen node first, with a word for it; of many others only some."""
    ordered = sorted(candidates, key=lambda each: not each["is_chosen"])
    rows = [[each["node"], word if each["is_chosen"] else "not", each["reason"]] for each in ordered]
    lines = table(["NODE", "", "WHY"], rows[:CANDIDATES_SHOWN_MAX], indent="  ") if rows else []
    if len(rows) > CANDIDATES_SHOWN_MAX:
        lines.append(f"  … and {len(rows) - CANDIDATES_SHOWN_MAX} more with -o json")
    return lines


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
