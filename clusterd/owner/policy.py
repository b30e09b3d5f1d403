"""What happens after a failure? Pure. Restart in place up to a limit in a sliding window, then ask for another node.

With a limit of N restarts, failure N + 1 inside the window is the one that escalates. Only restarts on this node count, and
only those that the policy made: what an operator starts, what comes back with its provider, and a timed retry do not.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from clusterd.model.ids import NodeId
from clusterd.model.records import RestartStamp
from clusterd.model.settings import HOUR_MS, MINUTE_MS, SECOND_MS, ResourceSettings
from clusterd.model.states import NextAction, RestartAction

RESTARTS_KEPT_MAX = 1000
"""How many restarts are remembered. A higher limit is taken for this one: what is not remembered cannot be counted."""
EXPIRED_KEPT_MAX = 16
"""How many of them need not count any more: for people, and for a window that is made longer."""
WINDOW_LEAST_MS = 1000
"""A shorter window is taken for this one: in one of no length nothing would ever count, and restarts would be a storm."""
SOON_MS, SOON_DOUBLED_MAX = 10_000, 5
"""What does not answer is tried again after 10 s, 20 s, 40 s … and at last every 5 min and 20 s."""
NO_RESTARTS = "no restart is allowed (restart_threshold 0)"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to a failure. `at_cluster_ms` is when to act (0: never); only restarts count against the limit."""

    action: NextAction
    at_cluster_ms: int
    asks_for_other_node: bool
    used: int
    limit: int
    text: str


def after_failure(
    settings: ResourceSettings, restarts: Iterable[RestartStamp], node: NodeId, cluster_ms: int
) -> Verdict:
    """What the resource's restart action says."""
    used = restarts_in_window(restarts, node, cluster_ms, settings.restart_period_ms)
    limit = restart_limit(settings)
    retry_ms = settings.retry_period_on_failure_ms
    retry_at = max(1, cluster_ms + retry_ms) if retry_ms is not None else 0
    retry = NextAction.RETRY if retry_at else NextAction.NONE
    if settings.restart_action is RestartAction.NOTHING:
        return Verdict(NextAction.NONE, 0, False, used, limit, "its restart action is do-not-restart")
    if used < limit:
        text = f"restart {used + 1} of {limit} in {settings.restart_delay_ms} ms"
        return Verdict(NextAction.RESTART, max(1, cluster_ms + settings.restart_delay_ms), False, used, limit, text)
    spent = f"{min(used, limit)} of {limit} restarts on {node} are used up" if limit else NO_RESTARTS
    if settings.restart_action is RestartAction.RESTART:
        return Verdict(retry, retry_at, False, used, limit, f"{spent}; its restart action keeps the group here")
    return Verdict(retry, retry_at, True, used, limit, spent)


def retry_only(settings: ResourceSettings, cluster_ms: int, *, not_now_count: int = 0) -> Verdict:
    """What follows when this node cannot run it: another node, and the timed retry should none take it.

    Without a retry period it is asked again after the reference's default hour, not at once and for ever. What only does not
    answer now, so often in a row, is tried again soon and then less and less often: an outage of its storage ends for all at
    once, and nobody tells.
    """
    retry_ms = settings.retry_period_on_failure_ms
    after_ms = retry_ms if retry_ms is not None else HOUR_MS
    if not_now_count:
        after_ms = min(after_ms, SOON_MS << min(not_now_count - 1, SOON_DOUBLED_MAX))
    at_ms = cluster_ms + after_ms
    return Verdict(NextAction.RETRY, max(1, at_ms), True, 0, 0, "it cannot run on this node")


def restart_limit(settings: ResourceSettings) -> int:
    """Restarts in place that are allowed on one node within the window."""
    return min(settings.restart_threshold, RESTARTS_KEPT_MAX)


def restarts_in_window(restarts: Iterable[RestartStamp], node: NodeId, cluster_ms: int, period_ms: int) -> int:
    """How many restarts on `node` still count."""
    return len(_counting((each.cluster_ms for each in restarts if each.node == node), cluster_ms, period_ms))


def with_restart(
    restarts: tuple[RestartStamp, ...], node: NodeId, cluster_ms: int, period_ms: int
) -> tuple[RestartStamp, ...]:
    """The history with one more, bounded."""
    recent = restarts[-EXPIRED_KEPT_MAX:]
    older = restarts[:-EXPIRED_KEPT_MAX]
    counting = tuple(each for each in older if _counting((each.cluster_ms,), cluster_ms, period_ms))
    return (*counting, *recent, RestartStamp(cluster_ms, node))[-RESTARTS_KEPT_MAX:]


def counter_text(restarts: Iterable[RestartStamp], node: NodeId, settings: ResourceSettings, cluster_ms: int) -> str:
    """The restarts of a resource on `node`, as in '2 of 3 in the last 15 min, oldest expires in 4:10'."""
    return window_text(
        (each.cluster_ms for each in restarts if each.node == node),
        limit=restart_limit(settings),
        period_ms=settings.restart_period_ms,
        cluster_ms=cluster_ms,
    )


def window_text(stamps_cluster_ms: Iterable[int], *, limit: int, period_ms: int, cluster_ms: int) -> str:
    """The same for anything that is counted in a sliding window: failovers, restarts."""
    counting = _counting(stamps_cluster_ms, cluster_ms, period_ms)
    if not limit:
        return "none is allowed"
    text = f"{len(counting)} of {limit} in the last {_length(period_ms)}"
    if not counting:
        return text
    return f"{text}, oldest expires in {_countdown(min(counting) + max(period_ms, WINDOW_LEAST_MS) - cluster_ms)}"


def _counting(stamps_cluster_ms: Iterable[int], cluster_ms: int, period_ms: int) -> list[int]:
    window_ms = max(period_ms, WINDOW_LEAST_MS)
    return [each for each in stamps_cluster_ms if cluster_ms - each < window_ms]


def _length(duration_ms: int) -> str:
    """In the largest unit that needs no fraction."""
    for unit_ms, word in ((HOUR_MS, "h"), (MINUTE_MS, "min"), (SECOND_MS, "s")):
        if duration_ms and duration_ms % unit_ms == 0:
            return f"{duration_ms // unit_ms} {word}"
    return f"{duration_ms} ms"


def _countdown(duration_ms: int) -> str:
    """Minutes and seconds, with hours where there are any; a second that has begun counts."""
    minutes, seconds = divmod(-(-duration_ms // SECOND_MS), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
