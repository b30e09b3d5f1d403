"""How is a log kept from being filled by one line? I/O (a clock only).

A line that says the same as one before, about the same things, is written a few times within a while and then only counted;
the next one that is written says how many were left out (`folded`). What a line says are its event and its texts; numbers
may differ.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

import structlog

LINES_MAX = 8
WITHIN_S = 10.0
KINDS_MAX = 512
TEXT_COMPARED_MAX = 120
_NOT_COMPARED = frozenset({"timestamp", "exception", "exc_info", "stack_info", "traceback"})


@dataclass(slots=True)
class _Kind:
    """Lines that say the same. `began_s`: when the present while began."""

    began_s: float
    count: int = 0
    left_out: int = 0


class Folding:
    """A processor of structlog."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kinds: OrderedDict[tuple[str, ...], _Kind] = OrderedDict()

    def __call__(self, logger: Any, method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Raises DropEvent for a line that is only counted."""
        key = tuple(
            f"{name}={value[:TEXT_COMPARED_MAX]}"
            for name, value in line.items()
            if isinstance(value, str) and name not in _NOT_COMPARED
        )
        now_s = self._clock()
        kind = self._kinds.get(key)
        if kind is None:
            kind = self._kinds[key] = _Kind(now_s)
        elif now_s - kind.began_s >= WITHIN_S:
            kind.began_s, kind.count = now_s, 0
        self._kinds.move_to_end(key)
        while len(self._kinds) > KINDS_MAX:
            self._kinds.popitem(last=False)
        kind.count += 1
        if kind.count > LINES_MAX:
            kind.left_out += 1
            raise structlog.DropEvent
        if kind.left_out:
            line["folded"], kind.left_out = kind.left_out, 0
        return line
