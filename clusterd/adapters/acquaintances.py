"""With which runs of which peers has this run agreed on keys? I/O (nothing is sent from here).

One run of a peer at a time. Whoever opens a stream is the peer's present run; what comes through a third node may only bring
a later run than the one that is known, so that nobody can bring back an old one. Who is no member any more loses everything.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from clusterd.adapters.introductions import Introducer, Known, NotIntroduced
from clusterd.adapters.pair_keys import OpeningKey, Purpose, Run, SealingKey, key_id_of
from clusterd.model.ids import NodeId
from clusterd.wire.peer_pb2 import Introduction


@dataclass(slots=True)
class _Pair:
    """Everything that was agreed with one run of a peer."""

    known: Known
    sealing: dict[Purpose, SealingKey]
    opening: dict[Purpose, OpeningKey]


class Acquaintances:
    """The keys of one node's present run."""

    def __init__(
        self, introducer: Introducer, members: Collection[NodeId], is_let_in: Callable[[NodeId, str], bool]
    ) -> None:
        """`is_let_in`: whether a run that comes through a third node is taken for that peer."""
        self._is_let_in = is_let_in
        self._introducer = introducer
        self._members = frozenset(members)
        self._me = Run(NodeId(introducer.own.node), introducer.own.daemon_run)
        self._pairs: dict[NodeId, _Pair] = {}
        self._by_id: dict[bytes, OpeningKey] = {}

    @property
    def own(self) -> Introduction:
        return self._introducer.own

    def know_members(self, members: Collection[NodeId]) -> None:
        self._members = frozenset(members)
        for peer in [each for each in self._pairs if each not in self._members]:
            self._forget(peer)

    def meet(self, peer: NodeId, introduction: Introduction, *, by_own_stream: bool) -> bool:
        """Agree on keys with that run. False: nothing new. Raises NotIntroduced for what proves nothing."""
        if peer not in self._members:
            raise NotIntroduced("it is no member of the cluster")
        known = self._introducer.known(introduction)
        if known.node != peer:
            raise NotIntroduced(f"it introduces {known.node}")
        before = self._pairs.get(peer)
        if before is not None:
            if before.known == known:
                return False
            if not by_own_stream and known.started_wall_ms <= before.known.started_wall_ms:
                raise NotIntroduced("its run is not later than the one that is known")
        if not by_own_stream and not self._is_let_in(peer, known.daemon_run):
            raise NotIntroduced("another run of it is heard")
        secret = self._introducer.pair_secret(known)
        other = Run(known.node, known.daemon_run)
        self._forget(peer)
        pair = _Pair(
            known,
            {each: SealingKey(secret, each, source=self._me, target=other) for each in Purpose},
            {each: OpeningKey(secret, each, source=other, target=self._me) for each in Purpose},
        )
        self._pairs[peer] = pair
        self._by_id.update((key.id, key) for key in pair.opening.values())
        return True

    def seal(self, peer: NodeId, purpose: Purpose, content: bytes) -> bytes | None:
        """None: the two have not agreed on keys."""
        pair = self._pairs.get(peer)
        return pair.sealing[purpose].seal(content) if pair is not None else None

    def open(self, purpose: Purpose, packet: bytes) -> tuple[Run, bytes] | None:
        """(who, what); None for anything that does not prove itself."""
        key = self._by_id.get(key_id_of(packet))
        if key is None or self._pairs[key.source.node].opening[purpose] is not key:
            return None
        content = key.open(packet)
        return (key.source, content) if content is not None else None

    def _forget(self, peer: NodeId) -> None:
        pair = self._pairs.pop(peer, None)
        for key in pair.opening.values() if pair is not None else ():
            del self._by_id[key.id]
