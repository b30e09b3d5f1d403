"""What is known when the tests begin? Pure: one value, with the few views of it that many tests share."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from clusterd.validation.facts import DiskSeen, MachineFacts, NodeAnswer
from clusterd.validation.verdicts import Finding, passed


@dataclass(frozen=True, slots=True)
class Node:
    """A node as the cluster knows it."""

    name: str
    state: str = "up"
    has_vote: bool = True
    avoids_placement: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """A group with what of it concerns the tests."""

    name: str
    state: str = "online"
    wanted: str = "online"
    owner: str = ""
    possible_owners: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    """Resource types of its resources."""
    memory_mib: int = 0
    cores: int = 0
    because: str = ""
    parts: tuple[str, ...] = ()
    """Its resources in words, each with its type, its state and what it depends on."""

    @property
    def is_machine(self) -> bool:
        return "virtual_machine" in self.types


class TrialOutcome(StrEnum):
    """What became of a trial of arbitration."""

    PASSED = "passed"
    IN_USE = "in-use"
    CLAIMED = "claimed"
    GAVE_UP = "gave-up"
    UNFIT = "unfit"
    BROKEN = "broken"
    NOT_TRIED = "not-tried"


@dataclass(frozen=True, slots=True)
class DiskTrial:
    """Whether one disk can be taken over, tried with claims that every owner outranks. `says` is why it went no further;
    `steps` are pairs (`n1 → n2`) with what was done."""

    outcome: TrialOutcome
    says: str = ""
    steps: tuple[tuple[str, str], ...] = ()
    is_refused_by_storage: bool = True
    """Whether it is the storage that refuses late writes; else only sessions keep to their leases."""


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk resource and what its owner says of its reservation; `trouble` where nothing is known."""

    resource: str
    group: str
    state: str = "online"
    guarantee: str = ""
    is_reserved: bool = False
    holder: str = ""
    trouble: str = ""
    possible_owners: tuple[str, ...] = ()
    seen: Mapping[str, DiskSeen] = field(default_factory=dict)
    """By node; a node that is not there was not asked or said nothing at all."""
    trial: DiskTrial | None = None


@dataclass(frozen=True, slots=True)
class MachineSetup:
    """A definition that a resource protects, judged again on its possible owners."""

    resource: str
    definition: str
    owners: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """The cluster as its database and the answering node know it."""

    name: str = ""
    asked: str = ""
    """The node that answers."""
    is_quorate: bool = True
    leader: str = ""
    wall_ms: int = 0
    delay_ms: int = 250
    silence_max_ms: int = 2000
    run_lease_ms: int = 2000
    stop_budget_ms: int = 500
    setting_problems: tuple[str, ...] = ()
    setting_notes: tuple[str, ...] = ()
    nodes: tuple[Node, ...] = ()
    groups: tuple[Group, ...] = ()
    disks: tuple[Disk, ...] = ()
    machines: tuple[MachineSetup, ...] = ()
    fence_agents: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Agents that serve a node, by node."""
    types: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Nodes that have a resource type, by type."""
    type_versions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Different versions of a type and who has them, in words, by type."""
    outside: tuple[tuple[str, str, str, str], ...] = ()
    """Resources whose command does not keep its work where the cluster put it: resource, program, why, what instead."""
    capacity: str = ""
    is_capacity_enough: bool = True
    stranded: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Situation:
    """The cluster, and each node's answer or why there is none."""

    cluster: ClusterFacts
    answers: Mapping[str, NodeAnswer] = field(default_factory=dict)
    silent: Mapping[str, str] = field(default_factory=dict)

    def machines(self) -> Iterator[tuple[str, MachineFacts]]:
        """Nodes whose machine is known, in join order."""
        for node in self.cluster.nodes:
            answer = self.answers.get(node.name)
            if answer is not None and not answer.trouble:
                yield node.name, answer.machine

    @property
    def has_machine_groups(self) -> bool:
        return any(each.is_machine for each in self.cluster.groups)


def differing(
    situation: Situation, what: str, value: Callable[[MachineFacts], str], tell: Callable[[str, str], Finding]
) -> list[Finding]:
    """One finding for each node: a pass with what most have, and what `tell` (node, sentence) makes of the others."""
    values = {node: value(machine) for node, machine in situation.machines()}
    if not values:
        return []
    usual, _ = Counter(values.values()).most_common(1)[0]
    return [
        passed(node, found or f"{what} is not known")
        if found == usual
        else tell(node, f"{found or 'nothing'}, where most nodes have {usual or 'nothing'}")
        for node, found in values.items()
    ]
