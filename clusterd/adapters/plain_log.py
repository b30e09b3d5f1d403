"""How do guard and hosts, which hold no structlog, say what they did? I/O: one JSON object a line on standard error."""

import json
import sys
import time

_values: dict[str, object] = {}


def bind(**values: object) -> None:
    """Values that every line carries from here on: cluster, node."""
    _values.update(values)


def log(event: str, level: str = "info", **values: object) -> None:
    line = {"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "level": level, "event": event}
    try:
        sys.stderr.write(json.dumps({**line, **_values, **values}) + "\n")
        sys.stderr.flush()
    except OSError:
        return  # a full disk under the log must not stop the guard
