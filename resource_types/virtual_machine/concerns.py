"""What should a person know of a machine that runs as well as it can? One text a topic, told together. Threads meet here."""

import threading
from enum import StrEnum

from clusterd.resource_api import Context


class Topic(StrEnum):
    """In the order in which they are told."""

    NO_ROOM = "no-room"
    AGENT = "agent"
    LIVE_MOVE = "live-move"


class Concerns:
    """Of one run of a machine."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._texts: dict[Topic, str] = {}
        self._teller: Context | None = None

    def tell_through(self, context: Context) -> None:
        """From here on. Whoever listens is told what there is by now, too: `again` repeats it."""
        self._teller = context

    def note(self, topic: Topic, text: str) -> None:
        """Nothing in `text` ends it."""
        with self._lock:
            self._texts[topic] = text
        self.again()

    def of(self, topic: Topic) -> str:
        return self._texts.get(topic, "")

    def again(self) -> None:
        """The host tells only what is new, and nothing before the machine is online, so repeating costs nothing."""
        with self._lock:
            text = "; ".join(found for topic in Topic if (found := self._texts.get(topic, "")))
        if self._teller is not None:
            self._teller.concern(text)
