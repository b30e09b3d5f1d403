"""Which values of common properties contradict each other, and which have no effect together? Pure.

A problem is refused: what is asked for cannot be had. A note is told, and the values are stored: they may be meant, or are
halfway to something else. Defaults are filled in before anything is compared.
"""

from collections.abc import Sequence

from clusterd.model.ids import GroupId, NodeId, ResourceId
from clusterd.model.records import (
    ClusterRecord,
    GroupRecord,
    NodeRecord,
    Properties,
    ResourceRecord,
    TypeSettingsRecord,
)
from clusterd.model.relations import refusal
from clusterd.model.settings import (
    MARGIN_MS,
    ClusterSettings,
    ResourceSettings,
    TypeSettings,
    cluster_settings,
    group_settings,
    resource_settings,
    type_settings,
)
from clusterd.model.settings_catalogue import ALL_ONES, Scope, settings_of
from clusterd.model.states import RestartAction

SILENCE_LEAST_MS = 300


def relation_problems(scope: Scope, values: Properties) -> list[str]:
    """Relations between properties of one object that would not hold with `values` stored."""
    match scope:
        case Scope.CLUSTER:
            return cluster_problems(cluster_settings(ClusterRecord(id="", name="", properties=values)))
        case Scope.NODE:
            return _node_problems(values)
        case Scope.GROUP:
            return _group_problems(values)
        case Scope.RESOURCE:
            return _resource_problems(resource_settings(_resource(values)))
        case Scope.GROUP_SET | Scope.RESOURCE_TYPE:
            return []


def cluster_problems(settings: ClusterSettings) -> list[str]:
    """Relations between the cluster's times that do not hold; checked whenever one of them changes.

    * run_lease ≥ 2 · same_subnet_delay + 100 ms: one lost heartbeat must not cost a healthy node its workloads.
    * silence limit ≥ 300 ms: a busy processor or a slow disk alone delays a heartbeat by as much.

    The relation that keeps two copies from running, takeover ≥ (L + K)(1 + ε) + margin, needs no check: the waiting time
    is computed from L and K (`ClusterSettings.expiry_ms`). The silence limit may be on either side of the lease: when it is
    shorter a node is expelled earlier, and its successor still waits for the lease.
    """
    problems: list[str] = []
    lease_least_ms = 2 * settings.same_subnet_delay_ms + MARGIN_MS
    if settings.run_lease_ms < lease_least_ms:
        text = (
            f"run_lease is {settings.run_lease_ms} ms; with same_subnet_delay {settings.same_subnet_delay_ms} ms it must "
            f"be at least {lease_least_ms} ms, or one lost heartbeat stops a healthy node's workloads"
        )
        problems.append(refusal("lease-outlasts-heartbeats", text))
    if settings.silence_max_ms < SILENCE_LEAST_MS:
        text = (
            f"same_subnet_delay × same_subnet_threshold is {settings.silence_max_ms} ms; the silence limit must be at least "
            f"{SILENCE_LEAST_MS} ms, or a busy processor costs a healthy node its workloads"
        )
        problems.append(refusal("silence-limit-least", text))
    return problems


def _node_problems(values: Properties) -> list[str]:
    capacity, reserve = _number(Scope.NODE, values, "memory_capacity"), _number(Scope.NODE, values, "memory_reserve")
    if capacity != ALL_ONES and reserve > capacity:
        text = (
            f"memory_reserve is {reserve} MiB and memory_capacity {capacity} MiB: "
            "no more can be reserved than there is; lower memory_reserve"
        )
        return [refusal("reserve-within-capacity", text)]
    return []


def _group_problems(values: Properties) -> list[str]:
    start = _number(Scope.GROUP, values, "failback_window_start")
    end = _number(Scope.GROUP, values, "failback_window_end")
    if (start == ALL_ONES) != (end == ALL_ONES):
        missing = "failback_window_start" if start == ALL_ONES else "failback_window_end"
        text = f"{missing} is not set: a failback window has both ends or none; set it too, or take the other one away"
        return [refusal("failback-window-both-ends", text)]
    return []


def _resource_problems(settings: ResourceSettings) -> list[str]:
    retry_ms = settings.retry_period_on_failure_ms
    if retry_ms is not None and retry_ms < settings.restart_period_ms:
        text = (
            f"retry_period_on_failure is {retry_ms} ms; it must be at least restart_period "
            f"({settings.restart_period_ms} ms), or a failed resource is retried before its restarts are forgotten"
        )
        return [refusal("retry-after-restart-period", text)]
    return []


