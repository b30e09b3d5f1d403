"""Does each test say what it should of one thing that is wrong, and nothing of a cluster that is well?"""

from dataclasses import replace
from typing import Any

import pytest
from told_by_nodes import DAY_MS, NAMES, WALL_MS, findings, machine, verdict, well, with_answer, with_machine

from clusterd.validation import (
    Certificate,
    Disk,
    DiskSeen,
    DiskTrial,
    FenceFacts,
    Filesystem,
    Group,
    Hypervisor,
    Interface,
    MachineSetup,
    Node,
    PeerFacts,
    Situation,
    TrialOutcome,
    Verdict,
    judge,
)
from clusterd.validation.run import TESTS

PASS, WARNING, FAILURE = Verdict.PASS, Verdict.WARNING, Verdict.FAILURE
GUEST = Group("shop", possible_owners=NAMES, types=("virtual_machine",), memory_mib=1000)


def test_a_cluster_that_is_well_passes_everything() -> None:
    results = judge(well(groups=(GUEST,)), frozenset(each.name for each in TESTS))
    assert {each.test.name: each.verdict for each in results if each.verdict is not PASS} == {}


def test_every_test_has_a_name_of_its_own_and_says_what_it_is_for() -> None:
    names = [each.name for each in TESTS]
    assert len(set(names)) == len(names)
    assert all(each.title and each.says.endswith(".") for each in TESTS)


MACHINES: list[tuple[str, dict[str, Any], str, Verdict]] = [
    ("an older version", {"version": "0.9"}, "same-version", WARNING),
    ("another architecture", {"architecture": "aarch64"}, "same-architecture", FAILURE),
    ("another system", {"operating_system": "Ubuntu"}, "same-system", WARNING),
    ("another kernel", {"kernel": "6.2"}, "same-kernel", WARNING),
    ("few open files", {"open_files_max": 1024}, "limits", WARNING),
    ("little entropy", {"entropy_bits": 64}, "entropy", WARNING),
    ("little memory", {"memory_available_mib": 100}, "free-memory", WARNING),
    ("no watchdog", {"watchdogs": ()}, "watchdog", WARNING),
    ("the machine of another node", {"boot_id": "boot1"}, "separate-machines", WARNING),
    ("a clock that runs free", {"is_clock_synchronized": False}, "clock-kept", WARNING),
    ("a clock that says nothing", {"is_clock_synchronized": None}, "clock-kept", PASS),
    ("one adapter", {"interfaces": machine(3).interfaces[:1]}, "two-networks", WARNING),
    (
        "two families on one adapter are one network",
        {"interfaces": (Interface("eth0", True, 1500, "", ("10.0.0.3/24", "fd00::3/64")),)},
        "two-networks",
        WARNING,
    ),
    (
        "an address that another has",
        {"interfaces": (Interface("eth0", True, 1500, "", ("10.0.0.1/24",)),)},
        "duplicate-addresses",
        FAILURE,
    ),
    (
        "an address on an adapter that is down",
        {"interfaces": (Interface("eth0", False, 1500, "", ("10.0.0.1/24",)),)},
        "duplicate-addresses",
        PASS,
    ),
    ("another mtu", {"interfaces": (Interface("eth0", True, 9000, "", ("10.0.0.3/24",)),)}, "same-mtu", WARNING),
    ("a slow disk", {"data": Filesystem("/data", "ext4", 9_000, 8_000, 2_000, 300_000)}, "sync-latency", WARNING),
    (
        "a very slow disk",
        {"data": Filesystem("/data", "ext4", 9_000, 8_000, 600_000, 900_000)},
        "sync-latency",
        FAILURE,
    ),
    ("a disk that refuses", {"data": Filesystem("/data", trouble="read-only")}, "sync-latency", FAILURE),
    ("a filling disk", {"data": Filesystem("/data", "ext4", 9_000, 500, 1, 1)}, "free-space", WARNING),
    ("a full disk", {"data": Filesystem("/data", "ext4", 9_000, 50, 1, 1)}, "free-space", FAILURE),
    ("data in memory", {"data": Filesystem("/data", "tmpfs", 9_000, 8_000, 1, 1)}, "file-system", FAILURE),
    ("data on a share", {"data": Filesystem("/data", "nfs4", 9_000, 8_000, 1, 1)}, "file-system", WARNING),
    (
        "a certificate near its end",
        {"certificates": (Certificate("c", WALL_MS + 3 * DAY_MS),)},
        "certificates",
        WARNING,
    ),
    ("a certificate that ended", {"certificates": (Certificate("c", WALL_MS - DAY_MS),)}, "certificates", FAILURE),
    ("a certificate that is gone", {"certificates": (Certificate("c", trouble="gone"),)}, "certificates", FAILURE),
    ("no QEMU", {"hypervisor": Hypervisor()}, "hypervisor", FAILURE),
    ("no qemu-img", {"hypervisor": Hypervisor("7.2", "/q", False, True)}, "hypervisor", WARNING),
    ("no hardware virtualisation", {"processor_flags": ("lm", "nx")}, "processors", WARNING),
    ("no KVM", {"hypervisor": Hypervisor("7.2", "/q", True, False)}, "accelerator", WARNING),
    ("another QEMU", {"hypervisor": Hypervisor("8.0", "/q", True, True)}, "same-hypervisor", WARNING),
    ("another maker", {"processor_vendor": "AuthenticAMD"}, "same-vendor", FAILURE),
    ("a missing feature", {"processor_flags": ("lm", "nx")}, "same-features", WARNING),
    ("a machine too small", {"memory_mib": 500}, "machine-memory", FAILURE),
    (
        "a bridge of its own",
        {"interfaces": (Interface("br0", True, 1500, "", (), True),)},
        "same-bridges",
        WARNING,
    ),
]


