"""Can every node run the cluster's guests? Pure. Where no group has a machine, what is missing is only told."""

from collections.abc import Iterator

from clusterd.validation.facts import MachineFacts
from clusterd.validation.situation import Situation
from clusterd.validation.verdicts import Category, Finding, Test, Verdict, failed, passed, warned

FLAGS_SHOWN_MAX = 12
_NEEDED_FLAGS = (
    ("64 bit", frozenset({"lm"})),
    ("hardware virtualisation (vmx or svm)", frozenset({"vmx", "svm"})),
    ("no-execute (nx)", frozenset({"nx"})),
)


def _hosts(situation: Situation) -> Iterator[tuple[str, MachineFacts]]:
    """Nodes that a machine may run on; all of them while there is none."""
    wanted = {owner for group in situation.cluster.groups if group.is_machine for owner in group.possible_owners}
    for node, machine in situation.machines():
        if node in wanted or not situation.has_machine_groups:
            yield node, machine


def _hypervisor(situation: Situation) -> list[Finding]:
    found = []
    for node, machine in _hosts(situation):
        has = machine.hypervisor
        if has.version and has.has_image_tool:
            found.append(passed(node, f"QEMU {has.version} ({has.path})"))
        elif has.version:
            found.append(warned(node, f"QEMU {has.version}, but no qemu-img", "install qemu-utils"))
        elif situation.has_machine_groups:
            advice = "install qemu-system-x86, or take the node out of the possible owners of every machine"
            found.append(failed(node, "there is no QEMU, and machines may come here", advice))
        else:
            found.append(passed(node, "there is no QEMU, and no group has a machine"))
    return found


def _accelerator(situation: Situation) -> list[Finding]:
    found = []
    for node, machine in _hosts(situation):
        if not machine.hypervisor.version:
            continue
        if machine.hypervisor.has_kvm_device:
            saw = "there is /dev/kvm; accelerator kvm proves at the start of each guest that it really runs guests"
            found.append(passed(node, saw))
        elif situation.has_machine_groups:
            advice = "guests are emulated (tcg), which is many times slower: enable virtualisation in the firmware"
            found.append(warned(node, "there is no /dev/kvm", advice))
        else:
            found.append(passed(node, "there is no /dev/kvm: guests would be emulated (tcg)"))
    return found


def _same_hypervisor(situation: Situation) -> list[Finding]:
    """Live migration and saved states go from older to newer at best."""
    versions = {node: machine.hypervisor.version for node, machine in _hosts(situation) if machine.hypervisor.version}
    return _equal(
        versions, "QEMU", "a guest that moves live or is resumed needs the same QEMU: bring all nodes to one version"
    )


def _same_vendor(situation: Situation) -> list[Finding]:
    vendors = {node: machine.processor_vendor for node, machine in _hosts(situation) if machine.processor_vendor}
    if len(set(vendors.values())) <= 1 or not situation.has_machine_groups:
        return [passed("", ", ".join(sorted(set(vendors.values()))) or "not known")]
    told = ", ".join(f"{node}: {vendor}" for node, vendor in vendors.items())
    return [
        failed("", told, "guests cannot move live between makers of processors: keep such nodes in two sets of owners")
    ]


def _same_flags(situation: Situation) -> list[Finding]:
    """Per pair: what a guest may have learned to use on one node and would miss on the other."""
    hosts = [(node, set(machine.processor_flags)) for node, machine in _hosts(situation) if machine.processor_flags]
    found = []
    for index, (node, flags) in enumerate(hosts):
        for other, others in hosts[index + 1 :]:
            lacks = [
                f"{name} lacks {_shown(gap)}" for name, gap in ((other, flags - others), (node, others - flags)) if gap
            ]
            pair = f"{node} ↔ {other}"
            if lacks and situation.has_machine_groups:
                advice = "set processor_model in the definitions to a model that every node has"
                found.append(warned(pair, "; ".join(lacks), advice))
            else:
                found.append(passed(pair, "; ".join(lacks) or f"the same {len(flags)} features"))
    return found


def _memory(situation: Situation) -> list[Finding]:
    """Each machine must fit on each of its possible owners when that is empty."""
    machines = dict(situation.machines())
    found = []
    for group in situation.cluster.groups:
        if not group.is_machine:
            continue
        if not group.memory_mib:
            advice = "set memory_demand of the machine's resource, or it is placed where it does not fit"
            found.append(warned(group.name, "the cluster does not know how much memory it takes", advice))
            continue
        small = [
            node for node in group.possible_owners if node in machines and machines[node].memory_mib < group.memory_mib
        ]
        if small:
            saw = f"it takes {group.memory_mib} MiB, more than {', '.join(small)} has"
            found.append(failed(group.name, saw, "take these nodes out of its possible owners"))
        else:
            found.append(passed(group.name, f"it takes {group.memory_mib} MiB, which every possible owner has"))
    return found


