"""How is a story about a cluster told, played and written down? Pure.

A scenario is a text: a comment with the intent, commands, `----`, and the trace that they must give. `play` runs the
commands in virtual time and returns the trace: commands, decisions of the cluster, and what really ran, in order.

    # A killed owner is replaced on the next preferred node.
    group web preferred=n1,n2 resources=data,server(data)        live=server, disks=data: can migrate live, is a shared disk
    until group web online on n1
    kill n1
    until group web online on n2 within 10s
    ----
    …

What operators wish for (`pause`, `move`, `set` …) is in `wishes`, what befalls single resources in `mishaps`, what befalls
the data of nodes in `forgetting`.
"""

import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from clusterd.model.durations import parse_duration
from clusterd.model.records import Properties
from clusterd.model.states import MembershipState
from clusterd.sim.cloning import Cloning, clone_claim
from clusterd.sim.cluster import SimCluster, SimSettings
from clusterd.sim.forgetting import Forgetting, memory_claim
from clusterd.sim.host import Dials
from clusterd.sim.mishaps import Mishaps, resource_claim
from clusterd.sim.wishes import Wishes, claim, group_options

SEPARATOR = "----"
PATIENCE_MS = 60_000
_TOLD = frozenset(
    {
        "lease.gained", "lease.lost", "incarnation.ended", "guard.lost", "host.hung", "host.ended", "quorum.lost",
        "quorum.gained", "node.suspected", "leader.elected", "leader.gives-way", "stale.refused", "disk.filled",
        "run.refused",
    }
)  # fmt: skip
_RESOURCE = re.compile(r"(?P<name>[\w-]+)(?:\((?P<depends>[^)]*)\))?")


class ScenarioFailed(Exception):
    """A command's expectation did not come true, or a line could not be read."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A story and the trace that it should give (None: not written down yet)."""

    text: str
    commands: tuple[tuple[int, str], ...]
    expected: str | None


def parse(text: str) -> Scenario:
    """Commands with their line numbers, and the expectation."""
    story, mark, expected = text.partition(f"\n{SEPARATOR}\n")
    lines = enumerate(story.splitlines(), start=1)
    commands = tuple((number, line.strip()) for number, line in lines if line.strip() and not line.startswith("#"))
    return Scenario(story.rstrip("\n"), commands, expected.rstrip("\n") if mark else None)


def play(scenario: Scenario) -> str:
    """The trace. Raises ScenarioFailed when an `until` or `assert` does not hold, with the trace up to there."""
    teller = _Teller()
    for number, line in scenario.commands:
        try:
            teller.obey(line)
        except (ScenarioFailed, KeyError, ValueError) as error:
            trace = teller.trace() if teller.is_started else ""
            raise ScenarioFailed(f"line {number}: {line}: {error}\n{trace}") from error
    teller.obey("assert one-copy")
    return teller.trace()


