"""Where is one group, and what does it ask of a node? Pure.

A group weighs on a node while something of it runs there or is to: on its owner, and on its target while it moves. One
that is kept offline belongs to its owner still, and weighs nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from clusterd.model.ids import GroupId, key_of
from clusterd.model.records import AssignmentRecord, GroupRecord, ReportRecord, ResourceRecord
from clusterd.model.settings import GroupSettings, group_settings
from clusterd.model.states import GroupStatus, Order, ResourceState, Wanted

_RESTS_FOR = frozenset(
    {
        GroupStatus.PREEMPTED.value,
        GroupStatus.PHYSICAL_RESOURCES_LACKING.value,
        GroupStatus.ANTI_AFFINITY_CONFLICT.value,
        GroupStatus.NO_AUTO_START.value,
        GroupStatus.NO_NODE.value,
    }
)
_PLAIN = group_settings(GroupRecord(GroupId("")), 1)


@dataclass(frozen=True, slots=True)
class Needs:
    """What a group asks of a node that is to run it."""

    memory_mib: int = 0
    cores: int = 0
    types: tuple[str, ...] = ()
    owners: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Resources that may run on some nodes only, and those nodes."""
    classes: tuple[str, ...] = ()
    preferred: tuple[str, ...] = ()
    """Keys of its preferred owners."""
    site: str = ""
    priority: int = 2000
    is_wanted: bool = True
    """Whether anything of it is to be online."""


@dataclass(frozen=True, slots=True)
class Seat:
    """Where one group is: the keys of the node that owns it, of the one that counts it, and of those on which it weighs."""

    name: str
    needs: Needs
    owner: str = ""
    home: str = ""
    places: tuple[str, ...] = ()
    starts: tuple[str, ...] = ()
    """Where it is coming online."""
    is_live: bool = False
    """It goes from its owner to its home while it runs."""
    is_over: bool = False
    """The run of its owner that had it has ended: nothing of it runs. It still counts there, for it may well go back."""

    @property
    def reserved(self) -> str:
        """Where it is bound for, and nothing of it runs yet; empty: nowhere."""
        return self.home if self.home != self.owner else ""

    def together_with(self, after: "Seat") -> "Seat":
        """Both: as it is, and as it will be if what is proposed commits."""
        places = tuple(dict.fromkeys((*self.places, *after.places)))
        starts = tuple(dict.fromkeys((*self.starts, *after.starts)))
        is_live = self.is_live or after.is_live
        return Seat(self.name, self.needs, self.owner, after.home or self.home, places, starts, is_live)


def needs_of(group: GroupRecord, resources: Iterable[ResourceRecord]) -> Needs:
    settings = settings_of(group)
    memory_mib = cores = 0
    types, owners, wanted = set(), [], set()
    for resource in resources:
        types.add(resource.type)
        wanted.add(resource.wanted)
        if resource.possible_owners:
            owners.append((str(resource.name), tuple(str(each) for each in resource.possible_owners)))
        memory_mib += _demand(resource, "memory_demand")
        cores += _demand(resource, "core_demand")
    return Needs(
        memory_mib,
        cores,
        tuple(sorted(types)),
        tuple(owners),
        tuple(sorted(set(settings.anti_affinity_class_names))),
        tuple(dict.fromkeys(key_of(each) for each in group.preferred_owners)),
        settings.preferred_site,
        settings.priority,
        group.wanted is Wanted.ONLINE and (not wanted or Wanted.ONLINE in wanted),
    )


def _demand(resource: ResourceRecord, name: str) -> int:
    """The same as `resource_settings` has; all of it would be worked out for this one number, for every resource."""
    value = resource.properties.get(name, 0)
    return value if type(value) is int else 0


def settings_of(group: GroupRecord) -> GroupSettings:
    """The group's settings, as far as they do not depend on how many nodes there are."""
    return group_settings(group, 1) if group.properties else _PLAIN


def seat_of(
    name: str,
    needs: Needs,
    assignment: AssignmentRecord | None,
    report: ReportRecord | None,
    size: int,
    *,
    is_over: bool = False,
) -> Seat:
    """Where the group is, that has `size` resources. `is_over`: its owner's run has ended."""
    if assignment is None or not assignment.owner:
        return Seat(name, needs)
    owner = key_of(assignment.owner)
    target = key_of(assignment.target)
    if report is not None and report.generation != assignment.generation:
        report = None
    is_moving = assignment.order in (Order.RELEASE, Order.MIGRATE) and bool(target) and target != owner
    weighs = () if _rests(needs, assignment) or _has_stopped(assignment, report) else (owner,)
    is_starting = size > 0 and needs.is_wanted and _is_starting(assignment, report)
    return Seat(
        name,
        needs,
        owner=owner,
        home=target if is_moving else owner,
        places=(*weighs, target) if is_moving else weighs,
        starts=(owner,) if is_starting else (),
        is_live=is_moving and assignment.order is Order.MIGRATE,
        is_over=is_over,
    )


def _rests(needs: Needs, assignment: AssignmentRecord) -> bool:
    if assignment.order is not Order.HOLD:
        return False
    return not needs.is_wanted or not _RESTS_FOR.isdisjoint(assignment.status)


def _has_stopped(assignment: AssignmentRecord, report: ReportRecord | None) -> bool:
    """Ordered away, and nothing of it runs there any more: it never will under this generation."""
    if assignment.order not in (Order.RELEASE, Order.MIGRATE) or report is None:
        return False
    return all(each.state is ResourceState.OFFLINE and not each.may_run for each in report.resources)


def _is_starting(assignment: AssignmentRecord, report: ReportRecord | None) -> bool:
    """One that failed before it was ever online is not coming online: it must not keep others from starting."""
    if assignment.order is not Order.RUN:
        return False
    if report is None:
        return True
    states = {each.state for each in report.resources}
    if report.is_hands_off:
        return False
    return ResourceState.ONLINE_PENDING in states or (not report.was_online and ResourceState.FAILED not in states)
