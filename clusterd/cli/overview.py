"""Commands that look at the whole: status, wait, console. I/O."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import click

from clusterd.cli.client import Client
from clusterd.cli.output import ago_text, fit, moment, paint, plain, table
from clusterd.cli.session import (
    WAIT_DEFAULT,
    Milliseconds,
    client_of,
    now_lines,
    raise_given_up,
    raise_ran_out,
    show,
    wait_for,
)
from clusterd.cli.standing import next_text, words_text
from clusterd.model.durations import rough_text

RESOURCES_SHOWN_MAX = 24
WHY_SHOWN_MAX = 140


@click.command()
@click.pass_context
def status(ctx: click.Context) -> None:
    """The whole cluster on one screen, worst first.

    \b
    clusterctl status
    clusterctl status -o json
    """
    show(ctx, client_of(ctx).read("/v1/status"), _status_lines)


def _status_lines(found: Mapping[str, Any]) -> list[str]:
    quorum, as_of, cluster = found["quorum"], found["as_of"], found["cluster"]
    now = datetime.now().astimezone()
    state = paint("quorate", "green") if quorum["quorate"] else paint("NO QUORUM", "red")
    lines = [
        f"cluster {paint(plain(cluster['name']), 'bold')}: {state}, {quorum['have']} of {quorum['votes']} votes "
        f"(needs {quorum['needed']}) since {ago_text(quorum['since'], now)}, "
        f"leader {quorum['leader'] or 'none'}, term {quorum['term']}",
        paint(f"as {as_of['node']} sees it, revision {as_of['revision']}, {rough_text(as_of['age_ms'])} old", "grey"),
    ]
    lines += [fit(f"{paint('!', 'red')} {plain(each)}") for each in found["problems"][:10]]
    lines += [fit(f"{paint('!', 'yellow')} {plain(each)}") for each in found.get("warnings", ())[:10]]
    lines += [fit(f"{paint('-', 'blue')} {plain(each)}") for each in found["notices"][:10]]
    return [*lines, "", *_group_lines(found["groups"], now), "", *_node_lines(found["nodes"], now)]


def _group_lines(groups: list[Mapping[str, Any]], now: datetime) -> list[str]:
    if not groups:
        return ["no groups yet; describe some in a file and run: clusterctl apply -f FILE"]
    has_room = sum(len(each["resources"]) for each in groups) <= RESOURCES_SHOWN_MAX
    rows: list[list[str]] = []
    for group in groups:
        rows.append(
            [
                group["name"],
                words_text(group),
                group["wanted"],
                group["owner"] or "-",
                ago_text(group["since"], now),
                _group_why(group),
            ]
        )
        if has_room or not group["settled"]:
            rows += [_resource_row(each, now) for each in group["resources"]]
    return table(["GROUP", "STATE", "WANTED", "OWNER", "SINCE", "WHY"], rows)


def _group_why(group: Mapping[str, Any]) -> str:
    action = group["next_action"]
    return _shortened(f"next: {next_text(action)}; {group['because']}" if action else str(group["because"]))


def _shortened(text: str) -> str:
    """One screen holds no output of a failed command; explain and JSON have it whole."""
    return text if len(text) <= WHY_SHOWN_MAX else f"{text[: WHY_SHOWN_MAX - 1].rstrip()}…"


def _resource_row(resource: Mapping[str, Any], now: datetime) -> list[str]:
    restarts = resource["restarts"]
    facts = [resource["type"]]
    if resource["pid"]:
        facts.append(f"pid {resource['pid']}")
    if restarts["used"]:
        facts.append(f"{restarts['used']} of {restarts['limit']} restarts used")
    if resource["state"] != "online" and resource["because"]:
        facts.append(resource["because"])
    return [
        f"  {resource['name']}",
        words_text(resource),
        resource["wanted"],
        "",
        ago_text(resource["since"], now),
        _shortened(", ".join(facts)),
    ]


def _node_lines(nodes: list[Mapping[str, Any]], now: datetime) -> list[str]:
    rows = [
        [
            each["name"] + (" *" if each["is_leader"] else ""),
            words_text(each),
            str(each["vote"]),
            "-" if each["heartbeat_age_ms"] is None else f"{each['heartbeat_age_ms']} ms ago",
            ago_text(each["since"], now),
            ", ".join(each["groups"]) or "-",
        ]
        for each in nodes
    ]
    return table(["NODE", "STATE", "VOTE", "HEARD", "SINCE", "GROUPS"], rows)


@click.command()
@click.option(
    "--for", "conditions", multiple=True, required=True, metavar="CONDITION", help="May be repeated: all of them."
)
@click.option("--timeout", type=Milliseconds(), default=WAIT_DEFAULT, show_default=True, help="Longest wait.")
@click.pass_context
def wait(ctx: click.Context, conditions: tuple[str, ...], timeout: int) -> None:
    """Wait until something is true; ends at once when it is already.

    \b
    clusterctl wait --for 'group web online'
    clusterctl wait --for 'group web online on n2' --timeout 10s
    clusterctl wait --for 'node n1 down'
    clusterctl wait --for 'cluster healthy'
    """
    waited = wait_for(ctx, list(conditions), longest_ms=timeout, after_revision=0)
    show(ctx, waited, now_lines)
    if waited["impossible"]:
        raise_given_up(waited)
    if not waited["reached"]:
        raise_ran_out(waited, timeout)


@click.command()
@click.pass_context
def console(ctx: click.Context) -> None:
    """The address of the web page, at a node that answers. What stands behind the '#' lets one page in, once, within ten
    minutes; it reads only.

    \b
    clusterctl console
    xdg-open "$(clusterctl console)"
    """
    client = client_of(ctx)
    found = client.read("/v1/console-code")
    endpoint = client.answered
    address = str(endpoint) if endpoint.scheme != "unix" else _address_of(client, str(found["node"]))
    url = f"{address}/#code={found['code']}"
    show(ctx, {"schema": 1, "url": url, "node": found["node"]}, lambda document: [document["url"]])


def _address_of(client: Client, node: str) -> str:
    """Where the node that was asked on its socket listens for others."""
    nodes = client.read("/v1/nodes")["nodes"]
    return f"http://{next(str(each['api_address']) for each in nodes if each['name'] == node)}"


__all__ = ["console", "moment", "status", "wait"]
