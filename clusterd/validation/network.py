"""Do the nodes hear each other well enough? Pure. Judged per ordered pair: links can be good one way only."""

import ipaddress
from collections.abc import Iterator

from clusterd.validation.facts import Interface, PeerFacts
from clusterd.validation.situation import Situation
from clusterd.validation.verdicts import Category, Finding, Test, failed, passed, warned

CLOCK_WARNING_MS = 500
CLOCK_FAILURE_MS = 60_000


def _pairs(situation: Situation) -> Iterator[tuple[str, PeerFacts]]:
    for node, _ in situation.machines():
        for peer in situation.answers[node].peers:
            yield f"{node} → {peer.node}", peer


def _communication(situation: Situation) -> list[Finding]:
    """A round trip must leave several heartbeats room within the silence limit."""
    cluster = situation.cluster
    found = []
    for pair, peer in _pairs(situation):
        if peer.round_trip_us is None:
            advice = (
                "see the link: clusterctl node list, firewall and addresses; messages may travel through a third node"
            )
            found.append(failed(pair, peer.trouble or "no answer", advice))
            continue
        took_ms = peer.round_trip_us / 1000
        saw = f"{took_ms:.1f} ms"
        if took_ms >= cluster.silence_max_ms:
            found.append(
                failed(pair, saw, f"the silence limit is {cluster.silence_max_ms} ms: raise it, or mend the link")
            )
        elif took_ms >= cluster.delay_ms:
            found.append(
                warned(
                    pair, saw, f"heartbeats come every {cluster.delay_ms} ms: raise same_subnet_delay or mend the link"
                )
            )
        else:
            found.append(passed(pair, saw))
    return found


def _clocks(situation: Situation) -> list[Finding]:
    """Nothing is decided by the wall clock; people compare times in logs, and failback windows follow it."""
    found = []
    for pair, peer in _pairs(situation):
        if peer.round_trip_us is None:
            continue
        ahead_ms = abs(peer.clock_offset_ms)
        way = "ahead" if peer.clock_offset_ms >= 0 else "behind"
        saw = f"{ahead_ms} ms {way}"
        # What took the answer its way is not told apart from the clock.
        doubt_ms = peer.round_trip_us // 2000 + 1
        if ahead_ms - doubt_ms > CLOCK_FAILURE_MS:
            found.append(
                failed(pair, saw, "certificates and windows are judged by it: set the clock, run an NTP client")
            )
        elif ahead_ms - doubt_ms > CLOCK_WARNING_MS:
            found.append(warned(pair, saw, "times of different nodes cannot be compared: run an NTP client on both"))
        else:
            found.append(passed(pair, saw))
    return found


def _synchronized(situation: Situation) -> list[Finding]:
    found = []
    for node, machine in situation.machines():
        if machine.is_clock_synchronized is None:
            continue
        if machine.is_clock_synchronized:
            found.append(passed(node, "the kernel's clock is kept in step"))
        else:
            advice = "run chrony or systemd-timesyncd; clusterd decides nothing by this clock, people do"
            found.append(warned(node, "nothing keeps the kernel's clock in step", advice))
    return found


def _two_networks(situation: Situation) -> list[Finding]:
    found = []
    for node, machine in situation.machines():
        adapters = [each.name for each in machine.interfaces if _subnets((each,))]
        if len(adapters) >= 2:
            found.append(passed(node, f"{len(adapters)} adapters with addresses: {', '.join(adapters)}"))
        else:
            saw = f"one adapter: {adapters[0]}" if adapters else "no network beside loopback"
            found.append(
                warned(node, saw, "one cable or switch is enough to cut the node off: give it a second network")
            )
    return found


def _duplicates(situation: Situation) -> list[Finding]:
    holders: dict[str, set[str]] = {}
    machines: dict[str, set[str]] = {}
    for node, machine in situation.machines():
        for interface in machine.interfaces:
            for address in interface.addresses if interface.is_up else ():
                if not _is_private_to_machine(address):
                    holders.setdefault(address.split("/")[0], set()).add(node)
                    machines.setdefault(address.split("/")[0], set()).add(machine.boot_id)
    doubles = [address for address, nodes in sorted(holders.items()) if len(nodes) > 1 and len(machines[address]) > 1]
    if not doubles:
        return [passed("", f"{len(holders)} addresses, each on one machine")]
    return [
        failed(", ".join(sorted(holders[each])), f"{each} is there twice", "give each node an address of its own")
        for each in doubles
    ]


def _mtu(situation: Situation) -> list[Finding]:
    sizes: dict[str, dict[str, int]] = {}
    for node, machine in situation.machines():
        for interface in machine.interfaces:
            for subnet in _subnets((interface,)):
                sizes.setdefault(subnet, {})[node] = interface.mtu
    found = []
    for subnet, by_node in sorted(sizes.items()):
        told = ", ".join(f"{node} {mtu}" for node, mtu in by_node.items())
        if len(set(by_node.values())) > 1:
            found.append(warned(subnet, told, "large packets are lost where sizes differ: set one MTU on the network"))
        else:
            found.append(passed(subnet, told))
    return found


def _subnets(interfaces: tuple[Interface, ...]) -> set[str]:
    return {
        str(ipaddress.ip_interface(address).network)
        for each in interfaces
        if each.is_up
        for address in each.addresses
        if not _is_private_to_machine(address)
    }


def _is_private_to_machine(address: str) -> bool:
    found = ipaddress.ip_interface(address).ip
    return found.is_loopback or found.is_link_local


TESTS = (
    Test(
        "communication",
        Category.NETWORK,
        "Communication between nodes",
        "A question and its answer over the peers' link, in both directions.",
        _communication,
    ),
    Test("clock-offsets", Category.NETWORK, "Clock offsets", "How far the wall clocks are apart.", _clocks),
    Test(
        "clock-kept", Category.NETWORK, "Clocks are kept in step", "What the kernel says of its clock.", _synchronized
    ),
    Test("two-networks", Category.NETWORK, "More than one network", "The loss of one must harm nobody.", _two_networks),
    Test("duplicate-addresses", Category.NETWORK, "Duplicate addresses", "No address on two machines.", _duplicates),
    Test("same-mtu", Category.NETWORK, "Packet sizes", "One MTU within each network.", _mtu),
)
