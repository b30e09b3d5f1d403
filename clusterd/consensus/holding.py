"""What does a replica do when the leader's log contradicts what is committed here? Pure.

It cannot happen while every majority keeps what it acknowledged: so one went back together, to older copies, and nobody's
marker showed it. The replica keeps what it has and takes no part: it cuts nothing, takes no snapshot, votes for nobody and
confirms nothing. It says from which index on the logs differ; what to do about it is for people. It goes on by itself when a
leader turns up whose log agrees.
"""

from collections.abc import Sequence

from clusterd.consensus.core import Core
from clusterd.model.events import LOG_CONTRADICTED, note
from clusterd.model.ids import NodeId
from clusterd.wire.consensus_pb2 import Entry, SnapshotMeta

LOOK_BACK_ENTRIES = 512


def is_refused(core: Core, leader: NodeId, previous_index: int, previous_term: int, entries: Sequence[Entry]) -> bool:
    """Whether an append is not to be taken, because of what is committed here.

    The leader is told where to look next until it is known where the logs part. After that it hears nothing any more.
    """
    if core.is_amnesiac:
        return False
    committed_index = max(core.commit_index, core.known_committed)
    if previous_index <= committed_index and _differs(core, previous_index, previous_term):
        _hold(core, leader, previous_index)
        core.refuse_append(leader, conflict_index=previous_index)
        return True
    for entry in entries:
        if entry.index <= committed_index and _differs(core, entry.index, entry.term):
            _hold(core, leader, entry.index)
            return True
    if not core.is_held:
        return False
    # Those who went back count the same terms once more: an entry further up may bear the same term and be another one.
    from_index = core.held_index or max(core.log.base_index, committed_index - LOOK_BACK_ENTRIES)
    if not core.is_outdone and previous_index <= from_index <= previous_index + len(entries):
        core.held_index = None
        return False
    if previous_index > from_index:
        core.refuse_append(leader, conflict_index=from_index + 1)
    return True


def contradicts_snapshot(core: Core, meta: SnapshotMeta) -> bool:
    """The leader does not have the entries any more, only what came of them."""
    committed_index = max(core.commit_index, core.known_committed)
    if core.is_amnesiac or meta.index > committed_index or not _differs(core, meta.index, meta.term):
        return False
    core.held_index = min(meta.index, core.held_index or meta.index)
    return True


def _differs(core: Core, index: int, term: int) -> bool:
    """Whether the entry here is another one, as far as its term is still known."""
    return core.log.term_at(index) not in (None, term)


def _hold(core: Core, leader: NodeId, index: int) -> None:
    if core.held_index is None or index < core.held_index:
        core.held_index = index
        core.note(note(LOG_CONTRADICTED, leader=leader, index=index))
