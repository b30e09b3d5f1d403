"""Was anything restarted or failed over more often than its limits allow? Pure. Judged from what the database remembers."""

from clusterd.database import DatabaseView
from clusterd.model.settings import group_settings, resource_settings


def limit_breaches(view: DatabaseView) -> list[str]:
    """Every window that holds more restarts of a resource on one node, or failovers of a group, than its limit."""
    found = []
    for group in view.groups():
        assignment, report = view.assignment(group.name), view.report(group.name)
        settings = group_settings(group, len(view.nodes()))
        stamps = [each.cluster_ms for each in assignment.failovers] if assignment else []
        if densest(stamps, settings.failover_period_ms) > settings.failover_threshold:
            found.append(f"{group.name} failed over more than {settings.failover_threshold} times: {stamps}")
        for each in report.resources if report else ():
            record = view.resource(each.name)
            if record is None:
                continue
            limits = resource_settings(record)
            for node in sorted({stamp.node for stamp in each.restarts}):
                at = [stamp.cluster_ms for stamp in each.restarts if stamp.node == node]
                if densest(at, limits.restart_period_ms) > limits.restart_threshold:
                    found.append(f"{each.name} restarted on {node} more than {limits.restart_threshold} times: {at}")
    return found


def densest(stamps_ms: list[int], window_ms: int) -> int:
    """The most stamps that any window of that length holds."""
    return max((sum(start <= each < start + window_ms for each in stamps_ms) for start in stamps_ms), default=0)
