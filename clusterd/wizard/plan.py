"""Which group, resources and dependencies does a machine get? Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from clusterd.wizard.eligibility import Eligibility
from clusterd.wizard.surroundings import ClusterDisk, Surroundings

Value: TypeAlias = "bool | int | float | str | list[Value] | dict[str, Value] | None"
CONFIGURATION_TYPE = "virtual_machine_configuration"
MACHINE_TYPE = "virtual_machine"
DISK_TYPE = "physical_disk"
UNNAMED = "virtual-machine"
"""An unnamed one becomes virtual-machine-1, -2 …: the reference's "Virtual Machine (n)", written as our names may be."""


@dataclass(frozen=True, slots=True)
class PlannedResource:
    """A resource to create."""

    name: str
    type: str
    private: Mapping[str, Value]
    properties: Mapping[str, Value] = field(default_factory=dict)
    depends_on: str = ""
    possible_owners: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MachinePlan:
    """What protects one machine. `joins`: the group is there already."""

    group: str
    joins: bool
    machine: str
    resources: tuple[PlannedResource, ...]
    warnings: tuple[str, ...] = ()


def machine_plan(
    judged: Eligibility,
    around: Surroundings,
    *,
    name: str = "",
    new_disks: Mapping[str, Mapping[str, Value]] | None = None,
    machine_properties: Mapping[str, Value] | None = None,
) -> MachinePlan:
    """For a machine that is eligible. `new_disks` has the private properties of disks to create, by name."""
    name = name or unnamed(around)
    owners = judged.owners if len(judged.owners) < len(around.hosts) else ()
    disks = [PlannedResource(each, DISK_TYPE, dict(given), {}, "", owners) for each, given in (new_disks or {}).items()]
    needed = [disk.resource for disk in judged.disks]
    needed += [each.name for each in disks if each.name not in needed]
    configuration = PlannedResource(
        f"{name}-configuration",
        CONFIGURATION_TYPE,
        {"definition": judged.path},
        {},
        _all_of(needed),
        owners,
    )
    machine = PlannedResource(
        name,
        MACHINE_TYPE,
        {"configuration": judged.path, **(machine_properties or {})},
        {"memory_demand": judged.memory_mib, "core_demand": judged.cores},
        _all_of([configuration.name, *needed]),
        owners,
    )
    warnings = list(judged.warnings)
    is_without_way = judged.is_spread and not (machine_properties or {}).get("migration_network")
    if is_without_way and not any(disk.mount_point for disk in judged.disks):
        warnings.append(
            "it moves with an interruption (quick), not live: its memory has no way to another machine; "
            "--set migration_network=10.0.0.0/24 names one"
        )
    if judged.group and judged.group.casefold() != name.casefold():
        warnings.append(_joins(judged.group, judged.disks))
    return MachinePlan(
        judged.group or name, bool(judged.group), name, (*disks, configuration, machine), tuple(warnings)
    )


def unnamed(around: Surroundings) -> str:
    """The first number that is free for the group and its resources."""
    taken = around.group_keys | around.resource_keys
    number = 1
    while any(f"{UNNAMED}-{number}{tail}" in taken for tail in ("", "-configuration")):
        number += 1
    return f"{UNNAMED}-{number}"


def _joins(group: str, disks: Sequence[ClusterDisk]) -> str:
    names = ", ".join(disk.resource for disk in disks if disk.group)
    return f"it joins group {group}, where its disks are ({names}): everything in that group moves together"


def _all_of(names: Sequence[str]) -> str:
    return " and ".join(f"[{each}]" for each in names)
