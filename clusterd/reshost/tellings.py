"""What did a resource type say by itself of what it runs? On the host's event loop; emits what is new."""

from collections.abc import Callable

from clusterd.reshost.context import Told
from clusterd.wire import host_pb2

EARLY_MAX = 8
_EMBEDDED_FAILED = host_pb2.RESOURCE_EVENT_KIND_EMBEDDED_FAILED
_EMBEDDED_WELL = host_pb2.RESOURCE_EVENT_KIND_EMBEDDED_WELL
_CONCERN = host_pb2.RESOURCE_EVENT_KIND_CONCERN


class Tellings:
    """Of one resource, for one generation."""

    def __init__(self, emit: "Callable[[host_pb2.ResourceEventKind.ValueType, str], None]") -> None:
        self._emit = emit
        self.embedded_failure = ""
        """What the workload inside complains of."""
        self.concern = ""
        """What a person should know of it."""
        self._early: list[tuple[Told, str]] = []

    def begin(self) -> None:
        self.embedded_failure, self.concern, self._early = "", "", []

    def note_inside(self, message: str) -> None:
        if message != self.embedded_failure:
            self.embedded_failure = message
            self._emit(_EMBEDDED_FAILED if message else _EMBEDDED_WELL, message)

    def note_concern(self, message: str) -> None:
        if message != self.concern:
            self.concern = message
            self._emit(_CONCERN, message)

    def keep(self, what: Told, message: str) -> None:
        """It still comes online: whoever waits for that must not be told first how what it asked for ended."""
        self._early = [*self._early, (what, message)][-EARLY_MAX:]

    def take_early(self) -> list[tuple[Told, str]]:
        early, self._early = self._early, []
        return early
