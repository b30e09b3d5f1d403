"""May a group start now, or what does it wait for? Pure. Every start passes here; the first gate that is shut says why.

was it to start by itself at all? → are the sets that it depends on ready? → have those that belong with it left where they
were? → is its start delay over? → has its node a free place among those that start now?
"""

from dataclasses import dataclass

from clusterd.database import DatabaseView
from clusterd.leader.crowd import Crowd
from clusterd.leader.group_sets import GroupSets
from clusterd.leader.placement import PlacementCause
from clusterd.leader.sight import Sight
from clusterd.leader.standing import Standing
from clusterd.model.ids import NodeId
from clusterd.model.states import GroupStatus

BY_ITSELF = frozenset({PlacementCause.NODE_LOST, PlacementCause.COLD_START, PlacementCause.FIRST})
_DELAYED = frozenset({PlacementCause.NODE_LOST, PlacementCause.COLD_START, PlacementCause.RESOURCE_FAILED})


@dataclass(frozen=True, slots=True)
class Wait:
    """Why a group does not start yet. `until_cluster_ms` is when to look again (0: when something changes)."""

    status: GroupStatus
    text: str
    until_cluster_ms: int = 0


class Gates:
    """The gates of one pass. The crowd counts what was let through, so that one pass starts no more than a node bears."""

    def __init__(self, view: DatabaseView, sight: Sight, crowd: Crowd, sets: GroupSets) -> None:
        self._view = view
        self._sight = sight
        self._crowd = crowd
        self._sets = sets
        self._turned_away: set[NodeId] = set()

    def wait(self, standing: Standing, owner: NodeId, cause: PlacementCause | None) -> Wait | None:
        """What `standing` waits for on `owner`. `cause` is why it was just placed; None: it waits there already."""
        return (
            self.start_disabled(standing, cause)
            or self._for_sets(standing, cause)
            or self._for_those_that_belong_with_it(standing, owner)
            or self._for_delay(standing, cause)
            or self._for_place(standing, owner)
        )

    def since_cluster_ms(self, standing: Standing, cause: PlacementCause | None) -> int:
        """Since when it waits for its start. Waiting for others and for its turn are one wait, on one node."""
        assignment = standing.assignment
        if cause is None and assignment is not None and standing.waits_to_start:
            return assignment.waits_since_cluster_ms
        return max(1, self._sight.cluster_ms)

    def start_disabled(self, standing: Standing, cause: PlacementCause | None) -> Wait | None:
        """Whether it is not to start before somebody says so."""
        assignment, group = standing.assignment, standing.group
        if group.start_id != (assignment.start_id if assignment is not None else ""):
            return None
        hint = f"start it with: clusterctl group online {group.name}"
        if standing.has_status(GroupStatus.NO_AUTO_START) and assignment is not None and cause is not None:
            return Wait(GroupStatus.NO_AUTO_START, f"it still is not to start by itself; {hint}")
        if standing.has_status(GroupStatus.NO_AUTO_START) and assignment is not None:
            return Wait(GroupStatus.NO_AUTO_START, assignment.because.text)
        if standing.settings.priority == 0 and cause in BY_ITSELF:
            return Wait(GroupStatus.NO_AUTO_START, f"its priority is no-auto-start; {hint}")
        if cause is not PlacementCause.COLD_START:
            return None
        if self._sight.settings.ignore_persistent_state_on_startup:
            return Wait(
                GroupStatus.NO_AUTO_START,
                f"ignore_persistent_state_on_startup is set, and this is a cold start; {hint}",
            )
        if standing.settings.cold_start_setting != "always-start":
            setting = standing.settings.cold_start_setting
            return Wait(
                GroupStatus.NO_AUTO_START, f"its cold_start_setting is {setting}, and this is a cold start; {hint}"
            )
        return None

    def _for_sets(self, standing: Standing, cause: PlacementCause | None) -> Wait | None:
        unready = self._sets.unready_providers(standing.group.name)
        if not unready:
            return None
        timeout_ms = self._sight.settings.group_dependency_timeout_ms
        since = self.since_cluster_ms(standing, cause)
        if self._sight.cluster_ms >= since + timeout_ms:
            return None
        until = min([since + timeout_ms, *(each.ready_at_cluster_ms for each in unready if each.ready_at_cluster_ms)])
        text = "; ".join(each.text for each in unready)
        return Wait(GroupStatus.WAITING_FOR_DEPENDENCIES, text, until)

    def _for_those_that_belong_with_it(self, standing: Standing, owner: NodeId) -> Wait | None:
        awaited = self._crowd.awaited(standing.group, owner)
        return Wait(GroupStatus.WAITING_TO_START, awaited) if awaited else None

    def _for_delay(self, standing: Standing, cause: PlacementCause | None) -> Wait | None:
        delay_ms = standing.settings.group_start_delay_ms
        if not delay_ms:
            return None
        if cause is None and not standing.has_status(GroupStatus.WAITING_TO_START):
            return None
        if cause is not None and cause not in _DELAYED:
            return None
        until = self.since_cluster_ms(standing, cause) + delay_ms
        if self._sight.cluster_ms >= until:
            return None
        return Wait(GroupStatus.WAITING_TO_START, f"its group_start_delay is {delay_ms} ms", until)

    def _for_place(self, standing: Standing, owner: NodeId) -> Wait | None:
        most = self._sight.settings.maximum_parallel_starts
        starting = self._crowd.starting(owner)
        if starting < most and owner not in self._turned_away:
            return None
        self._turned_away.add(owner)  # those that come after are less important
        text = f"{starting} groups are coming online on {owner} (maximum_parallel_starts {most})"
        return Wait(GroupStatus.WAITING_TO_START, text)