@pytest.mark.parametrize(("says", "changed", "test", "expected"), MACHINES, ids=[row[0] for row in MACHINES])
def test_one_machine_is_different(says: str, changed: dict[str, Any], test: str, expected: Verdict) -> None:
    situation = with_machine(well(groups=(GUEST,)), 3, **changed)
    assert verdict(situation, test) is expected
    wrong = [each for each in findings(situation, test) if each.verdict is not PASS]
    assert all(each.advice for each in wrong), "whoever reads it must know what to do"


ANSWERS: list[tuple[str, dict[str, Any], str, Verdict]] = [
    ("workloads by their process tree", {"containment": "process-tree"}, "containment", WARNING),
    ("no guard", {"containment": ""}, "containment", FAILURE),
    ("a peer that does not answer", {"peers": (PeerFacts("n2", None, trouble="silent"),)}, "communication", FAILURE),
    ("a slow link", {"peers": (PeerFacts("n2", 300_000),)}, "communication", WARNING),
    ("a link beyond the silence limit", {"peers": (PeerFacts("n2", 2_100_000),)}, "communication", FAILURE),
    ("a clock that is off", {"peers": (PeerFacts("n2", 400, 900),)}, "clock-offsets", WARNING),
    ("a clock of another day", {"peers": (PeerFacts("n2", 400, -DAY_MS),)}, "clock-offsets", FAILURE),
    ("a slow link is no clock that is off", {"peers": (PeerFacts("n2", 1_200_000, 600),)}, "clock-offsets", PASS),
    ("a fence agent that cannot tell", {"fences": (FenceFacts("n2", "ipmi", "unknown"),)}, "fence-agents", WARNING),
    ("a fence agent of another machine", {"fences": (FenceFacts("n2", "ipmi", "ended"),)}, "fence-agents", FAILURE),
    ("a probe that broke", {"trouble": "its probe ended with 1"}, "node-answers", FAILURE),
]


@pytest.mark.parametrize(("says", "changed", "test", "expected"), ANSWERS, ids=[row[0] for row in ANSWERS])
def test_one_node_says_something_else(says: str, changed: dict[str, Any], test: str, expected: Verdict) -> None:
    assert verdict(with_answer(well(), 1, **changed), test) is expected


def _disk(usual: DiskSeen | None = None, **seen: DiskSeen) -> Disk:
    """All nodes find the same; those named find something else."""
    return Disk("d", "g", possible_owners=NAMES, seen=dict.fromkeys(NAMES, usual or DiskSeen(ids=("naa.1",))) | seen)


