"""What is on its way to being committed, for whom, and what when it gets lost? Pure.

A transaction is proposed by the leader or sent to it. It may be sent again after a change of leader: its request id makes
sure that it is applied once. Nobody is ever told "failed" when the truth is "unknown".
"""

from dataclasses import dataclass, replace
from typing import TypeAlias

from clusterd.model.errors import ClusterError, NoQuorum, TooLarge, UnknownOutcome
from clusterd.model.ids import NodeId
from clusterd.owner import OwnerProposal
from clusterd.wire.records_pb2 import Transaction, TransactionResult

SEND_AGAIN_MS = 1000
_NEVER_MS = 1 << 62


@dataclass(frozen=True, slots=True)
class ForClient:
    """`term`: it counts only when this node commits it as the leader of that term; 0: whoever leads."""

    context: int
    term: int = 0


@dataclass(frozen=True, slots=True)
class ForPeer:
    """Another node sent it here because this one leads."""

    peer: NodeId
    context: int


@dataclass(frozen=True, slots=True)
class ForLeader:
    """A decision of this node as leader, by its number."""

    number: int


@dataclass(frozen=True, slots=True)
class ForOwner:
    """A report of this node as owner, as the destination of a live migration, or of a storage fence."""

    proposal: OwnerProposal


@dataclass(frozen=True, slots=True)
class ForTypes:
    """What this node's hosts can run."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ForAlarm:
    """Something for the timeline: whoever was told shall know it, and nothing follows from the answer."""


Purpose: TypeAlias = ForClient | ForPeer | ForLeader | ForOwner | ForTypes | ForAlarm


@dataclass(frozen=True, slots=True)
class Outcome:
    purpose: Purpose
    result: TransactionResult | None
    error: ClusterError | None


@dataclass(frozen=True, slots=True)
class _Waiting:
    purpose: Purpose
    transaction: Transaction
    until_ms: int
    send_again_ms: int
    may_have_taken_effect: bool


class Proposals:
    """Transactions under way at one node."""

    def __init__(self) -> None:
        self._in_log: dict[int, tuple[int, Purpose, Transaction, int]] = {}
        self._waiting: dict[int, _Waiting] = {}
        self._expire_at_ms = _NEVER_MS
        """Nothing that is in the log has run out of time before."""
        self._last_context = 0
        self._now_ms = 0
        self._outcomes: list[Outcome] = []

    def outcomes(self) -> list[Outcome]:
        """Everything that was settled since the last call."""
        found, self._outcomes = self._outcomes, []
        return found

    @property
    def count(self) -> int:
        return len(self._in_log) + len(self._waiting)

    # ---- at the leader ----

    def in_log(self, index: int, term: int, purpose: Purpose, transaction: Transaction, until_ms: int) -> None:
        """This node, leading in `term`, appended the transaction at `index`."""
        self._in_log[index] = (term, purpose, transaction, until_ms)
        self._expire_at_ms = min(self._expire_at_ms, until_ms)

    def numbers_in_log(self) -> set[int]:
        """The leader's decisions that are in this node's log and not applied yet."""
        purposes = (purpose for _, purpose, _, _ in self._in_log.values())
        return {purpose.number for purpose in purposes if isinstance(purpose, ForLeader)}

    def applied(self, index: int, term: int, result: TransactionResult) -> None:
        """The entry at `index` was applied; whether it is the one that was proposed there, its term tells."""
        found = self._in_log.pop(index, None)
        if found is None:
            return
        proposed_term, purpose, transaction, until_ms = found
        if proposed_term == term:
            self._outcomes.append(Outcome(purpose, result, None))
        else:
            self._lost(purpose, transaction, until_ms)

    def truncated(self, from_index: int) -> None:
        """A new leader replaced the log from here on."""
        for index in sorted(each for each in self._in_log if each >= from_index):
            _, purpose, transaction, until_ms = self._in_log.pop(index)
            self._lost(purpose, transaction, until_ms)

    def snapshot_restored(self) -> None:
        """What happened to entries that a snapshot covers cannot be seen: the request ids will tell."""
        self.truncated(0)

    def _lost(self, purpose: Purpose, transaction: Transaction, until_ms: int) -> None:
        if isinstance(purpose, ForLeader):
            self._outcomes.append(Outcome(purpose, None, NoQuorum("the entry was replaced by a new leader's")))
        elif isinstance(purpose, ForPeer) or (isinstance(purpose, ForClient) and purpose.term):
            self._outcomes.append(Outcome(purpose, None, UnknownOutcome("the leader changed meanwhile")))
        else:
            self.wait(purpose, transaction, until_ms, may_have_taken_effect=True)

    # ---- elsewhere ----

    def wait(
        self,
        purpose: Purpose,
        transaction: Transaction,
        until_ms: int,
        *,
        not_before_ms: int = 0,
        may_have_taken_effect: bool = False,
    ) -> None:
        """Keep a transaction until a leader takes it."""
        self._last_context += 1
        self._waiting[self._last_context] = _Waiting(
            purpose, transaction, until_ms, not_before_ms, may_have_taken_effect
        )

    def due(self, now_ms: int) -> list[tuple[int, Purpose, Transaction, int]]:
        """What should be proposed or sent (again) now, oldest first; what waited too long is settled instead."""
        self._now_ms = now_ms
        found = []
        for context, waiting in list(self._waiting.items()):
            if now_ms >= waiting.until_ms:
                del self._waiting[context]
                self._outcomes.append(Outcome(waiting.purpose, None, _too_late(waiting)))
            elif now_ms >= waiting.send_again_ms:
                found.append((context, waiting.purpose, waiting.transaction, waiting.until_ms))
        return found

    def sent(self, context: int, now_ms: int) -> None:
        waiting = self._waiting[context]
        self._waiting[context] = replace(waiting, send_again_ms=now_ms + SEND_AGAIN_MS, may_have_taken_effect=True)

    def taken(self, context: int) -> bool:
        """This node leads by now and proposes it itself. Whether it may have taken effect by way of an earlier leader."""
        waiting = self._waiting.pop(context, None)
        return waiting is not None and waiting.may_have_taken_effect

    def leader_changed(self) -> None:
        """Whatever was sent to the leader before is sent again at once."""
        for context, waiting in self._waiting.items():
            self._waiting[context] = replace(waiting, send_again_ms=0)

    def answered(
        self, context: int, result: TransactionResult | None, *, now_ms: int, is_too_large: bool = False
    ) -> None:
        """The leader answered, or refused (`result` None): then it is sent again a little later, unless it never can be
        taken as it is."""
        waiting = self._waiting.get(context)
        if waiting is None:
            return
        if is_too_large:
            del self._waiting[context]
            size = waiting.transaction.ByteSize()
            self._outcomes.append(Outcome(waiting.purpose, None, TooLarge(f"the leader takes no {size} bytes at once")))
            return
        if result is None:
            self._waiting[context] = replace(waiting, send_again_ms=now_ms + 50)
            return
        del self._waiting[context]
        self._outcomes.append(Outcome(waiting.purpose, result, None))

    def next_deadline_ms(self) -> int | None:
        """When something was not answered in time. What waits for a leader waits for an event, not for a time."""
        times = [
            each.send_again_ms if each.send_again_ms > self._now_ms else each.until_ms
            for each in self._waiting.values()
        ]
        return min(times) if times else None

    def expire_in_log(self, now_ms: int) -> None:
        """Tell clients whose entry is not committed in time that the outcome is unknown."""
        if now_ms < self._expire_at_ms:
            return
        for index, (_, purpose, _, until_ms) in list(self._in_log.items()):
            if isinstance(purpose, ForClient) and now_ms >= until_ms:
                del self._in_log[index]
                self._outcomes.append(Outcome(purpose, None, _unknown()))
        self._expire_at_ms = min((until_ms for _, _, _, until_ms in self._in_log.values()), default=_NEVER_MS)


def _too_late(waiting: _Waiting) -> ClusterError:
    if waiting.may_have_taken_effect:
        return _unknown()
    return NoQuorum("no leader took the change in time: nothing was changed", hint="see clusterctl quorum show")


def _unknown() -> UnknownOutcome:
    return UnknownOutcome(
        "the change was not confirmed in time; it may or may not take effect",
        hint="look at the present state before you repeat it",
    )
