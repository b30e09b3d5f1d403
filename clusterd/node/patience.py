"""How patient is the consensus of a cluster with these settings? Pure."""

from clusterd.consensus import RaftSettings, Restored
from clusterd.database import Database, DatabaseView
from clusterd.model.settings import ClusterSettings, cluster_settings


def settings_in(restored: Restored) -> ClusterSettings:
    database = Database.restore(restored.snapshot.data, restored.snapshot.meta.index)
    return cluster_settings(DatabaseView(database).cluster())


def raft_settings(settings: ClusterSettings) -> RaftSettings:
    """Elections are as patient as half the silence limit: a leader is replaced before its node is given up."""
    return RaftSettings(
        election_timeout_ms=max(settings.silence_max_ms // 2, 2 * settings.same_subnet_delay_ms),
        beat_interval_ms=settings.same_subnet_delay_ms,
    )
