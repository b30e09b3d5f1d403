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
    dependents: dict[str, list[str]] = {}
    for key, each in wanted.items():
        for provider in parse_dependency(each.depends_on).providers:
            dependents.setdefault(key_of(provider), []).append(key)
    to_look_at = list(wanted)
    while to_look_at:
        key = to_look_at.pop()
        if key in wanted and not parse_dependency(wanted[key].depends_on).is_satisfied(wanted.keys()):
            del wanted[key]
            to_look_at += dependents.get(key, ())
    return set(wanted)
