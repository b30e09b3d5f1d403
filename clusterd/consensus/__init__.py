"""Pure. The replicated log: Raft as a state machine that is fed events and returns what is to be done."""

from clusterd.consensus.outputs import Persist, ReadState, Ready, Restored, Role, Snapshot
from clusterd.consensus.raft import Raft
from clusterd.consensus.readmission import Change, Step, next_change
from clusterd.consensus.settings import RaftSettings

__all__ = [
    "Change", "Persist", "Raft", "RaftSettings", "ReadState", "Ready", "Restored", "Role", "Snapshot", "Step", "next_change",
]  # fmt: skip
