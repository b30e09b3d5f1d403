"""What does the API say of a group's availability? Pure."""

from typing import Any

from clusterd.api.port import NodeStatus
from clusterd.api.times import time_text
from clusterd.database import DatabaseView
from clusterd.leader.availability import measured
from clusterd.model.availability import figures
from clusterd.model.records import GroupRecord


def availability_view(view: DatabaseView, status: NodeStatus, group: GroupRecord) -> dict[str, Any] | None:
    """None: it was never online since it is measured. `ratio` is None while it was wanted for no time at all."""
    record = measured(view, group)
    if record is None:
        return None
    told = figures(record, status.cluster_ms)
    return {
        "state": record.state.value,
        "measured_since": time_text(record.began_wall_ms),
        "online_ms": told.online_ms,
        "expected_ms": told.expected_ms,
        "ratio": told.online_ms / told.expected_ms if told.expected_ms else None,
        "outages": told.outages,
        "longest_outage_ms": told.longest_ms,
        "longest_outage_at": time_text(told.longest_wall_ms) if told.longest_wall_ms else None,
    }
