"""What happens after a failure? Pure. Restart in place up to a limit in a sliding window, then ask for another node."""

from collections.abc import Iterable
from dataclasses import dataclass

from clusterd.model.ids import NodeId
from clusterd.model.records import RestartStamp
from clusterd.model.settings import HOUR_MS, ResourceSettings
from clusterd.model.states import RestartAction

RESTARTS_KEPT_MAX = 64


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to a failure. `at_cluster_ms` is when to act (0: never); only restarts count against the limit."""

    action: str
    at_cluster_ms: int
    asks_for_other_node: bool
    used: int
    limit: int
    text: str


def after_failure(
    settings: ResourceSettings, restarts: Iterable[RestartStamp], node: NodeId, cluster_ms: int
) -> Verdict:
    """With a limit of N restarts, failure N + 1 inside the window is the one that escalates."""
    used = restarts_in_window(restarts, node, cluster_ms, settings.restart_period_ms)
    limit = settings.restart_threshold
    retry_ms = settings.retry_period_on_failure_ms
    retry_at = cluster_ms + retry_ms if retry_ms is not None else 0
    retry = "retry" if retry_at else ""
    if settings.restart_action is RestartAction.NOTHING:
        return Verdict("", 0, False, used, limit, "its restart action is do-not-restart")
    if used < limit:
        text = f"restart {used + 1} of {limit} in {settings.restart_delay_ms} ms"
        return Verdict("restart", max(1, cluster_ms + settings.restart_delay_ms), False, used, limit, text)
    spent = f"{used} of {limit} restarts on {node} are used up"
    if settings.restart_action is RestartAction.RESTART:
        return Verdict(retry, retry_at, False, used, limit, f"{spent}; its restart action keeps the group here")
    return Verdict(retry, retry_at, True, used, limit, spent)


def retry_only(settings: ResourceSettings, cluster_ms: int) -> Verdict:
    """What follows when this node can never run it: another node, and the timed retry should none take it.

    Without a retry period it is asked again after the reference's default hour, not at once and for ever.
    """
    retry_ms = settings.retry_period_on_failure_ms
    at_ms = cluster_ms + (retry_ms if retry_ms is not None else HOUR_MS)
    return Verdict("retry", max(1, at_ms), True, 0, 0, "it cannot run on this node")


def restarts_in_window(restarts: Iterable[RestartStamp], node: NodeId, cluster_ms: int, period_ms: int) -> int:
    """How many restarts on `node` still count."""
    return sum(each.node == node and cluster_ms - each.cluster_ms < period_ms for each in restarts)


def with_restart(restarts: tuple[RestartStamp, ...], node: NodeId, cluster_ms: int) -> tuple[RestartStamp, ...]:
    return (*restarts, RestartStamp(cluster_ms, node))[-RESTARTS_KEPT_MAX:]