def _tried(outcome: TrialOutcome, *, by_storage: bool = True) -> tuple[Disk, ...]:
    trial = DiskTrial(outcome, "what was seen", (("n1 → n2", "taken over"),), is_refused_by_storage=by_storage)
    return (Disk("d", "g", "offline", trial=trial),)


CLUSTERS: list[tuple[str, dict[str, Any], str, Verdict]] = [
    ("two votes", {"nodes": (Node("n1"), Node("n2"))}, "quorum-votes", WARNING),
    ("one vote", {"nodes": (Node("n1"),)}, "quorum-votes", WARNING),
    ("no quorum", {"is_quorate": False}, "quorum-votes", FAILURE),
    ("times that do not fit", {"setting_problems": ("run_lease is too short",)}, "time-settings", FAILURE),
    ("a node that is down", {"nodes": (Node("n1"), Node("n2", "down"), Node("n3"))}, "nodes-up", WARNING),
    ("no fence agent", {"fence_agents": {}}, "fence-agents", WARNING),
    ("a failed group", {"groups": (Group("web", "failed", because="x"),)}, "groups-well", FAILURE),
    ("a group that waits", {"groups": (Group("web", "offline", because="x"),)}, "groups-well", WARNING),
    ("a group that rests", {"groups": (Group("web", "offline", "offline"),)}, "groups-well", PASS),
    ("one possible owner", {"groups": (Group("web", possible_owners=("n1",)),)}, "possible-owners", WARNING),
    ("no possible owner", {"groups": (Group("web"),)}, "possible-owners", FAILURE),
    ("a type that a node lacks", {"types": {"generic_service": ("n1", "n2")}}, "resource-types", FAILURE),
    (
        "two versions of a type",
        {"type_versions": {"x": ("version 2 on n1", "version 1 on n2")}},
        "resource-types",
        WARNING,
    ),
    ("a client", {"outside": (("web", "docker", "the work is dockerd's", "a script"),)}, "contained-commands", WARNING),
    ("no client", {}, "contained-commands", PASS),
    ("no room after a loss", {"is_capacity_enough": False, "stranded": ("web",)}, "capacity", WARNING),
    ("a disk that nobody holds", {"disks": (Disk("d", "g"),)}, "reservations", FAILURE),
    ("a disk that is offline", {"disks": (Disk("d", "g", "offline"),)}, "reservations", PASS),
    ("a disk that is held", {"disks": (Disk("d", "g", is_reserved=True),)}, "reservations", PASS),
    ("a disk that fences", {"disks": (Disk("d", "g", guarantee="storage"),)}, "disk-guarantees", PASS),
    ("a disk that trusts", {"disks": (Disk("d", "g", guarantee="cooperative"),)}, "disk-guarantees", WARNING),
    ("a disk that all see", {"disks": (_disk(),)}, "disks-reachable", PASS),
    (
        "a disk that one does not see",
        {
            "disks": (
                _disk(
                    n3=DiskSeen("no route"),
                ),
            )
        },
        "disks-reachable",
        FAILURE,
    ),
    (
        "a disk that nobody needs to see there",
        {"disks": (replace(_disk(n3=DiskSeen("no route")), possible_owners=("n1", "n2")),)},
        "disks-reachable",
        PASS,
    ),
    ("another disk on one node", {"disks": (_disk(n3=DiskSeen(ids=("naa.2",))),)}, "disks-reachable", FAILURE),
    ("an image of another size", {"disks": (_disk(n3=DiskSeen(size_bytes=1)),)}, "disks-reachable", FAILURE),
    (
        "an image that is another file on one node",
        {"disks": (_disk(DiskSeen(holder="c1-7"), n3=DiskSeen()),)},
        "disks-reachable",
        FAILURE,
    ),
    ("a slow disk of the cluster", {"disks": (_disk(n2=DiskSeen(read_us=1_500_000)),)}, "disk-latency", WARNING),
    ("a quick disk of the cluster", {"disks": (_disk(DiskSeen(read_us=300)),)}, "disk-latency", PASS),
    ("a disk that can be taken over", {"disks": _tried(TrialOutcome.PASSED)}, "disk-arbitration", PASS),
    ("a disk that is used", {"disks": _tried(TrialOutcome.IN_USE)}, "disk-arbitration", PASS),
    ("a disk that came into use meanwhile", {"disks": _tried(TrialOutcome.GAVE_UP)}, "disk-arbitration", PASS),
    ("a disk that somebody claims", {"disks": _tried(TrialOutcome.CLAIMED)}, "disk-arbitration", WARNING),
    ("a disk that could not be tried", {"disks": _tried(TrialOutcome.NOT_TRIED)}, "disk-arbitration", WARNING),
    ("a disk whose takeover breaks", {"disks": _tried(TrialOutcome.BROKEN)}, "disk-arbitration", FAILURE),
    ("a disk that lets late writes through", {"disks": _tried(TrialOutcome.UNFIT)}, "disk-arbitration", FAILURE),
    (
        "an image whose leases are seen late",
        {"disks": _tried(TrialOutcome.UNFIT, by_storage=False)},
        "disk-arbitration",
        FAILURE,
    ),
    ("a disk that nobody was to try", {"disks": (Disk("d", "g"),)}, "disk-arbitration", PASS),
    ("a definition that is well", {"machines": (MachineSetup("shop", "/s.toml"),)}, "definitions", PASS),
    (
        "a definition that a node lacks",
        {"machines": (MachineSetup("shop", "/s.toml", problems=("gone on n2",)),)},
        "definitions",
        FAILURE,
    ),
    ("a definition with a limit", {"machines": (MachineSetup("s", "/s", notes=("quick",)),)}, "definitions", WARNING),
    ("a machine of unknown size", {"groups": (Group("s", types=("virtual_machine",)),)}, "machine-memory", WARNING),
]


