"""Which of two daemons that say they are the same node is it? Pure.

A daemon that was killed leaves a successor: the same guard is still there, or the next guard of the same place names the
incarnation before as ended. A copied data folder (a cloned machine) has neither. So a run that proves nothing is let in only
once the one before it has been silent for three heartbeats; it is known for a double, and waits for the whole silence limit,
when the one before it has answered something that was sent after its first hello. Whoever the cluster has admitted comes
first, whichever of the two a restarted peer happens to meet; and such a peer waits before it takes a run for the node that
cannot have come after the one it remembers.
"""

from dataclasses import dataclass
from enum import StrEnum

from clusterd.model.ids import Incarnation


class Welcome(StrEnum):
    YES = "yes"
    WAIT = "wait"
    """The run before it was heard a moment ago, and may be dead."""
    NO = "no"
    """The run before it is alive."""


@dataclass(frozen=True, slots=True)
class Caller:
    """A daemon that says hello as some node."""

    daemon_run: str
    incarnation: Incarnation
    ended: tuple[Incarnation, ...] = ()
    address: str = ""
    boots: int = 0
    """How often a daemon was started on its data; 0: it does not say."""


@dataclass(frozen=True, slots=True)
class Rival:
    """The other daemon that is this node, as the peer knows it that turned this one away."""

    daemon_run: str
    address: str
    is_alive: bool


def is_later(caller: Caller, known_boots: int) -> bool:
    """Whether it may have come after a run that is only remembered: it counts the starts on its data on."""
    return not caller.boots or caller.boots > known_boots


@dataclass(frozen=True, slots=True)
class Present:
    """The run that is taken for the node, and `age_ms` since it was heard."""

    daemon_run: str
    incarnation: Incarnation
    age_ms: int


def welcome(
    caller: Caller,
    present: Present | None,
    *,
    admitted: Incarnation,
    is_double: bool,
    quiet_max_ms: int,
    silence_max_ms: int,
) -> Welcome:
    """Whether `caller` is taken for the node from now on. `admitted`: the incarnation that the cluster knows as up."""
    if present is None or present.daemon_run == caller.daemon_run:
        return Welcome.YES
    if caller.incarnation and caller.incarnation in (present.incarnation, admitted):
        return Welcome.YES
    before = present.incarnation or admitted
    if before and before in caller.ended:
        return Welcome.YES
    if present.age_ms > (silence_max_ms if is_double else quiet_max_ms):
        return Welcome.YES
    return Welcome.NO if is_double else Welcome.WAIT
