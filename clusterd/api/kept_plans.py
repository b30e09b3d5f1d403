"""Which plans may still be applied by their id? Pure. Each node keeps those that it made, for an hour, and only so many.

A plan is applied only while nothing that it read has changed. What it read is the whole configuration, every assignment and
every membership: a decision about one group may rest on any other. What owners merely report does not count.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from clusterd.api.plans import ChangeAsked
from clusterd.api.repeats import refuse_other_digest
from clusterd.database import DatabaseView
from clusterd.model import keys
from clusterd.model.errors import Conflict, NotFound
from clusterd.model.ids import NodeId

PLANS_KEPT_MAX = 128
PLAN_LIFE_MS = 3_600_000
_READ = frozenset(
    {
        keys.CLUSTER,
        keys.NODE,
        keys.GROUP,
        keys.RESOURCE,
        keys.RULE,
        keys.GROUP_SET,
        keys.TYPE_SETTINGS,
        keys.ASSIGNMENT,
        keys.MEMBERSHIP,
        keys.DRAIN,
    }
)


@dataclass(slots=True)
class KeptPlan:
    """A plan as `jobs.make` made it, with what was foreseen. `outcome` once it was applied."""

    change: ChangeAsked
    made: dict[str, Any]
    made_cluster_ms: int
    outcome: dict[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return self.change.request_id

    @property
    def revision(self) -> int:
        """At which the plan was made."""
        return int(self.made["revision"])

    def check(self, view: DatabaseView) -> None:
        """Raises Conflict when something that the plan read is newer than the plan."""
        changed = view.database.changes_since(self.revision)
        hint = "make the plan again and look at what it says now"
        if changed is None:
            raise Conflict(f"too much has changed since plan {self.id} was made: it is not known what", hint=hint)
        newer = {key: revision for revision, key in changed if keys.prefix_of(key) in _READ}
        if newer:
            key, revision = next(iter(newer.items()))
            more = f", and {len(newer) - 1} more" if len(newer) > 1 else ""
            message = f"plan {self.id} was made at revision {self.revision}; {key} changed at {revision}{more}"
            raise Conflict(message, hint=hint, key=key, revision=revision)


class KeptPlans:
    """The plans of one node, the oldest forgotten first."""

    def __init__(self, node: NodeId) -> None:
        self._node = node
        self._plans: OrderedDict[str, KeptPlan] = OrderedDict()

    def refuse_other(self, change: ChangeAsked) -> None:
        """Raises Conflict when the id is that of another plan."""
        kept = self._plans.get(change.request_id)
        if kept is not None:
            refuse_other_digest(change, kept.change.digest)

    def keep(self, kept: KeptPlan) -> None:
        self._forget(kept.made_cluster_ms)
        self._plans.pop(kept.id, None)
        self._plans[kept.id] = kept
        while len(self._plans) > PLANS_KEPT_MAX:
            self._plans.popitem(last=False)

    def find(self, plan_id: str, now_cluster_ms: int) -> KeptPlan:
        """Raises NotFound for one that was never made here, or too long ago."""
        self._forget(now_cluster_ms)
        found = self._plans.get(plan_id)
        if found is None:
            raise NotFound(
                f"{self._node} knows no plan {plan_id}",
                hint="plans are kept for an hour by the node that made them; make it again with --plan",
            )
        return found

    def _forget(self, now_cluster_ms: int) -> None:
        for plan_id in [
            each.id for each in self._plans.values() if now_cluster_ms - each.made_cluster_ms > PLAN_LIFE_MS
        ]:
            del self._plans[plan_id]
