"""Which nodes are silent? Pure.

A node is suspected unless a majority of the voters hear it *and are heard by it*. Every node tells every voter whom it
heard and how long ago, so whoever leads can judge pairs that it is no part of. The detector blames itself first: time
during which its own loop did not run is taken off everybody's silence.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from clusterd.model.disk import DiskCondition
from clusterd.model.ids import Incarnation, NodeId


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """What one heartbeat said about its sender, and when it arrived here."""

    received_ms: int
    daemon_run: str
    incarnation: Incarnation
    ended: tuple[Incarnation, ...]
    run_id: str
    lease_age_ms: int
    heard_age_ms: Mapping[NodeId, int]
    is_leaving: bool = False
    relayed: frozenset[NodeId] = frozenset()
    """Whom the sender hears only through another node."""
    disk: DiskCondition = DiskCondition()
    mute: frozenset[NodeId] = frozenset()
    """Whose streams carry nothing to the sender, whatever their datagrams say."""
    local_offset_ms: int = 0
    """What to add to UTC to get the sender's local time of day."""


class Silence(StrEnum):
    """What is missing between a node and a majority of the voters."""

    BOTH_WAYS = "both-ways"
    UNHEARD = "unheard"
    """They do not hear it, and it hears them."""
    DEAF = "deaf"
    """They hear it, and it does not hear them."""
    MIXED = "mixed"
    """Enough hear it, and it hears enough; but those are not the same."""
    OTHER_RUN = "other-run"
    """Its daemon is there, with another run of its guard."""


@dataclass(frozen=True, slots=True)
class Suspicion:
    """A node that too few voters hear and are heard by. `silent_ms` is for how long no majority of them was both."""

    node: NodeId
    kind: Silence
    silent_ms: int
    silence_max_ms: int


