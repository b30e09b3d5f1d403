"""What must hold between configured values, and what is each such rule called? Pure. A table.

A refusal ends with the name of its rule, so that people can look it up and programs can tell one from another.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType

from clusterd.model.errors import invariant

RELATIONS: Mapping[str, str] = MappingProxyType(
    {
        "lease-outlasts-heartbeats": "`run_lease` is at least twice `same_subnet_delay` and 100 ms",
        "silence-limit-least": "`same_subnet_delay` times `same_subnet_threshold` is at least 300 ms",
        "times-only-raised": "a running cluster may raise `run_lease` and `stop_budget`, never lower them",
        "retry-after-restart-period": "`retry_period_on_failure` is at least `restart_period`",
        "failback-window-both-ends": "`failback_window_start` and `failback_window_end` are both set or neither is",
        "reserve-within-capacity": "`memory_reserve` is at most `memory_capacity`",
        "site-has-node": "some node is at a `preferred_site`",
        "count-within-set": "`startup_count` is at most the number of groups in the set",
        "readiness-is-reported": "`os-heartbeat` and `application-ready` need a resource type that reports it",
        "delay-within-timeout": "`startup_delay` is shorter than the cluster's `group_dependency_timeout`",
        "one-set-per-group": "a group is in at most one group set",
        "providers-exist": "a group set depends on other group sets that exist",
        "no-circles": "group sets do not wait for each other in a circle",
        "two-groups-at-least": "an affinity rule is about two groups or more",
        "together-or-apart": "no two affinity rules keep the same groups both together and apart",
    }
)


def refusal(rule: str, text: str) -> str:
    """The text with the name of the rule that says so."""
    invariant(rule in RELATIONS, f"there is no rule {rule}")
    return f"{text} (rule {rule})"


def rule_in(text: str) -> str:
    """The name of the rule at the end of a refusal; empty when there is none."""
    found = re.search(r"\(rule ([a-z-]+)\)$", text)
    return found[1] if found else ""
