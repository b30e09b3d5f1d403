"""What time is it for an owner, and how far is what it knows? Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Now:
    """The three clocks: this node's own, the cluster's, and the one people read; and how far the database is."""

    now_ms: int
    cluster_ms: int
    wall_ms: int
    revision: int = 0
    """Of the database that this node knows."""
