"""Which questions to resource types ended the host that they were put to, and when are they put again? Pure.

Such a question takes the host down with everything that is in it, and whoever asks does not know. So what ended a host is
not asked again before a pause, the longer, the oftener it did so: that type, that question, about that thing. What was asked
beside it is not known to be innocent, and waits as long. One answer clears it.
"""

from typing import NamedTuple

from clusterd.model.counts import times
from clusterd.model.durations import rough_text
from clusterd.owner.commands import HostEnd

PAUSES_MS = (60_000, 600_000, 3_600_000)
KNOWN_MAX = 1000


class Question(NamedTuple):
    type: str
    question: str
    about: str
    """The resource that it is about; empty: several, or what is none yet."""

    @property
    def text(self) -> str:
        return f"{self.question} of {self.type}" + (f" about {self.about}" if self.about else "")


class _Known(NamedTuple):
    ends: int
    until_ms: int
    because: str


class TypeQuestions:
    """What one daemon asks resource types on its node, and what came of it."""

    def __init__(self) -> None:
        self._under_way: dict[int, tuple[str, Question]] = {}
        self._known: dict[Question, _Known] = {}
        self._last = 0

    def refusal(self, asked: Question, now_ms: int) -> str:
        """Why it is not asked now; empty: it may be."""
        known = self._known.get(asked)
        if known is None or known.until_ms <= now_ms:
            return ""
        left = rough_text(known.until_ms - now_ms)
        ended = f"{asked.text} ended this node's resource host {times(known.ends)} ({known.because})"
        return f"{ended}: not asked again for {left}"

    def began(self, host: str, asked: Question) -> int:
        self._last += 1
        self._under_way[self._last] = (host, asked)
        return self._last

    def answered(self, number: int) -> None:
        _, asked = self._under_way.pop(number, ("", None))
        if asked is not None:
            self._known.pop(asked, None)

    def given_up(self, number: int) -> None:
        """Nobody waits for it any more, though its host may still be at it, or may be about to be told to have ended."""
        self._under_way.pop(number, None)

    def hosts_closed(self) -> None:
        """No host is connected any more, and how each ended is not told."""
        self._under_way.clear()

    def host_ended(self, end: HostEnd, now_ms: int) -> list[Question]:
        """Those that are blamed: all that it was in the midst of, or all that it was asked if it wrote nothing down."""
        made = None if end.calls is None else {each.verb for each in end.calls if not each.resource}
        asked = dict.fromkeys(question for host, question in self._under_way.values() if host == end.host)
        self._under_way = {at: each for at, each in self._under_way.items() if each[0] != end.host}
        blamed = [each for each in asked if made is None or f"examine {each.type}" in made]
        for each in blamed:
            ends = (self._known[each].ends if each in self._known else 0) + 1
            self._known.pop(each, None)  # the newest is the last to be forgotten
            self._known[each] = _Known(ends, now_ms + PAUSES_MS[min(ends, len(PAUSES_MS)) - 1], end.because)
        while len(self._known) > KNOWN_MAX:
            del self._known[next(iter(self._known))]
        return blamed
