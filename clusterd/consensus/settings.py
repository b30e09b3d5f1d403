"""How patient, how generous and how bounded is the consensus core? Pure."""

from dataclasses import dataclass

from clusterd.model.errors import BadInput


@dataclass(frozen=True, slots=True)
class RaftSettings:
    """Times in milliseconds, sizes in bytes. `__post_init__` refuses what cannot work."""

    election_timeout_ms: int = 1000
    """Silence of the leader after which a voter asks for votes (randomised up to twice this), and silence of the
    voters after which a leader steps down. Too small: a busy machine loses its leader; too large: a dead leader that
    closed no connection is replaced late. At least twice `beat_interval_ms`."""
    beat_interval_ms: int = 250
    """How often the shell sends what `beats` returns. The core sends nothing periodic by itself."""
    resend_after_ms: int = 500
    """An append or chunk that made no progress for this long is taken for lost and sent again."""
    early_stand_stagger_ms: int = 20
    """Voters whose link to the leader broke stand this much apart, in rank order, so that they do not split the vote."""
    append_bytes_max: int = 512 * 1024
    """Of one append message; a single larger entry travels alone."""
    append_entries_max: int = 1024
    inflight_appends_max: int = 8
    """Append messages to one peer that wait for their answer. More hides a longer round trip; fewer batch better."""
    snapshot_chunk_bytes: int = 1024 * 1024
    snapshot_bytes_max: int = 1024 * 1024 * 1024
    """A larger snapshot is refused by the receiver before it is buffered."""
    entry_bytes_max: int = 1024 * 1024
    unwritten_bytes_max: int = 32 * 1024 * 1024
    """What a node whose disk takes no writes still takes from the leader into memory, to follow it."""
    proposals_pending_max: int = 4096
    """Entries of the leader's log that are not committed yet; further proposals are told to come back."""
    reads_pending_max: int = 4096
    log_tail_entries: int = 1000
    """Kept in memory behind a snapshot, so that a slow follower catches up by log instead of by snapshot."""

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if getattr(self, name) < (0 if name in ("early_stand_stagger_ms", "log_tail_entries") else 1):
                raise BadInput(f"{name} is {getattr(self, name)}", hint="it must be positive")
        if self.election_timeout_ms < 2 * self.beat_interval_ms:
            raise BadInput(
                f"election_timeout_ms is {self.election_timeout_ms}, less than twice beat_interval_ms "
                f"({self.beat_interval_ms})",
                hint="one lost heartbeat must not cost the leader: raise the first or lower the second",
            )
