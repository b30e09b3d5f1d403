"""Which linearizable reads wait, and for what? Pure."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from clusterd.consensus import ReadState
from clusterd.model.errors import NoQuorum
from clusterd.node.effects import Effect, ReadDone
from clusterd.node.replica import Replica

ASK_AGAIN_MS = 100
OWN_CONTEXT = -1
LEADER_CONTEXT = -2
"""A read of the leader's own, to see what became of what it proposed."""
FOREVER_MS = 1 << 62


@dataclass(slots=True)
class _Waiting:
    context: int
    until_ms: int
    asked_ms: int | None = None
    index: int | None = None

    def is_due(self, now_ms: int) -> bool:
        return self.asked_ms is None or now_ms - self.asked_ms >= ASK_AGAIN_MS


class Reads:
    """Reads under way at this node. The node's own first one (`has_read`) is asked until it is answered."""

    def __init__(self) -> None:
        self._waiting: dict[int, _Waiting] = {1: _Waiting(OWN_CONTEXT, FOREVER_MS)}
        self._last_number = 1
        self._now_ms = 0
        self.has_read = False
        self.leader_read_ms: int | None = None

    def ask(self, context: int, until_ms: int) -> None:
        self._last_number += 1
        self._waiting[self._last_number] = _Waiting(context, until_ms)

    def answered(self, answers: Iterable[ReadState]) -> None:
        for answer in answers:
            waiting = self._waiting.get(answer.context)
            if waiting is not None and answer.index is not None:
                waiting.index = answer.index

    def serve(self, replica: Replica, do: Callable[[Effect], None], now_ms: int) -> None:
        """Ask (again) where needed; answer what is applied far enough or waited too long."""
        self._now_ms = now_ms
        for number, waiting in list(self._waiting.items()):
            if waiting.index is not None and replica.database.revision >= waiting.index:
                del self._waiting[number]
                self._done(waiting, do, None)
            elif now_ms >= waiting.until_ms:
                del self._waiting[number]
                error = NoQuorum("no leader confirmed the read in time", hint="see clusterctl quorum show")
                self._done(waiting, do, error)
            elif waiting.index is None and replica.raft.leader is not None and waiting.is_due(now_ms):
                waiting.asked_ms = now_ms
                replica.raft.read_index(number, now_ms)

    def next_deadline_ms(self) -> int | None:
        times = [
            min(each.until_ms, max(each.asked_ms or 0, self._now_ms) + ASK_AGAIN_MS)
            for each in self._waiting.values()
            if each.index is None
        ]
        return min(times) if times else None

    def _done(self, waiting: _Waiting, do: Callable[[Effect], None], error: NoQuorum | None) -> None:
        if waiting.context == OWN_CONTEXT:
            self.has_read = True
        elif waiting.context == LEADER_CONTEXT:
            self.leader_read_ms = self._now_ms if error is None else self.leader_read_ms
        else:
            do(ReadDone(waiting.context, error))
