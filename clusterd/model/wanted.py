"""What of a group should be online? Pure."""

from collections.abc import Iterable

from clusterd.model.dependencies import parse_dependency
from clusterd.model.ids import key_of
from clusterd.model.records import GroupRecord, ResourceRecord
from clusterd.model.states import Wanted


def online_wanted(group: GroupRecord, resources: Iterable[ResourceRecord]) -> set[str]:
    """Which resources (folded names) should be online: wanted so, in a group wanted so, with providers that are as well.

    A resource whose provider was taken offline on purpose is as it should be while it is offline.
    """
    wanted = {key_of(each.name): each for each in resources if each.wanted is Wanted.ONLINE}
    if group.wanted is Wanted.OFFLINE:
        return set()
    while True:
        stays = {key for key, each in wanted.items() if parse_dependency(each.depends_on).is_satisfied(wanted.keys())}
        if len(stays) == len(wanted):
            return stays
        wanted = {key: wanted[key] for key in stays}
