"""When may a replica that lost its data vote again? Pure.

A replica whose disk was wiped, damaged or rolled back no longer knows which votes and acknowledgements it gave. If it
voted or acknowledged again at once, a majority could be counted twice: once with the promise, once without. So it
takes the leader's log like a learner, but grants nothing, and its answers count towards no commit and no read.

It is over when the cluster has put the replica out of the voters and this is committed *here* and durable, at or after
an index that a leader confirmed to it (by a majority without it) after it started. From then on it is an ordinary
learner and may be made a voter again by the ordinary change. Merely catching up would not do: 1. A votes for C in term
5, C leads; 2. A is wiped; 3. B, which leads term 4 and has not heard of C, brings A up to its own commit index;
4. A acknowledges B's next entry: B and C have both committed with A's help.
"""

from clusterd.consensus import reads
from clusterd.consensus.core import Core
from clusterd.consensus.memory import NOWHERE
from clusterd.model.events import AMNESIA_BEGUN, AMNESIA_ENDED, note


def look(core: Core) -> None:
    """Ask the leader from where on its log is good enough, and end the amnesia when it is."""
    if core.amnesia_index is None:
        is_asked = any(each.context is None for each in core.forwarded.values())
        if core.leader is not None and not is_asked:
            reads.forward(core, core.leader, None)
        return
    index = min(core.commit_index, core.durability.durable_index)
    if index < core.amnesia_index or not core.durability.is_hard_state_durable:
        return
    if core.node not in core.configurations.at(index).voters:
        core.is_amnesiac = False
        core.durability.amnesia_changed(is_amnesiac=False)
        core.note(note(AMNESIA_ENDED, index=index))
        if core.leader is not None:  # which has been waiting for it
            core.durability.acknowledge(core.leader, core.term, core.agreed_index, is_amnesiac=False)


def link_opened(core: Core) -> None:
    """What was asked of the leader before its link was open has gone nowhere."""
    if core.is_amnesiac:
        core.forwarded = {key: each for key, each in core.forwarded.items() if each.context is not None}
        look(core)


def rebuild(core: Core, because: str) -> None:
    """The application's state is not what the log makes of it: this replica takes a snapshot, and is admitted anew."""
    begin(core, because)
    core.wants_snapshot = True


def begin(core: Core, because: str) -> None:
    """It is known now that this replica lacks something that it promised. It keeps what it has, and grants nothing more."""
    if core.is_amnesiac:
        return
    core.become_follower(core.term, None, because)
    core.is_amnesiac, core.amnesia_index = True, None
    core.promised, core.known_committed, core.held_index = NOWHERE, 0, None
    core.durability.amnesia_changed(is_amnesiac=True)
    core.note(note(AMNESIA_BEGUN, because=because))
