"""A cluster in which everything is well, to be changed at one place by each test."""

from dataclasses import replace
from typing import Any

import msgspec

from clusterd.validation import (
    Certificate,
    ClusterFacts,
    FenceFacts,
    Filesystem,
    Finding,
    Group,
    Hypervisor,
    Interface,
    MachineFacts,
    Node,
    NodeAnswer,
    PeerFacts,
    Situation,
    Verdict,
    judge,
)

WALL_MS = 1_767_225_600_000
DAY_MS = 86_400_000
NAMES = ("n1", "n2", "n3")


def machine(number: int, **changed: Any) -> MachineFacts:
    facts = MachineFacts(
        host_name=f"host{number}",
        operating_system="Debian 12",
        kernel="6.1",
        architecture="x86_64",
        boot_id=f"boot{number}",
        version="1.0",
        memory_mib=16_000,
        memory_available_mib=8_000,
        cores=8,
        processor_vendor="GenuineIntel",
        processor_flags=("lm", "nx", "svm"),
        control_groups="v2",
        open_files_max=20_000,
        processes_max=20_000,
        entropy_bits=256,
        is_clock_synchronized=True,
        watchdogs=("/dev/watchdog",),
        data=Filesystem("/data", "ext4", 100_000, 50_000, 300, 900),
        run=Filesystem("/run", "tmpfs", 1_000, 900),
        interfaces=(
            Interface("eth0", True, 1500, "", (f"10.0.0.{number}/24",)),
            Interface("eth1", True, 1500, "", (f"10.0.1.{number}/24",)),
        ),
        certificates=(Certificate("the node's certificate", WALL_MS + 365 * DAY_MS),),
        hypervisor=Hypervisor("7.2", "/usr/bin/qemu", True, True),
    )
    return msgspec.structs.replace(facts, **changed)


def answer(number: int, **changed: Any) -> NodeAnswer:
    others = [each for each in NAMES if each != f"n{number}"]
    facts = NodeAnswer(
        machine(number),
        containment="cgroup",
        peers=tuple(PeerFacts(each, 400, 1) for each in others),
        fences=tuple(FenceFacts(each, "ipmi", "running", "on") for each in others),
    )
    return msgspec.structs.replace(facts, **changed)


def well(**cluster: Any) -> Situation:
    facts = ClusterFacts(
        name="c",
        asked="n1",
        leader="n1",
        wall_ms=WALL_MS,
        nodes=tuple(Node(each) for each in NAMES),
        groups=(Group("web", owner="n1", possible_owners=NAMES, types=("generic_service",)),),
        fence_agents=dict.fromkeys(NAMES, ("ipmi",)),
        types=dict.fromkeys(("generic_service", "virtual_machine", "physical_disk"), NAMES),
        capacity="every group would find a node after the loss of any one node",
    )
    return Situation(replace(facts, **cluster), {f"n{number}": answer(number) for number in (1, 2, 3)})


def with_machine(situation: Situation, number: int, **changed: Any) -> Situation:
    """The same with one machine that is different."""
    told = situation.answers[f"n{number}"]
    return with_answer(situation, number, machine=msgspec.structs.replace(told.machine, **changed))


def with_answer(situation: Situation, number: int, **changed: Any) -> Situation:
    name = f"n{number}"
    answers = {**situation.answers, name: msgspec.structs.replace(situation.answers[name], **changed)}
    return replace(situation, answers=answers)


def findings(situation: Situation, test: str) -> list[Finding]:
    (result,) = [each for each in judge(situation, frozenset({test})) if each.verdict is not Verdict.SKIPPED]
    return list(result.findings)


def verdict(situation: Situation, test: str) -> Verdict:
    (result,) = [each for each in judge(situation, frozenset({test})) if each.test.name == test]
    return result.verdict
