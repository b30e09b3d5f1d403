"""A question changes nothing: whatever is asked, the whole brain is afterwards what it was before."""

import random
from collections.abc import Callable
from dataclasses import replace
from types import FunctionType, MethodType, ModuleType
from typing import Any

import pytest

from clusterd.model.states import ResourceState, Wanted
from clusterd.node.questions import Questions
from clusterd.sim import SimCluster, SimSettings
from clusterd.sim.machine import Machine

KEPT_ANSWERS = {"_decoded", "_order", "_resources_by_group", "_resources_as_of", "_timeline"}
"""What the database has decoded or sorted already: that may grow with a question."""


def fingerprint(value: Any) -> str:
    """Everything that can be reached from `value`, as text."""
    seen: dict[int, int] = {}

    def words(each: Any) -> str:
        if each is None or isinstance(
            each, str | int | float | bytes | bool | type | FunctionType | MethodType | ModuleType
        ):
            return repr(each) if not callable(each) else "code"
        if id(each) in seen:
            return f"#{seen[id(each)]}"
        seen[id(each)] = len(seen)
        if isinstance(each, random.Random):
            return str(hash(each.getstate()))
        if isinstance(each, dict):
            return "{" + ",".join(f"{words(key)}:{words(item)}" for key, item in each.items()) + "}"
        if isinstance(each, set | frozenset):
            return "{" + ",".join(sorted(map(repr, each))) + "}"
        if isinstance(each, list | tuple) or type(each).__name__ == "deque":
            return "[" + ",".join(words(item) for item in each) + "]"
        if hasattr(each, "SerializeToString"):
            return repr(each.SerializeToString(deterministic=True))
        names = [*getattr(each, "__dict__", {})]
        names += [name for kind in type(each).__mro__ for name in getattr(kind, "__slots__", ())]
        parts = [f"{name}={words(getattr(each, name, None))}" for name in names if name not in KEPT_ANSWERS]
        return f"{type(each).__name__}({','.join(parts)})"

    return words(value)


def _machine() -> tuple[SimCluster, Machine]:
    cluster = SimCluster(SimSettings(seed=5))
    cluster.start()
    cluster.run_for(3000)
    cluster.add_group("web", {"data": "", "server": "[data]"}, preferred=("n1",))
    assert cluster.run_until(lambda: cluster.is_online("web", on="n1"))
    return cluster, cluster.machines[cluster.names[0]]


def _want(cluster: SimCluster, wanted: Wanted) -> None:
    group = cluster.view().group("web")
    assert group is not None
    cluster.commit(lambda draft: draft.replace(replace(group, wanted=wanted)))


def _all_well(cluster: SimCluster, machine: Machine) -> None:
    cluster.run_for(500)


def _host_gone(cluster: SimCluster, machine: Machine) -> None:
    machine.crash_host("shared")


def _offline_and_host_gone(cluster: SimCluster, machine: Machine) -> None:
    _want(cluster, Wanted.OFFLINE)
    cluster.run_until(lambda: cluster.resource_states("web")["data"] is ResourceState.OFFLINE)
    machine.crash_host("shared")


@pytest.mark.parametrize("befell", [_all_well, _host_gone, _offline_and_host_gone])
def test_no_question_changes_anything(befell: Callable[[SimCluster, Machine], None]) -> None:
    cluster, machine = _machine()
    befell(cluster, machine)
    assert machine.node is not None
    asked, before = Questions(machine.node), fingerprint(machine.node)
    now_ms = machine.clock_ms()
    for resource in ("data", "Server", "nothing"):
        asked.host_of(resource)
    assert asked.status(now_ms, version="1", quorum_since_wall_ms=0).node == asked.me
    assert asked.is_quorate in (True, False) and asked.revision > 0
    list(asked.view().nodes())
    assert fingerprint(machine.node) == before


def test_after_a_question_about_what_no_host_serves_everything_starts() -> None:
    """As it was found: logs of one resource, and nothing started on that node any more."""
    cluster, machine = _machine()
    _offline_and_host_gone(cluster, machine)
    assert machine.node is not None
    assert Questions(machine.node).host_of("server") is None
    _want(cluster, Wanted.ONLINE)
    assert cluster.run_until(lambda: cluster.is_online("web", on="n1"), patience_ms=5000)
