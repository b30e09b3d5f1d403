"""What does this node do about its own disk? Pure. Feeds `DiskWatch` and tells the consensus core, the peers and the log.

A disk that takes nothing silences nobody: heartbeats, leases and workloads go on, and what the others commit is followed.
Only promises wait (votes, acknowledged entries), and a leader hands over (`handing_over.GivingWay`).
"""

from typing import TYPE_CHECKING

from clusterd.consensus import Persist
from clusterd.model.disk import DiskState
from clusterd.model.events import DISK_FAILED, DISK_FILLED, DISK_RECOVERED, DISK_REFUSED, DISK_SLOWED, note
from clusterd.node.disk import DiskWatch
from clusterd.node.effects import Write
from clusterd.node.events import DiskRefused, DiskTook, LogWritten

if TYPE_CHECKING:
    from clusterd.node.node import Node

_EVENTS = {DiskState.FULL: DISK_FILLED, DiskState.REFUSES: DISK_REFUSED, DiskState.FAILED: DISK_FAILED}


class Writing:
    """The part of a node that has a disk."""

    def __init__(self, node: "Node", now_ms: int) -> None:
        self._node = node
        self._watch = DiskWatch(now_ms)

    def take(self, event: LogWritten | DiskRefused | DiskTook, now_ms: int) -> None:
        node, raft = self._node, self._node.replica.raft
        match event:
            case LogWritten():
                self._watch.written(event.sequence, now_ms)
                raft.persisted(event.sequence, now_ms)
            case DiskRefused():
                self._watch.refused(event.state, event.text)
                raft.disk_refuses(True)
                node.say(note(_EVENTS[event.state], what=event.text, hint=event.hint))
                self._tell(now_ms)
            case DiskTook():
                self._watch.took_again(now_ms)
                raft.disk_refuses(self._watch.takes_nothing)
                self._tell(now_ms)

    def write(self, persist: Persist, now_ms: int) -> None:
        self._watch.writing(persist.sequence, now_ms)
        self._node.do(Write(persist))

    def discount(self, late_ms: int, now_ms: int) -> None:
        """The node itself did not run for that long."""
        self._watch.discount(late_ms, now_ms)

    def look(self, now_ms: int) -> None:
        """Call with every heartbeat: is it slow, or quick again?"""
        was, now = self._node.presence.disk, self._watch.look(now_ms)
        self._node.presence.disk = now
        if was.state is not now.state and now.state is DiskState.SLOW:
            self._node.say(note(DISK_SLOWED, took_ms=now.took_ms))
        elif was.state not in (now.state, DiskState.UNTRIED) and now.state is DiskState.OK:
            self._node.say(note(DISK_RECOVERED, was=was.state.value))
        if self._watch.wants_probe(now_ms):
            self._node.replica.raft.probe_disk()

    def _tell(self, now_ms: int) -> None:
        """The others should know at once: who leads, whom to hand over to, and why a node falls silent."""
        self.look(now_ms)
        self._node.leading.is_due = True
        self._node.beat(now_ms)
