"""Is each machine set up to keep what the cluster promises? Pure."""

from clusterd.validation.situation import Situation, differing
from clusterd.validation.verdicts import Category, Finding, Test, failed, passed, warned

OPEN_FILES_LEAST = 4096
PROCESSES_LEAST = 4096
MEMORY_FREE_LEAST_MIB = 256
CERTIFICATE_WARNING_DAYS = 30
ENTROPY_LEAST_BITS = 128
_DAY_MS = 86_400_000


def _separate(situation: Situation) -> list[Finding]:
    """Nodes of one kernel die together. In a lab that is so by design."""
    by_boot: dict[str, list[str]] = {}
    for node, machine in situation.machines():
        by_boot.setdefault(machine.boot_id or node, []).append(node)
    shared = [nodes for nodes in by_boot.values() if len(nodes) > 1]
    if not shared:
        return [passed("", f"{len(by_boot)} nodes on as many machines")]
    advice = "what takes the machine takes all of them: for learning and testing only"
    return [warned(", ".join(nodes), "they are on one machine", advice) for nodes in shared]


def _same_version(situation: Situation) -> list[Finding]:
    advice = "bring every node to one version; mixed versions are for the time of an upgrade"
    return differing(
        situation, "the version", lambda each: f"clusterd {each.version}", lambda node, saw: warned(node, saw, advice)
    )


def _same_architecture(situation: Situation) -> list[Finding]:
    advice = "a group that moves there meets another processor: take the node out of its possible owners"
    return differing(
        situation, "the architecture", lambda each: each.architecture, lambda node, saw: failed(node, saw, advice)
    )


def _same_system(situation: Situation) -> list[Finding]:
    advice = "keep the nodes on one release, so that what runs on one runs on all"
    return differing(
        situation, "the system", lambda each: each.operating_system, lambda node, saw: warned(node, saw, advice)
    )


def _same_kernel(situation: Situation) -> list[Finding]:
    advice = "update and restart the nodes one after the other: clusterctl node drain NODE"
    return differing(situation, "the kernel", lambda each: each.kernel, lambda node, saw: warned(node, saw, advice))


def _containment(situation: Situation) -> list[Finding]:
    found = []
    for node, machine in situation.machines():
        kind = situation.answers[node].containment
        if kind == "cgroup":
            found.append(passed(node, "workloads live in control groups that the kernel kills as a whole"))
        elif kind:
            saw = (
                f"workloads are held by their process tree (control groups: {machine.control_groups or 'none'}): what "
                "kills the process that keeps it gets away until its host or the run lease ends, and when the guard is "
                "killed, so does what forked away twice and cleared its environment"
            )
            advice = "give clusterd a writable cgroup v2 (systemd: Delegate=yes), so that a kill is one atomic step"
            found.append(warned(node, saw, advice))
        else:
            found.append(failed(node, "the guard has said nothing yet, so nothing can run", "see the guard's log"))
    return found


def _limits(situation: Situation) -> list[Finding]:
    found = []
    for node, machine in situation.machines():
        short = [
            f"{name} {value}, at least {least}"
            for name, value, least in (
                ("open files", machine.open_files_max, OPEN_FILES_LEAST),
                ("processes", machine.processes_max, PROCESSES_LEAST),
            )
            if value < least
        ]
        if short:
            found.append(warned(node, "; ".join(short), "raise LimitNOFILE and LimitNPROC of clusterd's unit"))
        else:
            saw = f"{machine.open_files_max} open files, {machine.processes_max} processes"
            found.append(passed(node, saw))
    return found


def _entropy(situation: Situation) -> list[Finding]:
    return [
        passed(node, f"{machine.entropy_bits} bits")
        if machine.entropy_bits >= ENTROPY_LEAST_BITS
        else warned(node, f"only {machine.entropy_bits} bits", "give the machine a random number generator")
        for node, machine in situation.machines()
    ]


def _memory(situation: Situation) -> list[Finding]:
    return [
        passed(node, f"{machine.memory_available_mib} MiB free of {machine.memory_mib}")
        if machine.memory_available_mib >= MEMORY_FREE_LEAST_MIB
        else warned(
            node,
            f"only {machine.memory_available_mib} MiB are free of {machine.memory_mib}",
            "a machine that swaps misses its own heartbeats: free memory, or move groups away",
        )
        for node, machine in situation.machines()
    ]


def _watchdog(situation: Situation) -> list[Finding]:
    return [
        passed(node, ", ".join(machine.watchdogs))
        if machine.watchdogs
        else warned(
            node,
            "there is no watchdog device",
            "without one a machine that freezes as a whole is only held by fencing; load its driver (ipmi_watchdog, "
            "iTCO_wdt, softdog) and start clusterd-guard with --watchdog",
        )
        for node, machine in situation.machines()
    ]


def _certificates(situation: Situation) -> list[Finding]:
    found = []
    for node, machine in situation.machines():
        for each in machine.certificates:
            days = (each.ends_wall_ms - situation.cluster.wall_ms) // _DAY_MS
            if each.trouble:
                found.append(failed(node, f"{each.name}: {each.trouble}", "give the node its certificate again"))
            elif days < 0:
                found.append(failed(node, f"{each.name} ended {-days} days ago", "renew it: peers refuse the node"))
            elif days < CERTIFICATE_WARNING_DAYS:
                found.append(warned(node, f"{each.name} ends in {days} days", "renew it before that"))
            else:
                found.append(passed(node, f"{each.name} is good for {days} days"))
    return found


TESTS = (
    Test("separate-machines", Category.SYSTEM, "Separate machines", "Each node has a machine of its own.", _separate),
    Test("same-version", Category.SYSTEM, "One version of clusterd", "All nodes run the same.", _same_version),
    Test(
        "same-architecture",
        Category.SYSTEM,
        "One processor architecture",
        "All nodes have the same.",
        _same_architecture,
    ),
    Test("same-system", Category.SYSTEM, "One operating system", "All nodes run the same release.", _same_system),
    Test("same-kernel", Category.SYSTEM, "One kernel", "All nodes run the same kernel.", _same_kernel),
    Test(
        "containment",
        Category.SYSTEM,
        "Workloads can be killed as a whole",
        "Before a group goes elsewhere, everything of it must be gone here, also what forked twice.",
        _containment,
    ),
    Test("limits", Category.SYSTEM, "Limits of the daemon", "Open files and processes that it may have.", _limits),
    Test("entropy", Category.SYSTEM, "Random numbers", "Keys and ids are made from the kernel's.", _entropy),
    Test(
        "free-memory", Category.SYSTEM, "Free memory", "What is left for a takeover, and for clusterd itself.", _memory
    ),
    Test("watchdog", Category.SYSTEM, "Watchdog", "What resets a machine that has frozen as a whole.", _watchdog),
    Test("certificates", Category.SYSTEM, "Certificates", "How long peers will still believe the node.", _certificates),
)
