"""How much may a report say? Pure. What is proposed is bounded before it is proposed.

A report and its events go through the log in one transaction, and what hosts say may be long: a script's output, of
hundreds of resources at once. Texts are shortened in the middle, where they say least, and all alike; then the restarts
that are remembered, and of the events the last ones are counted instead of told. A group whose report was refused all
the same says less from then on.
"""

import json
from dataclasses import dataclass, replace

from clusterd.model.records import Json
from clusterd.resource_api.secret_values import shown

REPORT_BYTES_MAX = 256 * 1024
"""Half of what a leader takes."""
TEXT_MAX = 1000
TEXT_LEAST = 40
_RESTARTS_MAX = 1000
_RESTARTS_LEAST = 16
_EVENTS_MAX = 512
_EVENTS_LEAST = 8
_CUT = " … "


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of every text, of the restarts of each resource, and of the events of one report."""

    text_length: int = TEXT_MAX
    restarts: int = _RESTARTS_MAX
    events: int = _EVENTS_MAX

    def tighter(self) -> "Bounds | None":
        """The next bounds to try; None: there are none."""
        if self.text_length > TEXT_LEAST:
            return replace(self, text_length=max(TEXT_LEAST, self.text_length // 2))
        if self.restarts > _RESTARTS_LEAST or self.events > _EVENTS_LEAST:
            return replace(
                self,
                restarts=max(_RESTARTS_LEAST, self.restarts // 4),
                events=max(_EVENTS_LEAST, self.events // 4),
            )
        return None

    def text(self, text: str) -> str:
        return shortened(text, self.text_length)

    def value(self, value: Json, name: str) -> Json:
        """A property's value; a long one as the beginning and the end of its text, which has no secrets."""
        text = json.dumps(value, ensure_ascii=False)
        if len(text) <= self.text_length:
            return value
        return shortened(json.dumps(shown(value, name), ensure_ascii=False), self.text_length)


def shortened(text: str, length_max: int) -> str:
    """The beginning and the end of a text that is too long."""
    if len(text) <= length_max:
        return text
    tail = (length_max - len(_CUT)) // 3
    return f"{text[: length_max - len(_CUT) - tail]}{_CUT}{text[len(text) - tail :]}"
