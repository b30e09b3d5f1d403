"""May this machine be protected as it is, and if not, why? Pure.

Every reason is told at once. A node without QEMU is no possible owner, and that is a warning; a node that lacks a file is a
refusal, because the operator may have meant it to have one. What cannot be undone quietly (a machine that runs outside the
cluster, files that no other node has) is refused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from clusterd.wizard.facts import DefinitionFacts, FileFacts, NodeDefinitions
from clusterd.wizard.storage import Placed, disk_under, disks_around, placed
from clusterd.wizard.surroundings import ClusterDisk, HostFacts, Surroundings

FLAGS_SHOWN_MAX = 8


@dataclass(frozen=True, slots=True)
class Wish:
    """What the operator asked for beside the definition."""

    owners: tuple[str, ...] = ()
    """Possible owners; none: every node that can run machines."""
    disks: tuple[str, ...] = ()
    """Disk resources that belong to it although no file says so."""
    allows_running: bool = False
    is_protected: bool = False
    """It is a machine of the cluster, looked at again: that it runs and takes its room is no finding."""


@dataclass(frozen=True, slots=True)
class Eligibility:
    """One machine, judged."""

    name: str
    path: str
    owners: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    disks: tuple[ClusterDisk, ...] = ()
    group: str = ""
    """The group that it must join, as its disks are there."""
    memory_mib: int = 0
    cores: int = 0
    is_running: bool = False
    is_spread: bool = False
    """Its possible owners are on more than one machine."""

    @property
    def is_eligible(self) -> bool:
        return not self.refusals


def eligible(path: str, told: Mapping[str, NodeDefinitions], around: Surroundings, wish: Wish) -> Eligibility:
    """Judge the definition at `path` by what every node told."""
    return _Judgement(path, told, around, wish).result()


def with_disks(judged: Eligibility, troubles: Mapping[str, Mapping[str, str]]) -> Eligibility:
    """The same, refused for each disk that a possible owner does not reach. `troubles`: by node and disk, empty: none."""
    nodes: dict[tuple[str, str], list[str]] = {}
    for node, by_disk in troubles.items():
        for disk, trouble in by_disk.items():
            if trouble:
                nodes.setdefault((disk, trouble), []).append(node)
    told = (f"disk {disk} cannot be used from {', '.join(on)}: {trouble}" for (disk, trouble), on in nodes.items())
    return replace(judged, refusals=(*judged.refusals, *told))


class _Judgement:
    def __init__(self, path: str, told: Mapping[str, NodeDefinitions], around: Surroundings, wish: Wish) -> None:
        self._path = path
        self._around = around
        self._wish = wish
        self._told = told
        self._machines = {node: each.machine for node, each in told.items()}
        self._facts = {node: _of(each, path) for node, each in told.items()}
        self._refusals: list[str] = []
        self._warnings: list[str] = []

    def result(self) -> Eligibility:
        readable = self._readable()
        name = next((each.name for each in self._facts.values() if each), self._path)
        if not readable:
            self._refuse_unreadable()
            return Eligibility(name, self._path, refusals=tuple(self._refusals), warnings=tuple(self._warnings))
        best = next(iter(readable.values()))
        self._check_protected()
        self._check_same(readable)
        self._check_names()
        self._check_others(readable)
        owners = self._owners(best)
        files = self._placed_files(owners, readable)
        disks = self._disks(files, owners, readable)
        self._check_chains(files, readable, owners)
        is_running = self._check_running(readable)
        self._check_hosts(owners)
        self._check_room(owners, best)
        self._warnings += [
            f"{each.role} {each.path} is on disk {each.disk.resource}, and no node has that mounted now: it is looked at "
            "when the machine starts"
            for each in files
            if each.disk is not None and each.is_unseen
        ]
        mounted = ", ".join(disk.resource for disk in disks if disk.mount_point)
        if mounted:
            text = "it moves with an interruption (quick), not live: what is mounted can be on one node only"
            self._warnings.append(f"{text} (disk {mounted})")
        local = [each.path for each in files if each.needs_one_machine]
        if local:
            text = "only because they are on one machine"
            self._warnings.append(f"every possible owner sees {', '.join(local)} {text}")
        groups = list(dict.fromkeys(disk.group for disk in disks if disk.group))
        return Eligibility(
            name,
            self._path,
            tuple(owners),
            tuple(dict.fromkeys(self._refusals)),
            tuple(dict.fromkeys(self._warnings)),
            tuple(disks),
            groups[0] if len(groups) == 1 else "",
            best.memory_mib,
            best.cores,
            is_running,
            len({self._machines.get(each, each) for each in owners}) > 1,
        )

    # ---- the definition itself ----

    def _readable(self) -> dict[str, DefinitionFacts]:
        return {
            node: each
            for node, each in self._facts.items()
            if each is not None and not each.trouble and not each.problems
        }

    def _refuse_unreadable(self) -> None:
        problems = {text for each in self._facts.values() if each for text in each.problems}
        if problems:
            self._refusals += [f"the definition is not valid: {text}" for text in sorted(problems)]
        else:
            disk = disk_under(self._path, list(self._told), self._around)
            is_mounted = disk is not None and disk.online_on != ""
            where = f": it is on disk {disk.resource}, bring that online first" if disk and not is_mounted else ""
            found = self._warnings if where and self._wish.is_protected else self._refusals
            silent = [f"{each.name} ({each.silence})" for each in self._around.hosts if each.silence]
            unheard = f"; not known of {', '.join(silent)}" if silent else ""
            found.append(f"no node has the definition {self._path}{where}{unheard}")

    def _check_protected(self) -> None:
        if self._path in self._around.protected and not self._wish.is_protected:
            self._refusals.append(f"resource {self._around.protected[self._path]} protects it already")

    def _check_same(self, readable: Mapping[str, DefinitionFacts]) -> None:
        prints = {each.fingerprint for each in readable.values()}
        if len(prints) > 1:
            self._refusals.append(f"{self._path} says different things on {', '.join(readable)}: make them the same")
        for node, each in self._facts.items():
            if each is not None and each.problems:
                self._refusals.append(f"{self._path} is not valid on {node}: {'; '.join(each.problems)}")

    def _check_names(self) -> None:
        nodes = {each.name.casefold() for each in self._around.hosts}
        disks = {each.resource.casefold() for each in self._around.disks}
        self._refusals += [f"there is no node {name}" for name in self._wish.owners if name.casefold() not in nodes]
        self._refusals += [f"there is no disk {name}" for name in self._wish.disks if name.casefold() not in disks]

    def _check_others(self, readable: Mapping[str, DefinitionFacts]) -> None:
        """Two machines that write to one image destroy it, wherever they are; what both only rest on may be shared."""
        written = {path for facts in readable.values() for path in _own_images(facts)}
        used = written | {path for facts in readable.values() for path in _own_images(facts, is_read_only=True)}
        for answer in self._told.values():
            for other in answer.definitions:
                if other.path == self._path or other.path not in self._around.protected:
                    continue
                self._refusals += [
                    f"disk {path} belongs to {self._around.protected[other.path]} as well: two machines cannot "
                    "write to one disk"
                    for path in sorted(used & _own_images(other) | written & _own_images(other, is_read_only=True))
                ]

    # ---- owners ----

    def _owners(self, definition: DefinitionFacts) -> list[str]:
        found = []
        unfit: list[str] = []
        for host in self._around.hosts:
            if self._wish.owners and host.name.casefold() not in {each.casefold() for each in self._wish.owners}:
                continue
            reason = _unfit(host, definition)
            if not reason:
                found.append(host.name)
            elif self._wish.owners:
                self._refusals.append(f"{host.name} cannot own it: {reason}")
            else:
                unfit.append(f"{host.name} is no possible owner: {reason}")
        if not found:
            self._refusals += [*unfit, "no node can run it"]
            return found
        self._warnings += unfit
        if len(found) == 1:
            self._warnings.append(f"only {found[0]} can run it: nothing takes it over when that node is lost")
        return found

    # ---- files ----

    def _placed_files(self, owners: Sequence[str], readable: Mapping[str, DefinitionFacts]) -> list[Placed]:
        """Every file that any node knows of, judged on the owners. A path within a volume counts where it is mounted."""
        files = [each for facts in readable.values() for each in facts.files if not each.served_by]
        resolved = {each.role for each in files if each.path.startswith("/")}
        paths = dict.fromkeys(each.path for each in files if each.path.startswith("/") or each.role not in resolved)
        found = [placed(path, self._seen(path, owners), self._machines, self._around) for path in paths]
        self._refusals += [each.refusal for each in found if each.refusal and owners]
        self._refusals += [
            f'{each.role} {each.path} is disk {each.disk.resource} itself: name it by resource = "{each.disk.resource}" '
            "instead of the path, or its writes go past the reservation"
            for each in found
            if each.disk is not None and each.path == each.disk.place
        ]
        bridges = {name: node for node in owners for name in _bridges(self._facts.get(node))}
        self._refusals += [f"there is no bridge {name} on {node}" for name, node in sorted(bridges.items())]
        lacks = [(text, node) for node in owners for text in _lacks(self._facts.get(node))]
        self._refusals += [f"it cannot start on {node}: {text}" for text, node in sorted(lacks)]
        return found

    def _seen(self, path: str, owners: Sequence[str]) -> dict[str, FileFacts | None]:
        found: dict[str, FileFacts | None] = {}
        for node in owners:
            facts = self._facts.get(node)
            files = facts.files if facts is not None else ()
            found[node] = next((each for each in files if each.path == path), None)
        return found

    def _disks(
        self, files: Sequence[Placed], owners: Sequence[str], readable: Mapping[str, DefinitionFacts]
    ) -> list[ClusterDisk]:
        """Those under its files, those named, and those on which these are mounted; all in one group."""
        by_key = {disk.resource.casefold(): disk for disk in self._around.disks}
        needed = {each.disk.resource: each.disk for each in files if each.disk is not None}
        named = [by_key[name.casefold()] for name in self._wish.disks if name.casefold() in by_key]
        named += self._serving(readable, by_key)
        needed |= {disk.resource: disk for disk in named}
        for disk in list(needed.values()):
            for outer in disks_around(disk, owners, self._around):
                if outer.group and disk.group and outer.group != disk.group:
                    self._refusals.append(
                        f"disk {disk.resource} (group {disk.group}) is mounted inside disk {outer.resource}, which is in "
                        f"group {outer.group}: both must be in one group"
                    )
                needed.setdefault(outer.resource, outer)
        groups = sorted({disk.group for disk in needed.values() if disk.group})
        if len(groups) > 1:
            told = ", ".join(f"{disk.resource} in {disk.group}" for disk in needed.values() if disk.group)
            self._refusals.append(f"its files are on disks of several groups ({told}): bring them into one group first")
        return list(needed.values())

    def _serving(self, readable: Mapping[str, DefinitionFacts], by_key: Mapping[str, ClusterDisk]) -> list[ClusterDisk]:
        """Disks that the definition names as resources: each is there, or to be created, and is used by nothing else."""
        wanted = {(each.role, each.served_by) for facts in readable.values() for each in facts.files if each.served_by}
        found = []
        for role, name in sorted(wanted):
            disk = by_key.get(name.casefold())
            if disk is None:
                hint = f"--disk {name}:image=… (or device=…, iscsi.portal=…) creates it"
                self._refusals.append(f"{role} is served by disk {name}, and there is none of that name: {hint}")
            elif disk.mount_point:
                self._refusals.append(
                    f"{role} is served by disk {disk.resource}, which is mounted on {disk.mount_point}: a disk that serves "
                    "a machine has no mount_point"
                )
            else:
                found.append(disk)
        return found

    def _check_chains(
        self, files: Sequence[Placed], readable: Mapping[str, DefinitionFacts], owners: Sequence[str]
    ) -> None:
        """All images of a chain lie in the group's storage: with a child on a cluster disk, the parent may not be local."""
        by_path = {each.path: each for each in files}
        links = {
            (each.rests_under, each.path) for facts in readable.values() for each in facts.files if each.rests_under
        }
        for child, parent in sorted(links):
            above, below = by_path.get(child), by_path.get(parent)
            if above is None or below is None or above.disk is None or below.disk is not None:
                continue
            self._refusals.append(
                f"{child} is on disk {above.disk.resource} and rests on {parent}, which is on no disk of the group: "
                "move it there, or merge the two with qemu-img"
            )

    # ---- running, room, hosts ----

    def _check_running(self, readable: Mapping[str, DefinitionFacts]) -> bool:
        users = sorted(node for node, facts in readable.items() if any(each.is_in_use for each in facts.files))
        if not users or self._wish.is_protected or self._path in self._around.protected:
            return bool(users)
        text = f"a QEMU has its disk open on {', '.join(users)}"
        if self._wish.allows_running:
            hint = "shut it down there before the group is brought online; two cannot have the disk"
            self._warnings.append(f"{text}: the group stays offline until you start it; {hint}")
        else:
            self._refusals.append(f"{text}: shut the machine down first, or use --allow-running")
        return True

    def _check_hosts(self, owners: Sequence[str]) -> None:
        hosts = [self._around.host(each) for each in owners]
        self._warn_different(
            "QEMU versions", {each.name: each.hypervisor for each in hosts}, "moves that keep its memory"
        )
        self._warn_different("makers of processors", {each.name: each.vendor for each in hosts}, "live moves")
        flags = [each.flags for each in hosts if each.flags]
        if flags:
            gap = sorted(frozenset.union(*flags) - frozenset.intersection(*flags))
            if gap:
                shown = " ".join(gap[:FLAGS_SHOWN_MAX]) + (" …" if len(gap) > FLAGS_SHOWN_MAX else "")
                self._warnings.append(
                    f"not every possible owner has these processor features: {shown}; set processor_model in the "
                    "definition to what all have"
                )

    def _check_room(self, owners: Sequence[str], definition: DefinitionFacts) -> None:
        """Room now; what it takes on a node after a loss is for `clusterctl capacity`."""
        if self._wish.is_protected:
            return
        full = [
            host
            for host in map(self._around.host, owners)
            if host.memory_free_mib is not None and host.memory_free_mib < definition.memory_mib
        ]
        told = ", ".join(f"{host.name} has {host.memory_free_mib} MiB left" for host in full)
        if full and len(full) == len(owners):
            self._refusals.append(f"it takes {definition.memory_mib} MiB and no possible owner has room: {told}")
        elif full:
            self._warnings.append(f"it takes {definition.memory_mib} MiB and not every possible owner has room: {told}")

    def _warn_different(self, what: str, values: Mapping[str, str], risk: str) -> None:
        known = {node: value for node, value in values.items() if value}
        if len(set(known.values())) > 1:
            told = ", ".join(f"{node}: {value}" for node, value in known.items())
            self._warnings.append(f"possible owners have different {what} ({told}): {risk} may fail between them")


def _of(told: NodeDefinitions, path: str) -> DefinitionFacts | None:
    return next((each for each in told.definitions if each.path == path), None)


def _own_images(facts: DefinitionFacts, *, is_read_only: bool = False) -> set[str]:
    """Images, and disks of the cluster, that it alone writes to; or those that it reads only."""
    return {
        each.path or each.served_by.casefold()
        for each in facts.files
        if each.role.startswith("disk ")
        and not each.rests_under
        and not each.is_shared
        and each.is_read_only is is_read_only
    }


def _bridges(facts: DefinitionFacts | None) -> tuple[str, ...]:
    return facts.missing_bridges if facts is not None else ()


def _lacks(facts: DefinitionFacts | None) -> tuple[str, ...]:
    return facts.lacks if facts is not None else ()


def _unfit(host: HostFacts, definition: DefinitionFacts) -> str:
    if host.silence:
        return host.silence
    if not host.hypervisor:
        return "it has no QEMU"
    if host.memory_mib is not None and host.memory_mib < definition.memory_mib:
        return f"it has {host.memory_mib} MiB of memory, and the machine takes {definition.memory_mib}"
    return ""
