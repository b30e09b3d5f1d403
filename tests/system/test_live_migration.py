"""Real nodes hand a running thing over: it goes on where it stood still, and never runs twice."""

import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from bench.labs import lab
from clusterd.checkers import Life, overlaps

pytestmark = [pytest.mark.lab]

PLUGINS = str(Path(__file__).parents[1] / "reshost" / "plugins")
WITHIN_S = 20.0
PATIENT = {"properties": {"same_subnet_threshold": 60, "run_lease": "15s"}}
"""A busy machine needs its time to start a daemon: that is not what is asked here."""


def counter(folder: Path, *, slow: str = "0ms", name: str = "counter", **properties: Any) -> dict[str, Any]:
    (folder / name).mkdir()
    config = {"folder": str(folder / name), "slow": slow}
    base = {"name": f"{name}-base", "type": "generic_service", "properties": {"command": ["sleep", "100000"]}}
    scenery = {"name": f"{name}-scenery", "type": "scenery", "depends_on": f"[{name}-base]"}
    mover = {"name": f"{name}-r", "type": "mover", "depends_on": f"[{name}-scenery]", "properties": config}
    resources = [base, scenery, mover]
    return {"name": name, "preferred_owners": ["n1", "n2"], "properties": properties, "resources": resources}


def test_it_goes_on_elsewhere_and_the_blackout_is_told(tmp_path: Path) -> None:
    with lab(plugins=PLUGINS) as running:
        running.apply({"groups": [counter(tmp_path)]})
        running.ctl("group", "move", "counter", "n2", "--kind", "live")
        group = running.group("counter")
        assert (group["state"], group["owner"], group["generation"]) == ("online", "n2", 2)
        assert group["migration"]["state"] == "done"
        assert 0 < group["migration"]["blackout_ms"] < 2000
        running.ctl("node", "drain", "n2")
        assert running.group("counter")["owner"] != "n2"
        time.sleep(0.2)
        assert is_unbroken(tmp_path)
        assert overlaps(lives(tmp_path)) == []
        explained = running.ctl("explain", "group", "counter")
        assert any("goes on here as it ran" in step["text"] for step in explained["chain"])


def test_a_cancelled_migration_and_one_whose_destination_dies(tmp_path: Path) -> None:
    with lab(plugins=PLUGINS) as running:
        running.apply({"groups": [counter(tmp_path, slow="10s")]})
        running.ctl("group", "move", "counter", "n2", "--kind", "live", "--no-wait")
        until(lambda: (running.group("counter")["migration"] or {}).get("percent", 0) >= 10, "it shows how far it is")
        assert "migrating" in running.group("counter")["status"]
        running.ctl("group", "move", "counter", "--cancel")
        until(lambda: running.group("counter")["migration"]["state"] == "failed", "it is cancelled")
        until(lambda: "migrating" not in running.group("counter")["status"], "it is over")
        running.ctl("group", "move", "counter", "n2", "--kind", "live", "--no-wait")
        until(lambda: (running.group("counter")["migration"] or {}).get("percent", 0) >= 10, "it is under way again")
        running.ctl("lab", "kill", "n2")
        until(lambda: "migrating" not in running.group("counter")["status"], "it is over")
        group = running.group("counter")
        assert (group["state"], group["owner"], group["generation"]) == ("online", "n1", 1)
        assert is_unbroken(tmp_path)


def test_daemons_on_both_ends_restart_in_the_midst_of_it(tmp_path: Path) -> None:
    with lab(plugins=PLUGINS) as running:
        running.apply({"cluster": PATIENT, "groups": [counter(tmp_path, slow="6s")]})
        running.ctl("group", "move", "counter", "n2", "--kind", "live", "--no-wait")
        until(lambda: (running.group("counter")["migration"] or {}).get("percent", 0) >= 10, "it is under way")
        for node in ("n1", "n2"):
            running.ctl("lab", "kill", node, "--what", "daemon")
            running.ctl("lab", "start", node)
        running.ctl("wait", "--for", "group counter online on n2", "--timeout", "40s")
        time.sleep(0.2)
        assert is_unbroken(tmp_path)
        assert overlaps(lives(tmp_path)) == []


def test_what_cannot_migrate_live_is_refused(tmp_path: Path) -> None:
    with lab(plugins=PLUGINS) as running:
        resource = {"name": "web-r", "type": "generic_service", "properties": {"command": ["sleep", "100000"]}}
        running.apply({"groups": [{"name": "web", "preferred_owners": ["n1"], "resources": [resource]}]})
        with pytest.raises(SystemExit, match=r"3: .*cannot migrate live"):
            running.ctl("group", "move", "web", "n2", "--kind", "live")
        running.ctl("group", "move", "web", "n2", "--kind", "turn-off")
        assert running.group("web")["owner"] == "n2"


def lines(folder: Path) -> list[list[str]]:
    return [line.split() for line in (folder / "counter" / "ledger").read_text().splitlines()]


def is_unbroken(folder: Path) -> bool:
    """Nothing was lost, and nothing ran twice."""
    counts = [int(words[-1]) for words in lines(folder)]
    breaks = [(before, after) for before, after in pairwise(counts) if after != before + 1]
    assert breaks == [], [words for words in lines(folder) if int(words[-1]) in breaks[0]]
    return True


def lives(folder: Path) -> list[Life]:
    """From the first line of a generation to its last."""
    found: dict[tuple[str, int], list[int]] = {}
    for at, node, generation, _ in lines(folder):
        found.setdefault((node, int(generation)), []).append(int(at))
    return [Life("counter", node, number, min(times), max(times)) for (node, number), times in found.items()]


def until(is_true: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + WITHIN_S
    while not is_true():
        assert time.monotonic() < end, what
        time.sleep(0.1)
