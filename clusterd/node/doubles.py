"""What when two daemons are this node, or a peer, at the same time? Pure. A data folder that was copied and runs twice.

The one that is there first goes on, and hears nothing of it. Its peers turn the other one away at its hello (see
`membership.runs`), tell it who is there, and have the cluster told. The other one lacks what the first one promises from
then on: it is an amnesiac as soon as it is told, for good, ends what it runs, and announces no incarnation. When the first
one is gone it may come in, by the way of everybody who forgot.

A node whose own vote suffices asks nobody, so it first waits, at its second start and later, until every other member has
let it in, or has not answered for as long as a silent one is waited for.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from clusterd.membership.runs import Caller, Present, Rival, Welcome, is_later, welcome
from clusterd.model.events import NODE_DOUBLED, RUN_REFUSED, note
from clusterd.model.ids import Incarnation, NodeId
from clusterd.model.records import EventRecord
from clusterd.model.states import MembershipState
from clusterd.node import events as happened
from clusterd.node.proposals import ForAlarm
from clusterd.wire.peer_pb2 import Heartbeat

if TYPE_CHECKING:
    from clusterd.node.node import Node

CALLERS_KEPT = 8
SHOWN_MS = 10_000
REFUSED_MS = 3_000
"""Who is refused asks again several times a second; a word that is older than this may be out of date."""
ASK_MS = 2_000


@dataclass(slots=True)
class _Call:
    """A caller that was not let in. What is acknowledged from `first_sequence` on was sent after its first hello."""

    caller: Caller
    first_sequence: int
    called_ms: int
    is_double: bool = False


@dataclass(frozen=True, slots=True)
class Doubled:
    """A node that is there twice: the daemon that goes on, and the one that is turned away."""

    node: NodeId
    stays: str
    refused: str


class Doubles:
    """One node's view of it."""

    def __init__(self, node: "Node", *, has_run_before: bool, now_ms: int) -> None:
        self._node = node
        self._started_ms = now_ms
        self._is_asking = has_run_before and bool(node.members)
        self._calls: dict[NodeId, dict[str, _Call]] = {}
        self._addresses: dict[NodeId, tuple[str, str]] = {}
        """The run of each peer that was let in last, and where it speaks from."""
        self._rivals: dict[NodeId, tuple[Rival, int]] = {}
        """Who turned this daemon away, because of whom, and when it said so."""
        node.replica.raft.asks_first(is_asking=self._is_asking)

    # ---- the others ----

    def welcome(self, peer: NodeId, caller: Caller, now_ms: int) -> Welcome:
        """Whether a daemon that says hello as `peer` is that node. Changes nothing: `RunCalled` is to follow."""
        node = self._node
        record = node.replica.view.membership(peer)
        is_up = record is not None and record.state is MembershipState.UP
        call = self._calls.get(peer, {}).get(caller.daemon_run)
        return welcome(
            caller,
            self._present(peer, caller, now_ms),
            admitted=record.incarnation if record is not None and is_up else Incarnation(""),
            is_double=call is not None and call.is_double,
            quiet_max_ms=node.presence.quiet_max_ms,
            silence_max_ms=node.settings.silence_max_ms,
        )

    def _present(self, peer: NodeId, caller: Caller, now_ms: int) -> Present | None:
        """The run that was heard last; in this daemon's first moments the one it remembers, unless `caller` is later."""
        node = self._node
        last, known = node.presence.detector.last(peer), node.memories.known(peer)
        age_ms = node.presence.detector.age_ms(peer, now_ms)
        if last is not None:
            return Present(last.daemon_run, last.incarnation, age_ms)
        if known is None or is_later(caller, known.boots):
            return None
        return Present(known.run, Incarnation(""), age_ms)

    def rival_of(self, peer: NodeId, caller: Caller) -> Rival:
        """What to tell a caller that is not let in."""
        last = self._node.presence.detector.last(peer)
        run, address = self._addresses.get(peer, ("", ""))
        call = self._calls.get(peer, {}).get(caller.daemon_run)
        daemon_run = last.daemon_run if last is not None else ""
        return Rival(daemon_run, address if run == daemon_run else "", call is not None and call.is_double)

    def take(self, event: happened.RunCalled | happened.RunRefused, now_ms: int) -> None:
        if isinstance(event, happened.RunRefused):
            self._refused(event.by, event.rival, now_ms)
        elif self.welcome(event.peer, event.caller, now_ms) is Welcome.YES:
            self._addresses[event.peer] = (event.caller.daemon_run, event.caller.address)
        else:
            self._called(event.peer, event.caller, now_ms)

    def _called(self, peer: NodeId, caller: Caller, now_ms: int) -> None:
        """Have the run that is known say whether it lives."""
        calls = self._calls.setdefault(peer, {})
        call = calls.get(caller.daemon_run)
        if call is None:
            while len(calls) >= CALLERS_KEPT:
                del calls[min(calls, key=lambda run: calls[run].called_ms)]
            call = calls[caller.daemon_run] = _Call(caller, self._node.presence.sendings.next_sequence, now_ms)
        call.called_ms = now_ms
        if not call.is_double:
            self._node.beating.beat(now_ms, (peer,), asks=(peer,), is_news=True)

    def heard(self, peer: NodeId, heartbeat: Heartbeat, now_ms: int) -> None:
        """A heartbeat of the run that is taken for `peer`; it proves that this run lives, and that it lets this one in."""
        self._rivals.pop(peer, None)
        self._ask_on(now_ms)
        calls = self._calls.get(peer)
        if not calls:
            return
        calls.pop(heartbeat.daemon_run, None)
        is_mine = heartbeat.ack.daemon_run == self._node.identity.daemon_run
        for call in calls.values():
            if is_mine and not call.is_double and heartbeat.ack.sequence >= call.first_sequence:
                call.is_double = True
                self._tell(peer, heartbeat.daemon_run, call, now_ms)

    def _tell(self, peer: NodeId, daemon_run: str, call: _Call, now_ms: int) -> None:
        """Every peer notices it; the request id makes one event of that."""
        found = self._doubled(peer, call)
        node = self._node
        node.say(note(NODE_DOUBLED, peer=peer, stays=found.stays, refused=found.refused))
        draft = node.draft().event(
            EventRecord(
                node.now(now_ms).wall_ms,
                NODE_DOUBLED.name,
                NODE_DOUBLED.level,
                node=peer,
                message=f"{peer} runs twice: {found.stays} goes on, {found.refused} is refused",
                because=f"{node.me} hears both: the data folder of {peer} was copied, and runs on two machines",
            )
        )
        node.submit(ForAlarm(), draft.build(f"doubled.{peer}.{daemon_run}.{call.caller.daemon_run}"), now_ms)

    def _doubled(self, peer: NodeId, call: _Call) -> Doubled:
        rival = self.rival_of(peer, call.caller)
        return Doubled(peer, _who(rival.daemon_run, rival.address), _who(call.caller.daemon_run, call.caller.address))

    def doubled(self, now_ms: int) -> tuple[Doubled, ...]:
        """The peers of which a second daemon was turned away a moment ago."""
        return tuple(
            self._doubled(peer, call)
            for peer in sorted(self._calls)
            for call in self._calls[peer].values()
            if call.is_double and now_ms - call.called_ms <= SHOWN_MS
        )

    # ---- this node ----

    @property
    def rival(self) -> tuple[NodeId, Rival] | None:
        """Who says that another daemon is this node, and which one; None: nobody does."""
        living = [(by, rival) for by, (rival, _) in sorted(self._rivals.items()) if rival.is_alive]
        return living[0] if living else None

    @property
    def turned_away(self) -> tuple[NodeId, str] | None:
        """The same, in words: who says so, and which one."""
        found = self.rival
        return None if found is None else (found[0], _who(found[1].daemon_run, found[1].address))

    def _refused(self, by: NodeId, rival: Rival, now_ms: int) -> None:
        was = self.rival
        self._rivals[by] = (rival, now_ms)
        if not rival.is_alive:
            return
        who = _who(rival.daemon_run, rival.address)
        if was is None:
            self._node.say(note(RUN_REFUSED, by=by, rival=who))
        self._node.presence.is_double = True
        self._node.replica.raft.lose_memory(f"{by} hears another daemon as {self._node.me}: {who}", now_ms)

    def look(self, now_ms: int) -> None:
        """With every regular heartbeat."""
        self._rivals = {by: each for by, each in self._rivals.items() if now_ms - each[1] <= REFUSED_MS}
        self._node.presence.is_double = self.rival is not None
        self._ask_on(now_ms)

    def _ask_on(self, now_ms: int) -> None:
        """Go on asking, or know that nobody speaks as this node."""
        if not self._is_asking:
            return
        node = self._node
        is_heard = all(node.presence.detector.last(each) is not None for each in node.talking.peers)
        is_late = now_ms - self._started_ms > max(node.settings.silence_max_ms, ASK_MS)
        if (is_heard or is_late) and not self._rivals:
            self._is_asking = False
            node.replica.raft.asks_first(is_asking=False)


def _who(daemon_run: str, address: str) -> str:
    return f"run {daemon_run} at {address}" if address else f"run {daemon_run}"