def _definitions(situation: Situation) -> list[Finding]:
    """What the wizard asks before it protects a machine: definitions are edited, and files moved, afterwards too."""
    found = []
    for each in situation.cluster.machines:
        if each.problems:
            advice = f"the machine would not start everywhere: mend it in {each.definition}, or where its files lie"
            found.append(failed(each.resource, "; ".join(each.problems), advice))
        elif each.notes:
            advice = f"it works, with that limit; clusterctl explain resource {each.resource}"
            found.append(warned(each.resource, "; ".join(each.notes), advice))
        else:
            saw = f"{each.definition} and all its files can be used on {', '.join(each.owners)}"
            found.append(passed(each.resource, saw))
    return found


def _virtualization(situation: Situation) -> list[Finding]:
    """What a machine needs to run guests by its processor, as far as the processor says."""
    found = []
    for node, machine in _hosts(situation):
        flags = set(machine.processor_flags)
        if not flags or machine.architecture != "x86_64":
            continue
        lacks = [says for says, names in _NEEDED_FLAGS if not flags & names]
        if lacks:
            advice = "switch it on in the firmware; without it guests are emulated, or refuse to start"
            found.append(
                (warned if situation.has_machine_groups else _noted)(node, f"it lacks {', '.join(lacks)}", advice)
            )
        else:
            found.append(passed(node, "64 bit, hardware virtualisation, no-execute"))
    return found


def _noted(about: str, saw: str, _: str) -> Finding:
    return passed(about, f"{saw}; no group has a machine")


def _bridges(situation: Situation) -> list[Finding]:
    names: dict[str, list[str]] = {}
    hosts = [node for node, _ in _hosts(situation)]
    for node, machine in _hosts(situation):
        for each in machine.interfaces:
            if each.is_bridge:
                names.setdefault(each.name, []).append(node)
    found = []
    for name, nodes in sorted(names.items()):
        missing = [each for each in hosts if each not in nodes]
        if missing:
            saw = f"not on {', '.join(missing)}"
            found.append(warned(name, saw, "a guest on this bridge cannot go there: make the bridge on every node"))
        else:
            found.append(passed(name, "on every node"))
    return found


def _equal(values: dict[str, str], what: str, advice: str) -> list[Finding]:
    if len(set(values.values())) <= 1:
        return [passed("", f"{what} {next(iter(values.values()))} on {', '.join(values)}")] if values else []
    told = ", ".join(f"{node}: {value}" for node, value in values.items())
    return [Finding(Verdict.WARNING, "", told, advice)]


def _shown(flags: set[str]) -> str:
    names = sorted(flags)
    more = f" and {len(names) - FLAGS_SHOWN_MAX} more" if len(names) > FLAGS_SHOWN_MAX else ""
    return " ".join(names[:FLAGS_SHOWN_MAX]) + more


TESTS = (
    Test("hypervisor", Category.MACHINES, "Hypervisor", "QEMU is where machines may run.", _hypervisor),
    Test("accelerator", Category.MACHINES, "Accelerator", "Whether the processor itself runs guests.", _accelerator),
    Test(
        "processors",
        Category.MACHINES,
        "Processors for guests",
        "64 bit, hardware virtualisation and no-execute.",
        _virtualization,
    ),
    Test(
        "definitions",
        Category.MACHINES,
        "Definitions and their files",
        "Each possible owner reads the definition and looks for everything that it names.",
        _definitions,
    ),
    Test(
        "same-hypervisor",
        Category.MACHINES,
        "One version of QEMU",
        "For live moves and saved states.",
        _same_hypervisor,
    ),
    Test(
        "same-vendor", Category.MACHINES, "One maker of processors", "Guests move live within one only.", _same_vendor
    ),
    Test(
        "same-features", Category.MACHINES, "Processor features", "What a guest would miss after a move.", _same_flags
    ),
    Test("machine-memory", Category.MACHINES, "Memory of machines", "Each fits on each possible owner.", _memory),
    Test("same-bridges", Category.MACHINES, "Bridges", "A guest's network has the same name everywhere.", _bridges),
)
