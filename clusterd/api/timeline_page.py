"""How is the timeline kept as one page? Pure. HTML and SVG without scripts or anything from elsewhere: for a ticket."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from clusterd.api.node_views import node_view
from clusterd.api.observed import observe_groups
from clusterd.api.port import NodeStatus
from clusterd.api.timeline_lanes import Lane, Mark, Present, Stretch, lanes_of, moment_ms
from clusterd.api.times import time_text
from clusterd.database import DatabaseView
from clusterd.model.counts import counted

WIDTH = 1180
LABEL_WIDTH = 150
LANE_HEIGHT = 30
BAR_HEIGHT = 16
AXIS_HEIGHT = 30
TICKS_MAX = 9
LEAST_SPAN_MS = 1000
_TICK_STEPS_MS = [
    factor * unit
    for unit, factors in (
        (1, (100, 200, 500)),
        (1000, (1, 2, 5, 10, 15, 30)),
        (60_000, (1, 2, 5, 10, 15, 30)),
        (3_600_000, (1, 2, 3, 6, 12, 24, 48, 168, 720)),
    )
    for factor in factors
]
_MARK_RADIUS = {"error": 5, "warning": 4, "info": 2.5, "debug": 2}

STYLE = """
:root { color-scheme: light dark; --ink: #1d2430; --soft: #667085; --line: #d9dee7; --ground: #ffffff; --band: #f6f8fb;
  --good: #2f9e63; --bad: #d1453b; --pending: #d99a1c; --off: #aab3c2; --unknown: #c7b8d9; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e9f2; --soft: #98a3b8; --line: #323b4d; --ground: #141922;
  --band: #1a212d; --good: #45b97c; --bad: #e8685e; --pending: #e0ac3f; --off: #5b6679; --unknown: #6d5f83; } }
body { margin: 2rem auto; max-width: 1200px; padding: 0 1rem; background: var(--ground); color: var(--ink);
  font: 14px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.35rem; margin: 0 0 .2rem; } h2 { font-size: 1.05rem; margin: 2rem 0 .5rem; }
p, .soft { color: var(--soft); }
svg { width: 100%; height: auto; display: block; } svg text { fill: var(--ink); font: 12px system-ui, sans-serif; }
svg .tick { stroke: var(--line); } svg .tick-text { fill: var(--soft); font-size: 11px; }
svg .band { fill: var(--band); } svg .inside { fill: #fff; font-size: 11px; pointer-events: none; }
.up, .online { fill: var(--good); background: var(--good); } .down, .failed { fill: var(--bad); background: var(--bad); }
.expelling, .pending, .partial-online, .paused, .joining { fill: var(--pending); background: var(--pending); }
.offline { fill: var(--off); background: var(--off); } .unknown { fill: var(--unknown); background: var(--unknown); }
.mark { stroke: var(--ground); stroke-width: 1; } .mark.error { fill: var(--bad); } .mark.warning { fill: var(--pending); }
.mark.info, .mark.debug { fill: var(--ink); }
.key span { display: inline-block; width: .9em; height: .9em; border-radius: 3px; margin: 0 .35em 0 1em;
  vertical-align: -1px; }
table { border-collapse: collapse; width: 100%; } th { text-align: left; color: var(--soft); font-weight: 600; }
td, th { padding: .25rem .6rem .25rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td.time { white-space: nowrap; font-variant-numeric: tabular-nums; } tr:target { outline: 2px solid var(--pending); }
tr.error td.level { color: var(--bad); } tr.warning td.level { color: var(--pending); } a { color: inherit; }
"""


def timeline_page(view: DatabaseView, status: NodeStatus, events: Sequence[dict[str, Any]]) -> str:
    """The whole page: lanes above, the list below. `events` are documents, oldest first."""
    begin_ms, end_ms = _span(events, status.wall_ms)
    lanes = lanes_of(events, _present(view, status), begin_ms, end_ms)
    name = view.cluster().name or "cluster"
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(name)}: timeline</title><style>{STYLE}</style></head><body>",
            f"<h1>{escape(name)}: what happened</h1>",
            f"<p>{time_text(begin_ms)} to {time_text(end_ms)}, as {escape(status.node)} sees it at revision "
            f"{view.revision}; {counted(len(events), 'event')}. Times are UTC. Point at a bar or a dot to read it.</p>",
            _key(),
            _drawing(lanes, begin_ms, end_ms),
            "<h2>Events</h2>",
            _list(events),
            "</body></html>",
            "",
        ]
    )


def _span(events: Sequence[dict[str, Any]], now_ms: int) -> tuple[int, int]:
    moments = [moment_ms(each["time"]) for each in events] + [moment_ms(each["first_time"]) for each in events]
    begin_ms, end_ms = min(moments, default=now_ms), max(moments, default=now_ms)
    margin_ms = max(LEAST_SPAN_MS, (end_ms - begin_ms) // 25)
    return begin_ms - margin_ms, end_ms + margin_ms


def _present(view: DatabaseView, status: NodeStatus) -> list[Present]:
    nodes = [Present("node", each.name, node_view(view, status, each)["state"]) for each in view.nodes()]
    groups = [
        Present("group", each.record.name, each.state.value, each.owner or "")
        for each in observe_groups(view, is_quorate=status.is_quorate, unheard=status.unheard)
    ]
    return nodes + groups


def _key() -> str:
    words = ("online", "pending", "failed", "offline", "unknown")
    shown = "".join(f'<span class="{word}"></span>{word}' for word in words)
    return f'<p class="key">Nodes: up, expelling, down. Groups, with the node they are on:{shown}</p>'


# ---- the drawing ----


def _drawing(lanes: Sequence[Lane], begin_ms: int, end_ms: int) -> str:
    height = AXIS_HEIGHT + LANE_HEIGHT * len(lanes) + 6
    scale = _Scale(begin_ms, end_ms)
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="a lane for each node and group over time">',
        *_axis(scale, height),
        *(part for number, lane in enumerate(lanes) for part in _lane(lane, number, scale)),
        "</svg>",
    ]
    return "\n".join(parts)


class _Scale:
    """From moments to places."""

    def __init__(self, begin_ms: int, end_ms: int) -> None:
        self.begin_ms, self.end_ms = begin_ms, end_ms

    def x(self, at_ms: int) -> float:
        share = (at_ms - self.begin_ms) / max(1, self.end_ms - self.begin_ms)
        return round(LABEL_WIDTH + min(1.0, max(0.0, share)) * (WIDTH - LABEL_WIDTH - 10), 1)


def _axis(scale: _Scale, height: int) -> Iterable[str]:
    span_ms = scale.end_ms - scale.begin_ms
    step_ms = next((each for each in _TICK_STEPS_MS if span_ms / each <= TICKS_MAX), _TICK_STEPS_MS[-1])
    first = -(-scale.begin_ms // step_ms) * step_ms
    for at_ms in range(first, min(scale.end_ms, first + step_ms * 50) + 1, step_ms):
        x = scale.x(at_ms)
        text = (time_text(at_ms) or "")[11 : 19 if step_ms >= 1000 else 23]
        if step_ms >= 86_400_000:
            text = (time_text(at_ms) or "")[:10]
        yield f'<line class="tick" x1="{x}" y1="{AXIS_HEIGHT - 6}" x2="{x}" y2="{height}"/>'
        yield f'<text class="tick-text" x="{x}" y="{AXIS_HEIGHT - 12}" text-anchor="middle">{text}</text>'


def _lane(lane: Lane, number: int, scale: _Scale) -> Iterable[str]:
    top = AXIS_HEIGHT + number * LANE_HEIGHT
    bar_top = top + (LANE_HEIGHT - BAR_HEIGHT) / 2
    if number % 2 == 0:
        yield f'<rect class="band" x="0" y="{top}" width="{WIDTH}" height="{LANE_HEIGHT}"/>'
    shown = lane.name if len(lane.name) <= 18 else f"{lane.name[:17]}…"
    yield (
        f'<text class="lane" x="6" y="{top + LANE_HEIGHT / 2 + 4}">{escape(shown)}'
        f"<title>{lane.kind} {escape(lane.name)}</title></text>"
    )
    for stretch in lane.stretches:
        yield from _bar(stretch, bar_top, scale)
    for mark in lane.marks:
        yield _dot(mark, top + LANE_HEIGHT - 5, scale)


def _bar(stretch: Stretch, top: float, scale: _Scale) -> Iterable[str]:
    x = scale.x(stretch.from_ms)
    width = max(1.0, round(scale.x(stretch.to_ms) - x, 1))
    where = f" on {stretch.node}" if stretch.node else ""
    why = f": {stretch.why}" if stretch.why else ""
    title = f"{stretch.state}{where}, {time_text(stretch.from_ms)} to {time_text(stretch.to_ms)}{why}"
    yield (
        f'<rect class="{escape(stretch.state)}" x="{x}" y="{top}" width="{width}" height="{BAR_HEIGHT}" rx="3">'
        f"<title>{escape(title)}</title></rect>"
    )
    if stretch.node and width > 8 * len(stretch.node) + 8:
        yield f'<text class="inside" x="{x + 5}" y="{top + BAR_HEIGHT - 4}">{escape(stretch.node)}</text>'


def _dot(mark: Mark, y: float, scale: _Scale) -> str:
    radius = _MARK_RADIUS.get(mark.level, 2.5)
    return (
        f'<a href="#e{mark.sequence}"><circle class="mark {escape(mark.level)}" cx="{scale.x(mark.at_ms)}" cy="{y}" '
        f'r="{radius}"><title>{escape(mark.title)}</title></circle></a>'
    )


# ---- the list ----


def _list(events: Sequence[dict[str, Any]]) -> str:
    head = "<tr><th>Time</th><th>Level</th><th>Where</th><th>What</th><th>Why</th><th>Because of</th></tr>"
    said = {each["sequence"]: each["message"] for each in events}
    return "<table>\n" + "\n".join([head, *(_row(each, said) for each in events)]) + "\n</table>"


def _row(each: dict[str, Any], said: Mapping[int, str]) -> str:
    where = " ".join(each[part] for part in ("node", "group", "resource") if each[part])
    count = f" <b>{each['count']}×</b> since {(each['first_time'] or '')[11:19]}" if each["count"] > 1 else ""
    time = each["time"] or ""
    return (
        f'<tr id="e{each["sequence"]}" class="{escape(each["level"])}"><td class="time" title="{time}">{time[11:-1]}</td>'
        f'<td class="level">{escape(each["level"])}</td><td>{escape(where)}</td>'
        f"<td>{escape(each['message'])}{count}</td><td>{escape(each['because'])}</td><td>{_cause(each, said)}</td></tr>"
    )


def _cause(each: dict[str, Any], said: Mapping[int, str]) -> str:
    """A link to the event that led to this one, when it is on the page; else who asked."""
    if each["caused_by"] in said:
        return f'<a href="#e{each["caused_by"]}">{escape(said[each["caused_by"]])}</a>'
    return f"request {escape(each['request'][:8])}" if each["request"] else ""
