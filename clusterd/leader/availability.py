"""Is a group online, or ought it to be? Pure. What its availability is measured by."""

from clusterd.database import DatabaseView
from clusterd.leader.standing import Standing
from clusterd.model import keys
from clusterd.model.availability import AvailabilityRecord, AvailabilityState, ColdStart, Moment, over_cold_start
from clusterd.model.records import GroupRecord
from clusterd.model.states import MembershipState


def availability_state(view: DatabaseView, standing: Standing) -> AvailabilityState:
    """As far as the cluster knows: the group of an owner that is not heard, or was not admitted since the cluster came up,
    counts as not online."""
    member, assignment = standing.member, standing.assignment
    if not standing.is_wanted or standing.pinned_by is not None or (standing.start_words and not standing.is_running):
        return AvailabilityState.NOT_WANTED
    if member is None or assignment is None or member.state is not MembershipState.UP:
        return AvailabilityState.OUTAGE
    is_admitted = view.revision_of(keys.membership(member.node)) >= view.revision_of(keys.FORMATION)
    is_here = is_admitted and not standing.is_lost and not standing.is_released
    return AvailabilityState.ONLINE if is_here and standing.is_online else AvailabilityState.OUTAGE


def is_owner_away(standing: Standing) -> bool:
    """Whether it is not online because its owner is not there."""
    return standing.member is None or standing.member.state is not MembershipState.UP or standing.is_lost


def last_cold_start(view: DatabaseView) -> ColdStart:
    formation = view.formation()
    return ColdStart(formation.number, Moment(formation.began_cluster_ms, formation.began_wall_ms))


def measured(view: DatabaseView, group: GroupRecord) -> AvailabilityRecord | None:
    """What was measured of this group, the last cold start included; None: nothing yet."""
    record = view.availability(group.name)
    if record is None or record.group_id != group.id:
        return None
    return over_cold_start(record, last_cold_start(view))
