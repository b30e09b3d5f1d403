"""How often does a resource type want its resources checked? Pure. It says so in its schema, under `x-` keys."""

from clusterd.model.records import Properties
from clusterd.model.settings import TypeSettings

LOOKS_ALIVE_KEY = "x-looks-alive-poll-interval"
IS_ALIVE_KEY = "x-is-alive-poll-interval"
INTERVAL_LEAST_MS = 10


def own_times(schema: Properties) -> TypeSettings:
    """What the type says, with the reference's defaults where it says nothing (or nothing sensible)."""
    defaults = TypeSettings()
    return TypeSettings(
        looks_alive_poll_interval_ms=_interval(schema, LOOKS_ALIVE_KEY, defaults.looks_alive_poll_interval_ms),
        is_alive_poll_interval_ms=_interval(schema, IS_ALIVE_KEY, defaults.is_alive_poll_interval_ms),
    )


def _interval(schema: Properties, key: str, default_ms: int) -> int:
    value = schema.get(key)
    is_sensible = isinstance(value, int) and not isinstance(value, bool) and value >= INTERVAL_LEAST_MS
    return value if is_sensible and isinstance(value, int) else default_ms
