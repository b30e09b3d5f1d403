"""What does each node offer to groups, whichever they are? Pure.

A room is a node as placement sees it: where it stands, how much it can carry, and why it takes nobody at all, if so.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from clusterd.database import DatabaseView
from clusterd.leader.sight import Sight
from clusterd.model.counts import times
from clusterd.model.ids import NodeId, key_of
from clusterd.model.records import Maintenance, MembershipRecord, NodeFactsRecord, NodeRecord, PauseRequest
from clusterd.model.settings import NodeSettings, node_settings
from clusterd.model.states import MembershipState

Domain = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Room:
    """One node. `refusal` says why it takes no group at all; empty: it does."""

    name: NodeId
    key: str
    index: int
    """Its place in join order."""
    settings: NodeSettings
    refusal: str
    runs_nothing: bool = False
    """It is agreed that nothing runs there, whatever was assigned to it."""
    is_left: bool = False
    """Everything leaves it: it is being stopped or emptied."""

    @property
    def domain(self) -> Domain:
        """Where it stands. A node that does not say is a domain of its own."""
        return self.settings.fault_domain or (("node", self.name),)


class Rooms:
    """Reads the nodes anew each time, and their settings only when they changed."""

    def __init__(self) -> None:
        self._settings: dict[str, tuple[NodeRecord, NodeFactsRecord | None, int, NodeSettings]] = {}

    def read(self, view: DatabaseView, sight: Sight) -> dict[str, Room]:
        """Every node by its key, in join order."""
        rooms = {}
        for index, record in enumerate(view.nodes()):
            key = key_of(record.name)
            member = view.membership(record.name)
            is_gone = member is None or member.state in (MembershipState.DOWN, MembershipState.JOINING)
            settings, refusal = self._settings_of(key, record, view, sight), _refusal(record, member, sight)
            is_left = _is_left(record, sight)
            rooms[key] = Room(record.name, key, index, settings, refusal, runs_nothing=is_gone, is_left=is_left)
        for key in [each for each in self._settings if each not in rooms]:
            del self._settings[key]
        return rooms

    def _settings_of(self, key: str, record: NodeRecord, view: DatabaseView, sight: Sight) -> NodeSettings:
        facts, overcommit = view.facts(record.name), sight.settings.core_overcommit
        known = self._settings.get(key)
        if known is not None and known[0] is record and known[1] is facts and known[2] == overcommit:
            return known[3]
        settings = node_settings(record, facts, core_overcommit=overcommit)
        self._settings[key] = (record, facts, overcommit, settings)
        return settings


def domain_text(domain: Domain) -> str:
    return "/".join(f"{kind}:{name}" for kind, name in domain)


def _refusal(record: NodeRecord, member: MembershipRecord | None, sight: Sight) -> str:
    if member is None or member.state is not MembershipState.UP:
        return f"it is {member.state if member else 'not joined yet'}"
    heartbeat = sight.detector.last(record.name)
    if heartbeat is not None and heartbeat.is_leaving:
        return "it is being stopped"
    if heartbeat is not None and heartbeat.incarnation != member.incarnation:
        return "its guard ended and the new run is not admitted yet"
    if record.name in sight.mute_since:
        return "it is heard, but no stream carries anything to it: it cannot be commanded"
    if record.pause is not None:
        return _paused(record.pause)
    if member.quarantined_until_cluster_ms > sight.cluster_ms:
        return f"it is quarantined: it was lost {times(len(member.exits))} without a clean stop"
    if record.maintenance is not None:
        return _in_maintenance(record.maintenance)
    return ""


def _is_left(record: NodeRecord, sight: Sight) -> bool:
    heartbeat = sight.detector.last(record.name)
    is_drained = record.pause is not None and record.pause.is_drain
    return is_drained or (heartbeat is not None and heartbeat.is_leaving)


def _paused(pause: PauseRequest) -> str:
    what = "being drained" if pause.is_drain else "paused"
    return f"it is {what}, by {pause.asked_by or 'an operator'}{_since(pause.asked_wall_ms)}"


def _in_maintenance(maintenance: Maintenance) -> str:
    why = f": {maintenance.reason}" if maintenance.reason else ""
    by = maintenance.asked_by or "an operator"
    return f"it is in maintenance, asked for by {by}{_since(maintenance.asked_wall_ms)}{why}"


def _since(wall_ms: int) -> str:
    return f" since {datetime.fromtimestamp(wall_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC" if wall_ms > 0 else ""
