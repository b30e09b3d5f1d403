"""Is storage all that a group can affect the outside by, as far as anybody but its operator can tell? Pure.

A group may declare it (`storage_is_sole_effect`). Then an owner whose writes every disk of the group refuses counts as
fenced, though it may still run. The declaration is believed only where the group's own definition agrees with it:

* at least one resource is a disk whose storage itself refuses an owner that is over;
* every disk is such a one (an image with a lease is not: only our own sessions keep to it);
* everything else depends on every one of the disks, so that a new owner claims them all before anything uses one. What has
  no effect of its own, as a definition that others read, need not.

Resource types say what they are by their abilities: `storage-fence`, or `storage-fence:NAME` if only with the property
NAME given, and `no-effect`.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from clusterd.model.dependencies import parse_dependency
from clusterd.model.ids import key_of
from clusterd.model.records import ResourceRecord

STORAGE_FENCE = "storage-fence"
NO_EFFECT = "no-effect"


@dataclass(frozen=True, slots=True)
class SoleEffect:
    """The disks of a group, and why its declaration cannot be believed; empty: it can."""

    disks: tuple[ResourceRecord, ...]
    obstacle: str = ""


def is_disk(abilities: Collection[str]) -> bool:
    """Whether resources of a type with these abilities are disks, be it of a kind that does not fence."""
    return any(each.partition(":")[0] == STORAGE_FENCE for each in abilities)


def refuses_old_owners(resource: ResourceRecord, abilities: Collection[str]) -> bool:
    """Whether the storage behind this disk refuses the writes of an owner that is over."""
    needed = [each.partition(":")[2] for each in abilities if each.partition(":")[0] == STORAGE_FENCE]
    return any(not name or resource.private.get(name) is not None for name in needed)


def sole_effect(
    resources: Sequence[ResourceRecord], abilities_of: Callable[[ResourceRecord], Collection[str]]
) -> SoleEffect:
    """What speaks against taking the group from an owner that still runs, once all its disks refuse that owner."""
    abilities = {key_of(each.name): abilities_of(each) for each in resources}
    disks = tuple(each for each in resources if is_disk(abilities[key_of(each.name)]))
    if not disks:
        return SoleEffect(disks, "it has no disk whose storage refuses the writes of an owner that is over")
    for each in disks:
        if not refuses_old_owners(each, abilities[key_of(each.name)]):
            return SoleEffect(
                disks, f"the storage behind {each.name} does not itself refuse the writes of an old owner"
            )
    needs = _needs(resources)
    names = {key_of(each.name) for each in disks}
    for each in resources:
        name = key_of(each.name)
        if name in names or NO_EFFECT in abilities[name]:
            continue
        if missing := [disk.name for disk in disks if key_of(disk.name) not in needs[name]]:
            return SoleEffect(disks, f"{each.name} does not depend on {', '.join(missing)}")
    return SoleEffect(disks)


def _needs(resources: Sequence[ResourceRecord]) -> dict[str, set[str]]:
    """By resource: everything that it cannot be online without, also through others. One of several is none of them."""
    direct = {
        key_of(each.name): {key_of(term[0]) for term in parse_dependency(each.depends_on).terms if len(term) == 1}
        for each in resources
    }
    needs: dict[str, set[str]] = {}
    for name in direct:
        found: set[str] = set()
        new = direct[name]
        while new:
            found |= new
            new = {more for each in new for more in direct.get(each, ())} - found
        needs[name] = found
    return needs
