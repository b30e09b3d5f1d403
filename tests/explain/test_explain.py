"""What `explain` says in every situation, word for word (`--regenerate` writes it anew; review the diff)."""

import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from situations import NOW_MS, SITUATIONS, PretendCluster, healthy, node

from clusterd.api import causes
from clusterd.api.causes import why_group_is_not_running
from clusterd.api.explain import explain_group, explain_node, explain_resource
from clusterd.api.finding import observe
from clusterd.cli.explanations import lines_of
from clusterd.database import Draft
from clusterd.model.records import PauseRequest

FOLDER = Path(__file__).parent / "told"
SCREEN_LINES = 40

RULES = {
    "running": None,
    "no-quorum": "no-quorum",
    "no-resources": "no-resources",
    "stuck": "stuck",
    "not-wanted": "not-wanted",
    "not-wanted-and-stopping": "not-wanted",
    "hands-off": "hands-off",
    "owner-unproven": "owner-unproven",
    "no-node": "no-node",
    "physical-resources-lacking": "no-node",
    "anti-affinity-conflict": "no-node",
    "waiting-to-start": "held",
    "waiting-for-dependencies": "held",
    "waiting-for-node": "held",
    "preempted": "held",
    "no-auto-start": "held",
    "leaving": "leaving",
    "coming-online": "coming-online",
    "restarted-soon": "failed",
    "failed-for-good": "failed",
    "ended-by-itself": "ended-by-itself",
    "failovers-used-up": "failed",
    "online-again-after-it-was-given-up": None,
    "provider-taken-offline-while-wanted": "resource-state",
    "a-move-waits-in-the-queue": None,
    "hands-off-waits-for-a-restart": "coming-online",
}


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize("name", SITUATIONS)
def test_told(name: str, request: pytest.FixtureRequest) -> None:
    cluster = healthy()
    SITUATIONS[name](cluster)
    view, status = cluster.view(), cluster.status()
    told = lines_of("group", explain_group(view, status, "web"))
    assert len(told) <= SCREEN_LINES
    if view.resource("web-server") is not None:
        told += ["", "--", "", *lines_of("resource", explain_resource(view, status, "web-server"))]
    text = "\n".join(line.rstrip() for line in told) + "\n"
    path = FOLDER / f"{name}.txt"
    if request.config.getoption("--regenerate"):
        path.write_text(text)
        return
    assert path.exists(), f"write it with: pytest tests/explain -k {name} --regenerate"
    assert text == path.read_text()


@pytest.mark.parametrize(("name", "rule"), RULES.items())
def test_the_first_reason_that_holds(name: str, rule: str | None) -> None:
    cluster = healthy()
    SITUATIONS[name](cluster)
    found = why_group_is_not_running(cluster.view(), cluster.status(), observe(cluster.view(), cluster.status(), "web"))
    assert (found.rule if found else None) == rule


def test_every_file_belongs_to_a_situation() -> None:
    assert {path.stem for path in FOLDER.glob("*.txt")} == set(SITUATIONS)


def test_an_explanation_comes_from_records_only() -> None:
    """Another node, after a restart of everything, tells the same."""
    cluster = healthy()
    SITUATIONS["stays-since-the-home-is-down"](cluster)
    status = cluster.status()
    before = explain_group(cluster.view(), status, "web")
    restored = type(cluster.database).restore(cluster.database.snapshot(), cluster.database.revision)
    cluster.view().replace(restored)
    assert explain_group(cluster.view(), status, "web") == before


def told_of_node(cluster: PretendCluster, name: str) -> str:
    return "\n".join(lines_of("node", explain_node(cluster.view(), cluster.status(), name)))


def test_a_node_tells_how_it_was_lost_and_how_often() -> None:
    cluster = healthy()
    cluster.lose("n1")
    member = cluster.view().membership("n1")
    assert member is not None
    cluster.write(Draft(cluster.view()).put(replace(member, exits=(NOW_MS - 90_000, NOW_MS - 1000))))
    told = told_of_node(cluster, "n1")
    assert "last heartbeat of n1" in told and "evidence (fenced)" in told
    assert "lost without a clean stop: 2 times, last at 2026-01-01 00:09:59.000" in told


@pytest.mark.parametrize(
    ("changed", "then"),
    [
        ({"pause": PauseRequest("p-1")}, "next: it may gain nothing until: clusterctl node resume n1"),
        ({"pause": None}, "next: nothing: it is as it should be"),
    ],
)
def test_a_node_tells_what_comes_next(changed: dict[str, Any], then: str) -> None:
    cluster = healthy()
    node(cluster, "n1", **changed)
    assert then in told_of_node(cluster, "n1")


def test_the_manual_names_every_reason() -> None:
    manual = (Path(__file__).parents[2] / "docs" / "operations" / "why.md").read_text()
    code = Path(causes.__file__).read_text()
    rules = set(re.findall(r'Reason\(\s*"([a-z-]+)"', code)) | {"no-node", "held"}
    assert rules >= {rule for rule in RULES.values() if rule}
    assert {rule for rule in rules if f"`{rule}`" not in manual} == set()