class _Teller:
    """Plays one scenario."""

    def __init__(self) -> None:
        self._settings: dict[str, object] = {}
        self._cluster: SimCluster | None = None
        self._said: list[tuple[int, str]] = []
        self._begin_us = 0
        self._wishes: Wishes | None = None
        self._mishaps: Mishaps | None = None
        self._forgetting: Forgetting | None = None
        self._cloning: Cloning | None = None

    @property
    def is_started(self) -> bool:
        return self._cluster is not None

    @property
    def cluster(self) -> SimCluster:
        """The cluster, started at the first command that needs it, and settled before the story begins."""
        if self._cluster is None:
            nodes = self._settings.get("nodes", ("n1", "n2", "n3"))
            cluster = SimCluster(
                SimSettings(
                    nodes=tuple(nodes) if isinstance(nodes, (list, tuple)) else (),
                    profile=str(self._settings.get("profile", "default")),
                    has_fence=bool(self._settings.get("fence", False)),
                    seed=int(str(self._settings.get("seed", 1))),
                )
            )
            self._cluster, self._wishes, self._mishaps = cluster, Wishes(cluster), Mishaps(cluster)
            self._forgetting = Forgetting(cluster)
            self._cloning = Cloning(cluster, self._forgetting.copy_of)
            cluster.start()
            if not cluster.run_until(self._is_settled):
                raise ScenarioFailed("the cluster did not come up")
            cluster.run_for(1000 - cluster.timeline.now_ms % 1000)
            self._begin_us = cluster.timeline.now_us
        return self._cluster

    def _is_settled(self) -> bool:
        cluster = self.cluster
        if cluster.leader() is None:
            return False
        found = [cluster.view().membership(name) for name in cluster.names]
        return all(each is not None and each.state is MembershipState.UP for each in found)

    # ---- commands ----

    def obey(self, line: str) -> None:
        word, *rest = shlex.split(line)
        if word in ("nodes", "profile", "fence", "seed"):
            if self.is_started:
                raise ScenarioFailed(f"{word} stands before everything else")
            values: dict[str, object] = {"nodes": rest, "fence": rest == ["on"]}
            self._settings[word] = values.get(word, rest[0] if rest else "")
            return
        cluster = self.cluster
        if not (word == "assert" and rest == ["one-copy"]):
            self._said.append((cluster.timeline.now_us, f"> {line}"))
        command = getattr(self, f"_do_{word.replace('-', '_')}", None)
        if command is None and self._wishes is not None:
            command, rest = self._wishes.find(word), [self._node(each) for each in rest]
        if command is None and self._mishaps is not None:
            command = self._mishaps.find(word)
        if command is None and self._forgetting is not None:
            command, rest = self._forgetting.find(word), [self._node(each) for each in rest]
        if command is None and self._cloning is not None:
            command = self._cloning.find(word)
        if command is None:
            raise ScenarioFailed(f"there is no command {word}")
        command(*rest)

    def _do_run(self, duration: str) -> None:
        self.cluster.run_for(_milliseconds(duration))

    def _do_group(self, name: str, *options: str) -> None:
        given = dict(option.split("=", 1) for option in options)
        preferred = tuple(given.pop("preferred", "").split(",")) if "preferred" in given else ()
        resources = {}
        for match in _RESOURCE.finditer(given.pop("resources", name)):
            resources[match["name"]] = _expression(match["depends"] or "")
        live = frozenset(given.pop("live", "").split(","))
        disks = frozenset(given.pop("disks", "").split(","))
        given, group_properties = group_options(given)
        result = self.cluster.add_group(
            name,
            resources,
            preferred=preferred,
            properties=_properties(given),
            group_properties=group_properties,
            live=live,
            disks=disks & resources.keys(),
        )
        if result is None or not result.succeeded:
            raise ScenarioFailed("the group was not committed")

    def _do_until(self, *words: str) -> None:
        patience_ms = PATIENCE_MS
        if "within" in words:
            at = words.index("within")
            patience_ms, words = _milliseconds(words[at + 1]), words[:at]
        is_true = self._claim(words)
        if not self.cluster.run_until(is_true, patience_ms=patience_ms):
            raise ScenarioFailed(f"still not {' '.join(words)} after {patience_ms} ms")

    def _do_assert(self, *words: str) -> None:
        if not self._claim(words)():
            raise ScenarioFailed(f"not {' '.join(words)}: {self.cluster.overlaps()} {self.cluster.breaches()}")

    def _claim(self, words: tuple[str, ...]) -> Callable[[], bool]:
        cluster = self.cluster
        found = (
            claim(cluster, words)
            or resource_claim(cluster, words)
            or memory_claim(cluster, words)
            or clone_claim(cluster, words)
        )
        if found is not None:
            return found
        match words:
            case ("one-copy",):
                return lambda: not cluster.overlaps() and not cluster.breaches()
            case ("committed",):
                return self._is_committed
            case ("leader",):
                return lambda: cluster.leader() is not None
            case ("no-leader",):
                return lambda: cluster.leader() is None
            case ("leader", name):
                return lambda: cluster.leader() == name
            case ("group", name, "online"):
                return lambda: cluster.is_online(name)
            case ("group", name, "online", "on", node):
                return lambda: cluster.is_online(name, on=node)
            case ("group", name, state):
                return lambda: cluster.group_state(name)[0] == state
            case ("resource", name, "runs", "on", node):
                return lambda: any(run.node == node for run in cluster.ledger.running(name))
            case ("resource", name, "rests"):
                return lambda: not cluster.ledger.running(name)
            case ("resource", name, state):
                return lambda: self._resource_state(name) == state
            case ("node", name, state):
                return lambda: self._member_state(name) == state
            case _:
                raise ScenarioFailed(f"there is no claim {' '.join(words)}")

    def _is_committed(self) -> bool:
        nodes = [machine.node for machine in self.cluster.machines.values() if machine.node is not None]
        return all(
            node.replica.view.revision_of(key) > 0 for node in nodes for key in self.cluster.acknowledged
        ) and bool(self.cluster.acknowledged)

    def _resource_state(self, name: str) -> str:
        record = self.cluster.view().resource(name)
        return self.cluster.resource_states(record.group).get(name, "") if record is not None else ""

    def _member_state(self, name: str) -> str:
        record = self.cluster.view().membership(name)
        return record.state if record is not None else ""

    # faults

    def _do_kill(self, name: str, what: str = "node") -> None:
        self.cluster.kill(self._node(name), what)

    def _do_start(self, *names: str) -> None:
        self.cluster.start(*(self._node(name) for name in names))

    def _do_stop(self, name: str) -> None:
        self.cluster.stop(self._node(name))

    def _do_freeze(self, name: str, what: str = "daemon") -> None:
        self.cluster.freeze(self._node(name), what)

    def _do_thaw(self, name: str, what: str = "daemon") -> None:
        self.cluster.thaw(self._node(name), what)

    def _do_cut(self, *words: str) -> None:
        one, other = (self._node(word) for word in words if word != "--one-way")
        self.cluster.cut(one, other, one_way="--one-way" in words)

    def _do_isolate(self, name: str) -> None:
        self.cluster.isolate(self._node(name))

    def _do_heal(self, *pair: str) -> None:
        self.cluster.heal(*pair)

    def _do_slow_disk(self, name: str, extra: str) -> None:
        self.cluster.disks.slow(self._node(name), _milliseconds(extra))

    def _do_fill_disk(self, name: str) -> None:
        self.cluster.disks.fill(self._node(name))

    def _do_break_disk(self, name: str) -> None:
        self.cluster.disks.break_down(self._node(name))

    def _do_free_disk(self, name: str) -> None:
        self.cluster.disks.free(self._node(name))

    def _do_network(self, *options: str) -> None:
        for option in options:
            key, _, value = option.partition("=")
            setattr(self.cluster.network.dials, key, float(value))

    def _do_dial(self, resource: str, *options: str) -> None:
        given: dict[str, object] = {}
        for option in options:
            key, _, value = option.partition("=")
            given[key] = frozenset(value.split(",")) if key.endswith("_on") else (int(value) if value else True)
        self.cluster.dials[resource] = Dials(**given)  # type: ignore[arg-type]  # names are checked by the call itself

    def _do_fail(self, resource: str) -> None:
        """The workload dies by itself."""
        hosts = [
            host for machine in self.cluster.machines.values() if machine.guard for host in machine.guard.hosts.values()
        ]
        if not any(host.fail_workload(resource) for host in hosts):
            raise ScenarioFailed(f"{resource} runs nowhere")

    # operators

    def _do_delete(self, group: str) -> None:
        cluster = self.cluster
        view = cluster.view()
        names = [each.name for each in view.resources_of(group)]
        result = cluster.commit(lambda draft: cluster.delete_group(draft, group, names))
        if result is None or not result.succeeded:
            raise ScenarioFailed("the deletion was not committed")

    def _do_commit(self, at: str) -> None:
        self.cluster.mark_soon(self._node(at))

    def _node(self, name: str) -> str:
        """A node by name, or by what it is now: `leader`, `follower` (the first), `owner:GROUP`."""
        if name == "leader":
            return self.cluster.leader() or ""
        if name == "follower":
            leader = self.cluster.leader()
            return next(each for each in self.cluster.names if each != leader)
        if name.startswith("owner:"):
            return self.cluster.group_state(name.removeprefix("owner:"))[1]
        return name

    # ---- the trace ----

    def trace(self) -> str:
        lines = [*((at_us, 0, text) for at_us, text in self._said), *self._notes(), *self._events(), *self._runs()]
        return "\n".join(
            f"{(at_us - self._begin_us) / 1_000_000:7.1f}s {text}".rstrip()
            for at_us, _, text in sorted(lines, key=lambda each: each[:2])
            if at_us >= self._begin_us
        )

    def _notes(self) -> Iterator[tuple[int, int, str]]:
        for each in self.cluster.trace:
            if each.note.event.name in _TOLD:
                values = " ".join(f"{key}={_plain(value)}" for key, value in each.note.values if not _is_number(key))
                yield each.at_us, 2, f"  {each.node:4} {each.note.event.name:22} {values}"

    def _events(self) -> Iterator[tuple[int, int, str]]:
        for each in self.cluster.events:
            because = f": {_plain(each.event.because)}" if each.event.because else ""
            yield each.at_us, 3, f"  db   {each.event.name:22} {_plain(each.event.message)}{because}"

    def _runs(self) -> Iterator[tuple[int, int, str]]:
        for run in self.cluster.ledger.runs:
            what = f"{run.resource} generation={run.generation}"
            yield run.started_us, 1, f"  {run.node:4} {'GOES ON' if run.goes_on else 'RUNS':22} {what}"
            if run.ended_us is not None:
                yield run.ended_us, 1, f"  {run.node:4} {'ENDS':22} {what}"


def _milliseconds(text: str) -> int:
    return parse_duration(text, unit="ms")


def _expression(text: str) -> str:
    """`a and b` or `a or b` in the scenario's short form, as the dependency grammar wants it."""
    names = re.sub(r"([\w-]+)", lambda match: match[0] if match[0] in ("and", "or") else f"[{match[0]}]", text)
    return f"({names})" if " or " in names else names


def _properties(given: dict[str, str]) -> Properties:
    return {key: int(value) if value.isdigit() else value for key, value in given.items()}


def _plain(value: object) -> str:
    """Measured times differ from one version to the next; they are not the story."""
    return re.sub(r"\b\d+ ms", "… ms", str(value))


def _is_number(key: str) -> bool:
    return key.endswith("_ms") or key in ("count", "reachable")


__all__ = ["Scenario", "ScenarioFailed", "parse", "play"]
