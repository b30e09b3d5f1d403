"""The timeline: what happened, as lines, as it happens, or as a file to keep. I/O."""

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import click

from clusterd.cli.client import Client
from clusterd.cli.failures import Answered
from clusterd.cli.output import clock_text, plain, show_document, state_text
from clusterd.cli.session import client_of, output_of, show

AGAIN_S = 0.5
LAST_DEFAULT = "50"
LAST_MAX = 2000
EXPORTS = (".html", ".json")


@click.command()
@click.option("--follow", is_flag=True, help="Go on with new ones as they happen.")
@click.option("--since", default="", metavar="T", help="From then on: 15min (ago) or 2026-01-01T12:00:00Z.")
@click.option("--around", default="", metavar="MOMENT", help="last-failover, a revision, or a time as for --since.")
@click.option("--group", default="", metavar="NAME", help="Only those of one group.")
@click.option("--node", default="", metavar="NAME", help="Only those of one node.")
@click.option(
    "--last", type=click.IntRange(0, LAST_MAX), default=None, help="At most so many of the newest.  [default: 50]"
)
@click.option(
    "--export",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write them to FILE.html (one page with a lane for each node and group) or FILE.json.",
)
@click.pass_context
def events(
    ctx: click.Context,
    follow: bool,
    since: str,
    around: str,
    group: str,
    node: str,
    last: int | None,
    path: Path | None,
) -> None:
    """What happened, and what led to it.

    \b
    clusterctl events --since 15min --group web
    clusterctl events --around last-failover
    clusterctl events --follow -o json               one JSON object a line
    clusterctl events --since 1h --export timeline.html
    """
    query = {"since": since, "around": around, "group": group, "node": node, "last": "" if last is None else str(last)}
    given = {name: value for name, value in query.items() if value}
    client = client_of(ctx)
    if path is not None:
        _export(client, path, given, is_following=follow)
    elif follow:
        if around:
            raise click.UsageError("--follow goes on with what is new; --around looks back: give one of them")
        for each in _following(client, given):
            if output_of(ctx) == "table":
                click.echo(event_line(each))
            else:
                show_document(each, output_of(ctx))
    else:
        given.setdefault("last", str(LAST_MAX) if since or around else LAST_DEFAULT)
        show(ctx, client.read("/v1/events", **given), _lines)


def _lines(document: Mapping[str, Any]) -> list[str]:
    return [event_line(each) for each in document["events"]] or ["no such events"]


def event_line(event: Mapping[str, Any]) -> str:
    where = " ".join(plain(event[key]) for key in ("node", "group", "resource") if event[key])
    because = f"  ({plain(event['because'])})" if event["because"] else ""
    count = f"  {event['count']}× since {clock_text(event['first_time'])}" if event["count"] > 1 else ""
    level = state_text(event["level"])
    padding = " " * max(0, 7 - len(event["level"]))
    return f"{clock_text(event['time'])}  {level}{padding}  {where}: {plain(event['message'])}{count}{because}"


def _export(client: Client, path: Path, query: dict[str, str], *, is_following: bool) -> None:
    if path.suffix not in EXPORTS or is_following:
        raise click.UsageError("--export writes FILE.html or FILE.json, of what happened so far")
    if path.suffix == ".html":
        text = client.read_text("/v1/timeline" + (f"?{urlencode(query)}" if query else ""))
    else:
        text = json.dumps(client.read("/v1/events", **{"last": str(LAST_MAX), **query}), ensure_ascii=False, indent=2)
    path.write_text(text + ("" if text.endswith("\n") else "\n"), encoding="utf-8")
    click.echo(f"written: {path}")


def _following(client: Client, query: dict[str, str]) -> Iterator[dict[str, Any]]:
    """Events without end. When a node goes away the next one is asked to go on after the last event seen."""
    last: int | None = None
    while True:
        try:
            for kind, document in client.follow("/v1/events", after=last, follow="1", **query):
                if kind == "event":
                    last = document["sequence"]
                    yield document
        except (OSError, Answered) as error:
            if isinstance(error, Answered) and not error.retryable:
                raise
        client.next_door()
        time.sleep(AGAIN_S)
