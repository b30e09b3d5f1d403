"""How are times written and read at the door? Pure. Only for people: nothing is ever decided by the wall clock."""

import re
from datetime import UTC, datetime

from clusterd.model.durations import BadDuration, parse_duration
from clusterd.model.errors import BadInput
from clusterd.node.status import NodeStatus

TOLD_MAX_MS = 253_402_300_799_000  # the end of the year 9999, after which nothing happens


def time_text(wall_ms: int) -> str | None:
    """2026-01-01T12:00:00.000Z; None for 'never'."""
    if not 0 < wall_ms <= TOLD_MAX_MS:
        return None
    moment = datetime.fromtimestamp(wall_ms / 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{wall_ms % 1000:03d}Z"


def wall_of(status: NodeStatus, cluster_ms: int) -> int:
    """The wall-clock time, for people, of a reading of the cluster's own clock."""
    return status.wall_ms + cluster_ms - status.cluster_ms


def parse_since(text: str, now_wall_ms: int) -> int:
    """The moment that `text` names, in ms: a time (2026-01-01T12:00:00Z) or a length of time ago (15min)."""
    if re.fullmatch(r"\s*[\d.]+\s*[A-Za-z]+\s*", text):
        try:
            return now_wall_ms - parse_duration(text, unit="ms")
        except BadDuration as error:
            raise BadInput(error.message, hint=error.hint) from error
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise BadInput(
            f"{text!r} is neither a time nor a length of time", hint="write 2026-01-01T12:00:00Z or 15min"
        ) from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp() * 1000)


def zone_text(offset_ms: int) -> str:
    """UTC, UTC+2, UTC-3:30."""
    minutes = abs(offset_ms) // 60_000
    if not minutes:
        return "UTC"
    sign = "-" if offset_ms < 0 else "+"
    return f"UTC{sign}{minutes // 60}" + (f":{minutes % 60:02}" if minutes % 60 else "")
