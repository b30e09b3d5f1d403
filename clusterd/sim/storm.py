"""What happens when everything goes wrong for a while, and are all promises kept afterwards? Pure.

`Storm` draws faults from a seed and gives them to a cluster; `calm` ends them all, starts what is missing and lets the
cluster come to rest; `judge` says which promises were broken. Safety is judged over the whole run, liveness at its end.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from clusterd.checkers import dependency_breaches, excuse, limit_breaches, stop_breaches
from clusterd.model.dependencies import parse_dependency
from clusterd.model.ids import GroupId, NodeId
from clusterd.model.records import AssignmentRecord, GroupRecord, MoveRequest, Properties
from clusterd.model.states import MoveKind, Wanted
from clusterd.sim.cluster import SimCluster, SimSettings
from clusterd.sim.host import Dials
from clusterd.sim.operators import RestlessOperator

PATIENCE_MS = 120_000
REST_MS = 5000
GRACE_US = 5_000
_DEPENDENCIES = (
    {"{g}-a": "", "{g}-b": "[{g}-a]"},
    {"{g}-a": ""},
    {"{g}-a": "", "{g}-b": "", "{g}-c": "([{g}-a] or [{g}-b])"},
    {"{g}-a": "", "{g}-b": "[{g}-a]", "{g}-c": "[{g}-b]", "{g}-d": "[{g}-a] and [{g}-c]"},
)
_ON_DISKS = (
    {"{g}-a": "", "{g}-b": "[{g}-a]"},
    {"{g}-a": "", "{g}-b": "", "{g}-c": "[{g}-a] and [{g}-b]"},
    {"{g}-a": "", "{g}-b": "", "{g}-c": "[{g}-a] and [{g}-b]", "{g}-d": "[{g}-c]"},
)
"""Groups that affect nothing but their disks: all that depends on nothing."""
_PATIENT = {"restart_period": 4000, "retry_period_on_failure": 8000, "pending_timeout": 3000, "deadlock_timeout": 2000}


@dataclass(frozen=True, slots=True)
class Weather:
    """How bad it gets."""

    duration_ms: int = 60_000
    groups: int = 3
    between_ms: tuple[float, float] = (100, 4000)
    mending: int = 1
    """How much likelier starting, healing and thawing are than drawn evenly: in an even storm little lives long."""
    has_bad_resources: bool = True
    has_bad_network: bool = True
    live: bool = False
    """Whether everything can migrate live, and is asked to."""
    operators: bool = False
    """Whether somebody drains, moves, maintains and changes rules in the midst of it."""
    on_disks: bool = False
    """Whether every group declares that its disks are its sole effect. Then whole machines freeze as well."""
    has_full_disks: bool = False
    """Whether the disks of nodes fill up and are freed again."""


# A node that is lost every other second, and a cluster that is down every minute, are what a storm is made of.
IMPATIENT: Properties = {"cluster_group_wait_delay": 3, "quarantine_threshold": 1000}


class Storm:
    """One run: `blow` for a while, `calm`, `judge`."""

    def __init__(
        self,
        seed: int,
        weather: Weather = Weather(),
        *,
        settings: Callable[[SimSettings], SimSettings] = lambda drawn: drawn,
    ) -> None:
        """`settings` may change what the seed drew for the cluster."""
        self.rng = random.Random(seed)
        self.weather = weather
        rng = self.rng
        drawn = SimSettings(
            nodes=tuple(f"n{number + 1}" for number in range(rng.choice((3, 3, 3, 4, 5)))),
            profile=rng.choice(("default", "fast")),
            has_fence=rng.random() < 0.4,
            seed=seed,
            properties=IMPATIENT,
        )
        self.cluster = SimCluster(settings(drawn))
        budget_ms = 250 if self.cluster.settings.profile == "fast" else 500
        self.cluster.kill_ms = (5, rng.choice((5, int(budget_ms * 0.9))))
        self.did: list[str] = []
        self._frozen: dict[tuple[str, str], int] = {}
        self._late: set[str] = set()
        """Resources that once claimed to be online before they were: what depends on them cannot be judged."""
        self.operator = RestlessOperator(self.cluster, rng, (f"g{number}" for number in range(weather.groups)))
        self._moves = 0
        self._starts = 0

    # ---- the run ----

    def run(self) -> list[str]:
        """The broken promises; empty is the only good answer."""
        self.prepare()
        self.blow()
        return self.calm() or self.judge()

    def prepare(self) -> None:
        cluster = self.cluster
        cluster.start()
        cluster.run_for(3000)
        shapes = _ON_DISKS if self.weather.on_disks else _DEPENDENCIES
        for number in range(self.weather.groups):
            shape = self.rng.choice(shapes)
            group = f"g{number}"
            resources = {name.format(g=group): text.format(g=group) for name, text in shape.items()}
            preferred = tuple(self.rng.sample(cluster.names, self.rng.randint(0, 3)))
            live = tuple(resources) if self.weather.live else ()
            disks = tuple(name for name, text in resources.items() if not text) if self.weather.on_disks else ()
            own = {"storage_is_sole_effect": True} if disks else None
            cluster.add_group(
                group, resources, preferred=preferred, properties=_PATIENT, group_properties=own, live=live, disks=disks
            )

    def blow(self) -> None:
        until_ms = self.cluster.timeline.now_ms + self.weather.duration_ms
        while self.cluster.timeline.now_ms < until_ms:
            self.one_fault()
            self.cluster.run_for(self.rng.uniform(*self.weather.between_ms))

    def calm(self) -> list[str]:
        """End every fault; complain about what does not recover."""
        cluster = self.cluster
        cluster.heal()
        cluster.network.dials.lost_share = cluster.network.dials.doubled_share = 0.0
        cluster.network.dials.replayed_share = 0.0
        cluster.network.dials.delay_ms = (0.2, 1.0)
        cluster.dials.clear()
        for name, what in list(self._frozen):
            cluster.thaw(name, what)
        self._frozen.clear()
        cluster.disks.heal()
        until_ms = cluster.timeline.now_ms + PATIENCE_MS
        is_right = not self.weather.operators
        while cluster.timeline.now_ms < until_ms:
            is_right = is_right or self.operator.put_right()
            cluster.start()  # a node that was told to stop may only end now
            if cluster.run_until(self._is_well, patience_ms=1000) and is_right:
                cluster.run_for(REST_MS)
                if self._is_well():
                    return self._restless() if self.weather.operators else []
        return [f"not well {PATIENCE_MS} ms after the last fault: {self._unwell()}"]

    def _restless(self) -> list[str]:
        """All is well: so nobody may go on deciding."""
        before = self._decided()
        self.cluster.run_for(REST_MS)
        after = self._decided()
        return [f"still deciding: {key}" for key in sorted(after) if after[key] != before.get(key)]

    def _decided(self) -> dict[str, int]:
        view = self.cluster.view()
        return {key: view.revision_of(key) for key, _ in view.items(AssignmentRecord)}

    def judge(self) -> list[str]:
        """Every broken promise of the whole run."""
        cluster = self.cluster
        found = [f"two copies: {each}" for each in cluster.overlaps()]
        found += cluster.breaches()
        found += [f"two leaders in term {term}: {sorted(who)}" for term, who in cluster.leaders.items() if len(who) > 1]
        for name, machine in cluster.machines.items():
            if machine.node is None:
                continue
            lost = [key for key in cluster.acknowledged if not machine.node.replica.view.revision_of(key)]
            found += [f"{name} lacks what was acknowledged: {key}" for key in lost]
        digests = {
            (node.replica.database.revision, node.replica.database.digest)
            for node in (machine.node for machine in cluster.machines.values())
            if node is not None
        }
        if len(digests) != 1:
            found.append(f"replicas differ: {sorted(digests)}")
        view = cluster.view()
        honest = [
            each for each in view.resources() if not self._late & set(parse_dependency(each.depends_on).providers)
        ]
        found += dependency_breaches(cluster.ledger.runs, honest, grace_us=GRACE_US)
        found += stop_breaches(cluster.ledger.runs, view.resources(), grace_us=GRACE_US)
        found += limit_breaches(view)
        return found

    # ---- faults ----

    def one_fault(self) -> None:
        faults: list[tuple[int, Callable[[], str | None]]] = [
            (4, self._kill),
            (4 * self.weather.mending, self._start),
            (3, self._freeze),
            (3 * self.weather.mending, self._thaw),
            (4, self._cut),
            (3 * self.weather.mending, self._heal),
            (20 if self.weather.live else 2, self._move),
            (2, self._wanted),
            (3, self._fail_workload),
            (1, self._slow_disk),
            (3 if self.weather.has_full_disks else 0, self._fill_disk),
            (2, self._mark),
            (1, self._stop),
        ]
        if self.weather.operators:
            faults.append((20, self.operator.one_wish))
        if self.weather.has_bad_network:
            faults.append((1, self._network))
        if self.weather.has_bad_resources:
            faults.append((2, self._dial))
        fault = self.rng.choices([each for _, each in faults], [weight for weight, _ in faults])[0]
        did = fault()
        if did:
            self.did.append(f"{self.cluster.timeline.now_ms / 1000:8.3f}s {did}")

    def _any(self) -> str:
        return self.rng.choice(self.cluster.names)

    def _kill(self) -> str:
        name, what = self._any(), self.rng.choice(("node", "node", "daemon", "daemon", "guard", "host"))
        if what == "node":
            self._frozen.pop((name, "node"), None)
        elif (name, "node") in self._frozen:
            return ""
        if what in ("node", "daemon"):
            self._frozen.pop((name, "daemon"), None)
        if what in ("node", "guard"):
            self._frozen.pop((name, "guard"), None)
            self._frozen.pop((name, "host"), None)
        if what == "host" and (name, "guard") in self._frozen:
            return ""
        self.cluster.kill(name, what)
        return f"kill {name} {what}"

    def _start(self) -> str:
        name = self._any()
        self.cluster.start(name)
        return f"start {name}"

    def _stop(self) -> str:
        name = self._any()
        self.cluster.stop(name)
        return f"stop {name}"

    def _freeze(self) -> str:
        whole = ("node", "node") if self.weather.on_disks else ()
        name, what = self._any(), self.rng.choice(("daemon", "daemon", "guard", "host", *whole))
        # Guard and hosts frozen together is a frozen machine: no timer can stop that one, only a fence agent or storage.
        others = {"guard": ("host",), "host": ("guard",), "node": ("daemon", "guard", "host")}.get(what, ())
        if any((name, other) in self._frozen for other in (*others, "node")):
            return ""
        self.cluster.freeze(name, what)
        self._frozen[name, what] = 1
        return f"freeze {name} {what}"

    def _thaw(self) -> str:
        if not self._frozen:
            return ""
        name, what = self.rng.choice(sorted(self._frozen))
        del self._frozen[name, what]
        self.cluster.thaw(name, what)
        return f"thaw {name} {what}"

    def _cut(self) -> str:
        names = list(self.cluster.names)
        match self.rng.randrange(4):
            case 0:
                name = self._any()
                self.cluster.isolate(name)
                return f"isolate {name}"
            case 1:
                one, other = self.rng.sample(names, 2)
                self.cluster.cut(one, other, one_way=True)
                return f"cut one-way {one} {other}"
            case 2:
                side = self.rng.sample(names, self.rng.randint(1, len(names) - 1))
                for one in side:
                    for other in set(names) - set(side):
                        self.cluster.cut(one, other)
                return f"partition {sorted(side)}"
            case _:
                one, other = self.rng.sample(names, 2)
                self.cluster.cut(one, other)
                return f"cut {one} {other}"

    def _heal(self) -> str:
        self.cluster.heal()
        return "heal"

    def _group(self) -> str:
        return f"g{self.rng.randrange(self.weather.groups)}"

    def _move(self) -> str:
        group, target = self._group(), NodeId(self.rng.choice(("", *self.cluster.names)))
        self._moves += 1
        kind = (
            self.rng.choice((MoveKind.LIVE, MoveKind.LIVE, MoveKind.UNSAID)) if self.weather.live else MoveKind.UNSAID
        )
        move = MoveRequest(f"move{self._moves}", target, kind=kind)
        return self._write_group(group, f"move {group} {target}", lambda record: replace(record, move=move))

    def _wanted(self) -> str:
        group, wanted = self._group(), self.rng.choice((Wanted.ONLINE, Wanted.ONLINE, Wanted.OFFLINE))
        self._starts += 1
        start_id = f"start{self._starts}"

        def change(record: GroupRecord) -> GroupRecord:
            return replace(record, wanted=wanted, start_id=start_id if wanted is Wanted.ONLINE else record.start_id)

        return self._write_group(group, f"{wanted} {group}", change)

    def _write_group(self, name: str, what: str, change: Callable[[GroupRecord], GroupRecord]) -> str:
        is_asked = self.cluster.change_group_soon(GroupId(name), self._any(), change) is not None
        return what if is_asked else ""

    def _fail_workload(self) -> str:
        hosts = [
            (machine, host)
            for machine in self.cluster.machines.values()
            if machine.guard is not None
            for host in machine.guard.hosts.values()
        ]
        resource = f"{self._group()}-{self.rng.choice('abcd')}"
        for _, host in hosts:
            host.fail_workload(resource)
        return f"fail workload {resource}"

    def _slow_disk(self) -> str:
        name, extra_ms = self._any(), self.rng.choice((0, 50, 300, 1500))
        self.cluster.disks.slow(name, extra_ms)
        return f"slow disk {name} {extra_ms}"

    def _fill_disk(self) -> str:
        name = self._any()
        return self.cluster.disks.turn(name)

    def _mark(self) -> str:
        name = self._any()
        self.cluster.mark_soon(name)
        return f"commit at {name}"

    def _network(self) -> str:
        dials = self.cluster.network.dials
        dials.lost_share = self.rng.choice((0, 0, 0.05, 0.2))
        dials.doubled_share = self.rng.choice((0, 0.05))
        dials.replayed_share = self.rng.choice((0, 0.02))
        dials.delay_ms = self.rng.choice(((0.2, 1.0), (0.2, 20.0), (5.0, 80.0)))
        return f"network {dials}"

    def _dial(self) -> str:
        resource = f"{self._group()}-{self.rng.choice('abcd')}"
        rng = self.rng
        of_moves = (
            (
                Dials(prepare_ms=rng.choice((1, 300)), migrate_ms=rng.choice((1, 400, 3000))),
                Dials(fails_prepare=True),
                Dials(fails_migrate=True),
                Dials(fails_late=True),
                Dials(never_prepares=True),
                Dials(never_migrates=True),
            )
            if self.weather.live
            else ()
        )
        of_fences = (
            (
                Dials(fence_ms=rng.choice((1, 300, 3000))),
                Dials(fails_fence_on=frozenset({self._any()})),
                Dials(never_fences=True),
            )
            if self.weather.on_disks
            else ()
        )
        dials = rng.choice(
            (
                *of_moves,
                *of_fences,
                Dials(),
                Dials(online_ms=rng.choice((1, 500, 2500)), offline_ms=rng.choice((1, 300, 2000))),
                Dials(fails_online=True),
                Dials(never_answers=True),
                Dials(ignores_stop=True),
                Dials(not_here_on=frozenset({self._any()})),
                Dials(starts_late_ms=rng.choice((50, 1500))),
            )
        )
        self.cluster.dials[resource] = dials
        if dials.starts_late_ms:
            self._late.add(resource)
        return f"dial {resource} {dials}"

    # ---- rest ----

    def _is_well(self) -> bool:
        return not self._unwell(is_short=True)

    def _unwell(self, *, is_short: bool = False) -> list[str]:
        cluster = self.cluster
        if cluster.leader() is None:
            return ["no leader"]
        found = []
        revisions = {
            machine.node.replica.database.revision for machine in cluster.machines.values() if machine.node is not None
        }
        if len(revisions) > 1:
            found.append(f"revisions {sorted(revisions)}")
        for group in cluster.view().groups():
            if is_short and found:
                return found
            problem = self._group_problem(group)
            if problem:
                found.append(problem)
        return found

    def _group_problem(self, group: GroupRecord) -> str:
        state, owner, generation = self.cluster.group_state(group.name)
        if group.wanted is Wanted.ONLINE and not self.cluster.is_online(group.name):
            if not owner and excuse(self.cluster.view(), group):
                return ""  # rules and limits leave it no node
            states = self.cluster.resource_states(group.name)
            return f"{group.name} is {state} on {owner} in generation {generation}: {states}"
        if group.wanted is Wanted.OFFLINE and any(
            self.cluster.ledger.running(each.name) for each in self.cluster.view().resources_of(group.name)
        ):
            return f"{group.name} runs although it is wanted offline"
        return ""
