"""How do results look? I/O. Aligned columns for people, documents for programs; colour only on a terminal."""

import json
import os
import re
import shutil
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Any

_ESCAPES = re.compile(r"\x1b\[[0-9;]*m")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_COLOURS = {"red": 31, "green": 32, "yellow": 33, "blue": 34, "grey": 90, "bold": 1}
STATE_COLOURS = {
    "online": "green",
    "up": "green",
    "failed": "red",
    "down": "red",
    "unknown": "red",
    "error": "red",
    "offline": "grey",
    "debug": "grey",
    "warning": "yellow",
    "pending": "yellow",
    "online-pending": "yellow",
    "offline-pending": "yellow",
    "partial-online": "yellow",
    "initializing": "yellow",
    "joining": "yellow",
    "paused": "yellow",
    "stuck": "red",
    "drain-failed": "red",
    "quarantined": "red",
    "expelling": "red",
    "unreachable": "red",
    "preempted": "yellow",
    "hands-off": "blue",
}


def has_colour() -> bool:
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


def paint(text: str, colour: str) -> str:
    return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if colour and has_colour() else text


def state_text(state: str) -> str:
    return paint(state, STATE_COLOURS.get(state, ""))


def plain(text: object) -> str:
    """Text from the cluster without anything that a terminal would obey."""
    return _CONTROLS.sub("�", str(text))


def show_document(document: Any, output: str) -> None:
    """For programs: JSON, or YAML."""
    if output == "yaml":
        import yaml

        is_utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
        print(yaml.safe_dump(document, sort_keys=False, allow_unicode=is_utf8), end="")
    else:
        is_utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
        print(json.dumps(document, ensure_ascii=not is_utf8, indent=2 if sys.stdout.isatty() else None))


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, indent: str = "") -> list[str]:
    """Lines with aligned columns. On a terminal the last column is cut to its width."""
    cells = [[*header], *([plain_cell(each) for each in row] for row in rows)]
    widths = [max(_width(row[column]) for row in cells) for column in range(len(header))]
    lines = []
    for number, row in enumerate(cells):
        padded = [cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)]
        line = (indent + "  ".join(padded)).rstrip()
        lines.append(paint(line, "bold") if number == 0 else fit(line))
    return lines


def plain_cell(text: str) -> str:
    """A cell on one line; our own colours stay."""
    return "".join(
        part if _ESCAPES.fullmatch(part) else plain(part.replace("\n", " "))
        for part in re.split(r"(\x1b\[[0-9;]*m)", text)
    )


def fit(line: str) -> str:
    """Cut to the terminal's width; elsewhere nothing is cut."""
    if not sys.stdout.isatty():
        return line
    columns = shutil.get_terminal_size((120, 24)).columns
    if _width(line) <= columns:
        return line
    kept, width = "", 0
    for part in re.split(r"(\x1b\[[0-9;]*m)", line):
        if _ESCAPES.fullmatch(part):
            kept += part
        else:
            room = max(0, columns - 1 - width)
            kept += part[:room]
            width += len(part)
    return kept + "…"


def _width(text: str) -> int:
    return len(_ESCAPES.sub("", text))


def moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text).astimezone() if text else None


def clock_text(text: str | None) -> str:
    """12:00:01.123, with the day when it is not today's."""
    found = moment(text)
    if found is None:
        return "-"
    shown = f"{found:%H:%M:%S}.{found.microsecond // 1000:03d}"
    return shown if found.date() == datetime.now().astimezone().date() else f"{found:%Y-%m-%d} {shown}"


def ago_text(text: str | None, now: datetime | None = None) -> str:
    """'3 min', since a moment."""
    from clusterd.model.durations import rough_text

    found = moment(text)
    if found is None:
        return "-"
    passed = (now or datetime.now().astimezone()) - found
    return rough_text(max(0, int(passed.total_seconds() * 1000)))
