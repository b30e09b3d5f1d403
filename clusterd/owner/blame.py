"""Who ended a resource host, and who only shared it? Pure.

The host writes down what it is about to call, so what it was in the midst of is known when it is gone. One call: its
resource did it. Several: any of them may have, so each goes into another host, where the next crash tells; none has failed
by itself. None at all: nobody is known to have done it, until it happens again and again; then all of it is suspected. A
question to a resource type is nobody's call: who asks it waits before it is asked again (`runtime/type_questions.py`).

Who did it fails by itself, which counts; who only shared the host is restarted, and that does not count.
"""

from collections.abc import Collection
from dataclasses import dataclass

from clusterd.model.ids import key_of
from clusterd.owner.commands import CallInHost, HostEnd
from clusterd.owner.hosts import GoneHost

CALLS_NAMED_MAX = 3
UNEXPLAINED_MAX = 3
UNEXPLAINED_WITHIN_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Verdict:
    """Folded names."""

    guilty: frozenset[str] = frozenset()
    """They get a host of their own."""
    suspects: frozenset[str] = frozenset()
    counted: frozenset[str] = frozenset()
    """For these the end of their host is a failure of their own."""


class Judge:
    """What is remembered of hosts that ended in one incarnation."""

    def __init__(self) -> None:
        self._unexplained_ms: dict[str, tuple[int, ...]] = {}

    def judge(self, host: str, gone: GoneHost, calls: Collection[CallInHost] | None, now_ms: int) -> Verdict:
        """`calls`: what the host wrote down; None: it wrote nothing, and then what it was asked for has to do."""
        if gone.blamed is not None:
            guilty = frozenset({key_of(gone.blamed)})
            return Verdict(guilty, counted=guilty)
        made = {key_of(each.resource) for each in (gone.lost if calls is None else calls)}
        in_midst = frozenset(made - {""})
        if made and not in_midst:
            return Verdict()
        if len(made) == 1:
            return Verdict(in_midst, counted=in_midst)
        if in_midst:
            return Verdict(suspects=in_midst)
        if len(gone.served) == 1 and not made:
            return Verdict(counted=frozenset(gone.served))
        return Verdict(suspects=frozenset(gone.served) if self._is_too_often(host, now_ms) else frozenset())

    def _is_too_often(self, host: str, now_ms: int) -> bool:
        recent = [each for each in self._unexplained_ms.get(host, ()) if now_ms - each < UNEXPLAINED_WITHIN_MS]
        self._unexplained_ms[host] = (*recent, now_ms)[-UNEXPLAINED_MAX:]
        return len(self._unexplained_ms[host]) >= UNEXPLAINED_MAX


def end_words(end: HostEnd, verdict: Verdict, name: str) -> str:
    """What a resource that was in the host is told of its end."""
    calls = [f"{each.verb} of {each.resource}" if each.resource else each.verb for each in end.calls or ()]
    more = f" and {len(calls) - CALLS_NAMED_MAX} more" if len(calls) > CALLS_NAMED_MAX else ""
    midst = f", in the midst of {', '.join(calls[:CALLS_NAMED_MAX])}{more}" if calls else ""
    if name in verdict.counted:
        share = ""
    elif name in verdict.suspects:
        share = "; who did it is not known, so this does not count"
    else:
        share = "; it only shared that host, so this does not count"
    return f"host {end.host}: {end.because}{midst}{share}"