class Detector:
    """What one node has heard."""

    def __init__(self, me: NodeId, started_ms: int) -> None:
        self._me = me
        self._started_ms = started_ms
        self._last: dict[NodeId, Heartbeat] = {}
        self._direct_ms: dict[NodeId, int] = {}
        self._stream_ms: dict[NodeId, int] = {}
        self._own_stream_ms: dict[NodeId, int] = {}
        self._proper_ms: dict[tuple[NodeId, Incarnation], int] = {}
        self._run_since_ms: dict[NodeId, int] = {}

    def hear(self, sender: NodeId, heartbeat: Heartbeat, *, is_direct: bool, by_stream: bool = True) -> None:
        before = self._last.get(sender)
        if before is None or before.daemon_run != heartbeat.daemon_run:
            self._run_since_ms[sender] = heartbeat.received_ms
        self._last[sender] = heartbeat
        self._proper_ms[sender, heartbeat.incarnation] = heartbeat.received_ms
        if is_direct:
            self._direct_ms[sender] = heartbeat.received_ms
        if by_stream:
            self.carried(sender, heartbeat.received_ms, is_direct=is_direct)
        if len(self._proper_ms) > 256:
            newest = sorted(self._proper_ms.items(), key=lambda each: each[1])[-128:]
            self._proper_ms = dict(newest)

    def carried(self, sender: NodeId, now_ms: int, *, is_direct: bool) -> None:
        """A stream brought something of `sender`: its own one, or that of a node which relays it."""
        self._stream_ms[sender] = now_ms
        if is_direct:
            self._own_stream_ms[sender] = now_ms

    def discount(self, late_ms: int, now_ms: int) -> None:
        """This node itself did not run for `late_ms`: nobody is to blame for that silence."""
        self._started_ms = min(now_ms, self._started_ms + late_ms)
        self._direct_ms = {node: min(now_ms, at_ms + late_ms) for node, at_ms in self._direct_ms.items()}
        self._stream_ms = {node: min(now_ms, at_ms + late_ms) for node, at_ms in self._stream_ms.items()}
        self._own_stream_ms = {node: min(now_ms, at_ms + late_ms) for node, at_ms in self._own_stream_ms.items()}
        self._proper_ms = {key: min(now_ms, at_ms + late_ms) for key, at_ms in self._proper_ms.items()}
        self._run_since_ms = {node: min(now_ms, at_ms + late_ms) for node, at_ms in self._run_since_ms.items()}
        for node, last in self._last.items():
            self._last[node] = replace(last, received_ms=min(now_ms, last.received_ms + late_ms))

    def last(self, node: NodeId) -> Heartbeat | None:
        return self._last.get(node)

    def age_ms(self, node: NodeId, now_ms: int) -> int:
        """Since the last heartbeat from `node`, relayed ones included; since this node's start when there was none."""
        last = self._last.get(node)
        return now_ms - (last.received_ms if last else self._started_ms)

    def direct_age_ms(self, node: NodeId, now_ms: int) -> int:
        """The same, of heartbeats that came over this node's own link."""
        return now_ms - self._direct_ms.get(node, self._started_ms)

    def stream_age_ms(self, node: NodeId, now_ms: int) -> int:
        """Since any stream brought something of `node`: without streams it may live, but cannot be commanded."""
        return now_ms - self._stream_ms.get(node, self._started_ms)

    def own_stream_age_ms(self, node: NodeId, now_ms: int) -> int:
        """The same, of the stream between `node` and this one."""
        return now_ms - self._own_stream_ms.get(node, self._started_ms)

    def ages_ms(self, nodes: Collection[NodeId], now_ms: int) -> dict[NodeId, int]:
        """For this node's own heartbeat: whom it heard since its start, and how long ago."""
        return {node: self.age_ms(node, now_ms) for node in sorted(nodes) if node in self._last}

    def all_hear_all(self, nodes: Collection[NodeId], now_ms: int, age_max_ms: int) -> bool:
        """Whether this node and `nodes` all hear each other, each by its own streams and none through another."""
        for node in nodes:
            last = self._last.get(node)
            if last is None or now_ms - last.received_ms > age_max_ms or last.mute or last.relayed:
                return False
            rest_ms = age_max_ms - (now_ms - last.received_ms)
            ages_ms = last.heard_age_ms
            if any(ages_ms.get(other, age_max_ms + 1) > rest_ms for other in (self._me, *nodes) if other != node):
                return False
        return True

    def is_relayed(self, node: NodeId) -> bool:
        """Whether the newest heartbeat of `node` came through another one."""
        last = self._last.get(node)
        return last is not None and self._direct_ms.get(node) != last.received_ms

    def hears_directly(self, listener: NodeId, speaker: NodeId, now_ms: int, age_max_ms: int) -> bool:
        """Whether `listener` hears `speaker` over a link of the two, as far as this node knows."""
        if listener == self._me:
            return speaker in self._direct_ms and self.direct_age_ms(speaker, now_ms) <= age_max_ms
        last = self._last.get(listener)
        if last is None or speaker not in last.heard_age_ms or speaker in last.relayed:
            return False
        return self._hears(listener, speaker, now_ms) <= age_max_ms

    def knows_route(self, via: NodeId, to: NodeId, now_ms: int, age_max_ms: int) -> bool:
        """Whether `via` is heard directly and says that it hears `to`."""
        last = self._last.get(via)
        if last is None or self.direct_age_ms(via, now_ms) > age_max_ms or to not in last.heard_age_ms:
            return False
        if to in last.mute:
            return False
        return now_ms - last.received_ms + last.heard_age_ms[to] <= age_max_ms

    def silent_ms(self, node: NodeId, incarnation: Incarnation, now_ms: int) -> int:
        """Since the last heartbeat of this run of the node's guard."""
        return now_ms - self._proper_ms.get((node, incarnation), self._started_ms)

    def suspect(
        self,
        node: NodeId,
        incarnation: Incarnation,
        voters: Collection[NodeId],
        *,
        now_ms: int,
        silence_max_ms: int,
        is_admitted: bool = True,
    ) -> Suspicion | None:
        """Judge `node`, admitted as `incarnation`. A heartbeat of another incarnation is no sign of life of this one.

        A daemon that started a moment ago had no time to hear anybody, nor to be heard: nobody's silence is counted from
        before that. One that is not admitted yet gets no such grace: it would be admitted only to be expelled again.
        """
        silences_ms = sorted(self._mutual_silence_ms(voter, node, now_ms, is_admitted) for voter in voters)
        mutual_ms = silences_ms[len(voters) // 2] if voters else 0
        if mutual_ms > silence_max_ms:
            return Suspicion(node, self._kind(node, voters, now_ms, silence_max_ms), mutual_ms, silence_max_ms)
        silent_ms = self.silent_ms(node, incarnation, now_ms)
        if silent_ms <= silence_max_ms or self._hears_relayed(node, incarnation):
            return None
        return Suspicion(node, Silence.OTHER_RUN, silent_ms, silence_max_ms)

    def _kind(self, node: NodeId, voters: Collection[NodeId], now_ms: int, silence_max_ms: int) -> Silence:
        """Which way is open, by what each side says that it hears. A way that is nearly silent for too long is not."""
        age_max_ms = silence_max_ms // 2
        others = [voter for voter in voters if voter != node]
        own = len(voters) - len(others)
        hear_it = own + sum(self._hears(voter, node, now_ms) <= age_max_ms for voter in others)
        it_hears = own + sum(self._hears(node, voter, now_ms) <= age_max_ms for voter in others)
        is_heard, does_hear = hear_it * 2 > len(voters), it_hears * 2 > len(voters)
        if is_heard and does_hear:
            return Silence.MIXED
        return Silence.DEAF if is_heard else Silence.UNHEARD if does_hear else Silence.BOTH_WAYS

    def _hears_relayed(self, node: NodeId, incarnation: Incarnation) -> bool:
        """Voters hear it although its heartbeats do not come here: nothing says that its incarnation changed."""
        last = self._last.get(node)
        return last is None or last.incarnation == incarnation

    def _mutual_silence_ms(self, voter: NodeId, node: NodeId, now_ms: int, has_grace: bool) -> int:
        """For how long the two have not heard each other, both ways."""
        if voter == node:
            return self.age_ms(node, now_ms)
        silence_ms = max(self._hears(voter, node, now_ms), self._hears(node, voter, now_ms))
        return min(silence_ms, self._younger_run_ms(voter, node, now_ms)) if has_grace else silence_ms

    def _younger_run_ms(self, one: NodeId, other: NodeId, now_ms: int) -> int:
        """For how long the daemons of both have been known."""
        return min(now_ms - self._run_since_ms.get(each, self._started_ms) for each in (one, other))

    def _hears(self, listener: NodeId, speaker: NodeId, now_ms: int) -> int:
        """How long ago `listener` heard `speaker`, as far as this node knows."""
        if listener == self._me:
            return self.age_ms(speaker, now_ms)
        last = self._last.get(listener)
        if last is None or speaker not in last.heard_age_ms:
            return now_ms - self._started_ms
        return now_ms - last.received_ms + last.heard_age_ms[speaker]
