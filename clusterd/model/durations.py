"""How are lengths of time written, and how are they shown? Pure.

`500ms`, `2s`, `15min`, `6h`, `1d`; a bare number has the unit of the property that it is given for.
"""

import re
from fractions import Fraction

from clusterd.model.errors import BadInput

MS_OF_UNIT: dict[str, int] = {
    "ms": 1,
    "s": 1000,
    "min": 60_000,
    "h": 3_600_000,
    "d": 86_400_000,
}
_SPELLINGS = {
    "msec": "ms", "millisecond": "ms", "milliseconds": "ms",
    "sec": "s", "second": "s", "seconds": "s",
    "m": "min", "minute": "min", "minutes": "min",
    "hour": "h", "hours": "h",
    "day": "d", "days": "d",
}  # fmt: skip
_WRITTEN = re.compile(r"\s*(?P<number>\d{1,12}(?:\.\d{1,6})?)\s*(?P<unit>[A-Za-z]*)\s*")


class BadDuration(BadInput):
    """Text that is no length of time, or one that the unit cannot express."""


def parse_duration(value: str | int | float, *, unit: str) -> int:
    """The length of time in whole `unit`s. Raises BadDuration; a bare number already counts `unit`s."""
    match = _WRITTEN.fullmatch(str(value))
    if match is None:
        raise BadDuration(f"{value!r} is no length of time", hint="write it like 500ms, 2s, 15min or 6h")
    written = match["unit"].lower()
    given = _SPELLINGS.get(written, written) or unit
    if given not in MS_OF_UNIT:
        raise BadDuration(f"{match['unit']!r} is no unit of time", hint="units are " + ", ".join(MS_OF_UNIT))
    exact = Fraction(match["number"]) * MS_OF_UNIT[given] / MS_OF_UNIT[unit]
    if exact.denominator != 1:
        raise BadDuration(f"{str(value).strip()} is not a whole number of {unit}", hint=f"round it to whole {unit}")
    return int(exact)


def duration_text(value: int, *, unit: str = "ms") -> str:
    """The shortest writing that parses back to `value`: 900000 ms → 15min."""
    in_ms = value * MS_OF_UNIT[unit]
    if in_ms == 0:
        return f"0{unit}"
    best = max((each for each in ("ms", "s", "min", "h") if in_ms % MS_OF_UNIT[each] == 0), key=MS_OF_UNIT.__getitem__)
    return f"{in_ms // MS_OF_UNIT[best]}{best}"


def rough_text(length_ms: int) -> str:
    """A length of time for people: 950 ms, 3.2 s, 4 min, 2 h 5 min, 3 d."""
    if length_ms < 1000:
        return f"{length_ms} ms"
    if length_ms < 59_950:  # from there on it would be rounded to 60.0 s
        return f"{length_ms / 1000:.1f} s"
    minutes = max(1, length_ms // 60_000)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60} min" if minutes % 60 else f"{minutes // 60} h"
    return f"{minutes // 1440} d"


def until_text(left_ms: int) -> str:
    """When something is to happen, after its name: 'in 3.2 s', 'now', or for what should have happened: 'due since 12 s'."""
    if left_ms > 0:
        return f"in {rough_text(left_ms)}"
    return "now" if left_ms > -1000 else f"due since {rough_text(-left_ms)}"
