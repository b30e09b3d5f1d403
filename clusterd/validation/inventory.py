"""What is each node made of? Pure. Lists for people; nothing here fails but a node that does not answer."""

from collections.abc import Callable

from clusterd.validation.facts import MachineFacts
from clusterd.validation.situation import Situation
from clusterd.validation.verdicts import Category, Finding, Test, failed, passed

SHOWN_MAX = 24


def _list(describe: Callable[[MachineFacts], str]) -> Callable[[Situation], list[Finding]]:
    return lambda situation: [passed(node, describe(machine)) for node, machine in situation.machines()]


def _answers(situation: Situation) -> list[Finding]:
    found = []
    for node in situation.cluster.nodes:
        if node.name in situation.silent:
            advice = f"start it, or see clusterctl explain node {node.name}; its tests are missing below"
            found.append(failed(node.name, situation.silent[node.name], advice))
            continue
        answer = situation.answers[node.name]
        if answer.trouble:
            found.append(failed(node.name, answer.trouble, "see the node's log; its tests are missing below"))
        else:
            found.append(passed(node.name, "it answers"))
    return found


def _system(machine: MachineFacts) -> str:
    hours = machine.uptime_s // 3600
    return f"{machine.host_name}: {machine.operating_system}, kernel {machine.kernel}, up for {hours} h"


def _memory(machine: MachineFacts) -> str:
    return f"{machine.memory_mib} MiB, {machine.memory_available_mib} MiB of them free; swap {machine.swap_mib} MiB"


def _processor(machine: MachineFacts) -> str:
    return f"{machine.cores} × {machine.processor_model or machine.processor_vendor or 'unknown'}"


def _software(machine: MachineFacts) -> str:
    libraries = ", ".join(f"{name} {version}" for name, version in sorted(machine.libraries.items()))
    return f"clusterd {machine.version}, Python {machine.python}, {libraries}"


def _disks(machine: MachineFacts) -> str:
    shown = [f"{each.name} {each.size_mib} MiB {each.model} {each.id}".strip() for each in machine.disks[:SHOWN_MAX]]
    more = len(machine.disks) - SHOWN_MAX
    return "; ".join(shown) + (f"; and {more} more" if more > 0 else "") or "none"


def _networks(machine: MachineFacts) -> str:
    up = [each for each in machine.interfaces if each.is_up][:SHOWN_MAX]
    return (
        "; ".join(f"{each.name} {', '.join(each.addresses) or 'no address'} (mtu {each.mtu})" for each in up) or "none"
    )


def _inventory(name: str, title: str, says: str, describe: Callable[[MachineFacts], str]) -> Test:
    return Test(name, Category.INVENTORY, title, says, _list(describe))


TESTS = (
    Test(
        "node-answers",
        Category.INVENTORY,
        "Every node answers",
        "Each node must say what its machine is like before anything can be said about it.",
        _answers,
    ),
    _inventory("list-systems", "List operating systems", "Host name, system, kernel and uptime.", _system),
    _inventory("list-memory", "List memory", "What the machine has and what of it is free.", _memory),
    _inventory("list-processors", "List processors", "Cores that clusterd may use, and their model.", _processor),
    _inventory("list-software", "List software", "clusterd and what it is built on.", _software),
    _inventory("list-disks", "List disks", "Block devices that the machine sees.", _disks),
    _inventory("list-networks", "List networks", "Adapters that are up, and their addresses.", _networks),
)