# ---- notes ----


def cluster_notes(values: Properties) -> list[str]:
    """What of the cluster's settings has no effect together."""
    settings = cluster_settings(ClusterRecord(id="", name="", properties=values))
    if settings.minimum_preemptor_priority >= 4999 or settings.minimum_never_preempt_priority <= 0:
        return ["with these priorities no group is ever taken offline to make room for another"]
    return []


def group_notes(values: Properties, preferred_owners: Sequence[str]) -> list[str]:
    """What of a group's settings has no effect as things are."""
    owners = tuple(NodeId(each) for each in preferred_owners)
    settings = group_settings(GroupRecord(GroupId(""), preferred_owners=owners, properties=values), 0)
    notes: list[str] = []
    if settings.may_fail_back and not preferred_owners:
        notes.append("auto_failback_type is allow, but without preferred owners there is no node to go back to")
    if settings.failback_window and not settings.may_fail_back:
        notes.append("the failback window has no effect while auto_failback_type is prevent")
    if settings.failback_window and settings.failback_window[0] == settings.failback_window[1]:
        notes.append("a failback window that begins and ends at the same hour is a whole day: failback at any time")
    if settings.may_fail_back and settings.is_locked:
        notes.append("locked_from_moving keeps the group from failing back as well")
    if settings.priority == 0 and "cold_start_setting" in values:
        notes.append("priority no-auto-start: the group is started by hand only, whatever cold_start_setting says")
    return notes


def resource_notes(values: Properties, of_type: TypeSettings) -> list[str]:
    """What of a resource's settings has no effect together with those of its type."""
    settings = resource_settings(_resource(values), of_type)
    notes = _poll_notes(settings.looks_alive_poll_interval_ms, settings.is_alive_poll_interval_ms, values)
    notes += _call_notes(settings.deadlock_timeout_ms, settings.pending_timeout_ms, values)
    is_restarted = settings.restart_action is not RestartAction.NOTHING and settings.restart_threshold > 1
    # The oldest of N restarts is at least N - 1 delays old when the next failure comes.
    if is_restarted and settings.restart_threshold != ALL_ONES:
        oldest_ms = (settings.restart_threshold - 1) * settings.restart_delay_ms
        if oldest_ms >= settings.restart_period_ms:
            notes.append(
                f"restart_threshold is never reached: {settings.restart_threshold} restarts with restart_delay between "
                "them take longer than restart_period, so the resource is restarted in place for ever"
            )
    return notes


def type_notes(values: Properties, own: TypeSettings) -> list[str]:
    """What of a type's settings has no effect together with what the type says itself."""
    settings = type_settings(TypeSettingsRecord("", values), own)
    return _poll_notes(settings.looks_alive_poll_interval_ms, settings.is_alive_poll_interval_ms, values) + _call_notes(
        settings.deadlock_timeout_ms, settings.pending_timeout_ms, values
    )


def node_notes(before: NodeRecord, after: NodeRecord) -> list[str]:
    """What an operator should know when a node is set to take no more groups."""
    was, now = (_is_avoided(each.properties) for each in (before, after))
    return ["groups that are on the node stay there; to empty it: clusterctl node drain"] if now and not was else []


def _is_avoided(values: Properties) -> bool:
    return bool(values.get("avoid_placement", False))


def _poll_notes(looks_alive_ms: int, is_alive_ms: int, values: Properties) -> list[str]:
    is_given = "looks_alive_poll_interval" in values or "is_alive_poll_interval" in values
    if not is_given or looks_alive_ms <= is_alive_ms:
        return []
    return [
        f"looks_alive_poll_interval ({looks_alive_ms} ms) is longer than is_alive_poll_interval ({is_alive_ms} ms): "
        "the quick check finds nothing that the thorough one has not found before"
    ]


def _call_notes(deadlock_ms: int, pending_ms: int, values: Properties) -> list[str]:
    is_given = "deadlock_timeout" in values or "pending_timeout" in values
    if not is_given or deadlock_ms >= pending_ms:
        return []
    return [
        f"deadlock_timeout ({deadlock_ms} ms) is shorter than pending_timeout ({pending_ms} ms): a start that does not "
        "return costs its resource host, and with it every resource in it, before it counts as failed"
    ]


def _number(scope: Scope, values: Properties, name: str) -> int:
    value = values.get(name, settings_of(scope)[name].default)
    return value if isinstance(value, int) else 0


def _resource(values: Properties) -> ResourceRecord:
    return ResourceRecord(ResourceId(""), GroupId(""), "", properties=values)
