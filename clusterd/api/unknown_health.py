"""What follows when nobody can tell for long whether a resource is well: when that counts as a failure, and what then? Pure.

The owner decides it (`owner/doubts.py`, `owner/policy.py`); here its rule is put into words before it comes to pass.
"""

from typing import Any

from clusterd.api.observed import ObservedGroup, ObservedResource
from clusterd.api.port import NodeStatus
from clusterd.api.times import time_text, wall_of
from clusterd.model.durations import rough_text
from clusterd.model.ids import NodeId
from clusterd.model.settings import resource_settings
from clusterd.model.states import NextAction, ResourceState, RestartAction
from clusterd.owner.policy import Verdict, after_failure

SETTING = "health_unknown_timeout"


def unknown_health_view(status: NodeStatus, group: ObservedGroup, resource: ObservedResource) -> dict[str, Any]:
    """What is told of it beside a resource's state; `health_unknown` is empty while its checks can tell."""
    report = resource.report
    doubt = report.doubt if report else ""
    fails_ms = counts_as_failed_cluster_ms(resource)
    return {
        "health_unknown": doubt,
        "health_unknown_since": time_text(report.doubt_since_wall_ms) if report and doubt else None,
        "health_unknown_fails_at": time_text(wall_of(status, fails_ms)) if fails_ms else None,
        "health_unknown_then": _rule_text(group, resource) if doubt else "",
    }


def counts_as_failed_cluster_ms(resource: ObservedResource) -> int:
    """The moment at which its owner takes the doubt for a failure. 0: never, or there is none, or hands are off."""
    report = resource.report
    limit_ms = resource_settings(resource.record).health_unknown_timeout_ms
    if report is None or not report.doubt or resource.state is not ResourceState.ONLINE:
        return 0
    return 0 if report.is_hands_off or limit_ms is None else report.doubt_since_cluster_ms + limit_ms


def unknown_health_text(group: ObservedGroup, resource: ObservedResource) -> str:
    """For one line; empty when its checks can tell."""
    report = resource.report
    if report is None or not report.doubt:
        return ""
    return (
        f"health unknown since {time_text(report.doubt_since_wall_ms)}: {report.doubt}; {_rule_text(group, resource)}"
    )


def _then_text(group: ObservedGroup, resource: ObservedResource) -> str:
    """What its policy does once the doubt has become a failure."""
    settings = resource_settings(resource.record)
    restarts = resource.report.restarts if resource.report else ()
    verdict = after_failure(settings, restarts, NodeId(group.owner or ""), counts_as_failed_cluster_ms(resource))
    return f"{_action_text(verdict, settings.restart_action, group)} ({verdict.text})"


def _action_text(verdict: Verdict, action: RestartAction, group: ObservedGroup) -> str:
    if verdict.action is NextAction.RESTART:
        return f"it is restarted on {group.owner}"
    if verdict.asks_for_other_node:
        return "its group is to move to another node"
    return "it stays failed" if action is RestartAction.NOTHING else f"it stays failed on {group.owner}"


def _rule_text(group: ObservedGroup, resource: ObservedResource) -> str:
    limit_ms = resource_settings(resource.record).health_unknown_timeout_ms
    if resource.report is not None and resource.report.is_hands_off:
        return "nothing follows while it is in maintenance"
    if limit_ms is None:
        return f"it never counts as a failure ({SETTING}: never)"
    return f"a failure {rough_text(limit_ms)} after that ({SETTING}), then {_then_text(group, resource)}"