@pytest.mark.parametrize(("says", "changed", "test", "expected"), CLUSTERS, ids=[row[0] for row in CLUSTERS])
def test_the_cluster_is_different(says: str, changed: dict[str, Any], test: str, expected: Verdict) -> None:
    situation = well(**changed)
    assert verdict(situation, test) is expected
    wrong = [each for each in findings(situation, test) if each.verdict is not PASS]
    assert test != "disk-arbitration" or all(each.advice for each in wrong)


def test_what_is_wrong_with_a_disk_says_what_to_do() -> None:
    by_storage = findings(well(disks=_tried(TrialOutcome.UNFIT)), "disk-arbitration")
    assert [(each.about, each.verdict) for each in by_storage] == [("d: n1 → n2", PASS), ("d", FAILURE)]
    assert "does not keep SCSI-3 reservations" in by_storage[1].advice
    (_, by_lease) = findings(well(disks=_tried(TrialOutcome.UNFIT, by_storage=False)), "disk-arbitration")
    assert "mount the share without caches" in by_lease.advice
    (used,) = findings(well(disks=_tried(TrialOutcome.IN_USE)), "disk-arbitration")
    assert used.saw == "what was seen, so it was not tried; group verify does that for real"


def test_a_silent_node_is_a_finding_and_the_others_are_judged() -> None:
    whole = well()
    answers = {name: each for name, each in whole.answers.items() if name != "n2"}
    situation = Situation(whole.cluster, answers, {"n2": "n1 does not hear it"})
    assert verdict(situation, "node-answers") is FAILURE
    assert [each.about for each in findings(situation, "same-kernel")] == ["n1", "n3"]


def test_an_agent_that_saw_a_silent_node_end_is_right() -> None:
    asked = with_answer(well(), 1, fences=(FenceFacts("n2", "ipmi", "ended"),))
    answers = {"n1": asked.answers["n1"]}
    assert verdict(Situation(asked.cluster, answers, {"n2": "n1 does not hear it"}), "fence-agents") is PASS


def test_without_machines_a_node_needs_no_hypervisor() -> None:
    situation = with_machine(well(), 2, hypervisor=Hypervisor())
    assert verdict(situation, "hypervisor") is PASS


def test_only_nodes_that_machines_may_come_to_need_one() -> None:
    group = Group("shop", possible_owners=("n1", "n3"), types=("virtual_machine",), memory_mib=100)
    assert verdict(with_machine(well(groups=(group,)), 2, hypervisor=Hypervisor()), "hypervisor") is PASS
