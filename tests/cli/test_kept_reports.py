"""Are kept reports told as they were told when they were made?"""

from collections.abc import Callable
from typing import Any

import pytest

from clusterd.cli.reports import list_lines, protection_lines

Run = Callable[..., Any]
JUDGED: dict[str, Any] = {
    "name": "shop",
    "definition": "/srv/shop.toml",
    "owners": ["n1", "n2"],
    "refusals": [],
    "warnings": ["only because they are on one machine"],
    "disks": ["shop-disk"],
    "memory_mib": 128,
    "cores": 1,
}


def told(plan: dict[str, Any] | None, **judged: Any) -> str:
    report = {"when": "2026-01-01T00:00:00Z", "node": "n1", "judgement": {**JUDGED, **judged}, "plan": plan}
    return "\n".join(protection_lines(report))


def test_a_machine_that_was_protected() -> None:
    machine = {"name": "shop", "type": "virtual_machine", "depends_on": "[shop-disk]"}
    text = told({"group": "stores", "joins": True, "warnings": ["it joins group stores"], "resources": [machine]})
    assert "shop: 128 MiB, 1 core, possible owners n1, n2" in text
    assert "warning: it joins group stores" in text
    assert "joined group stores with\n    shop (virtual_machine, depends on [shop-disk])" in text


def test_a_machine_that_was_refused() -> None:
    text = told(None, refusals=["no node has the definition"])
    assert "refused: no node has the definition" in text
    assert "warning: only because they are on one machine" in text


def test_the_list_says_of_what_and_when() -> None:
    lines = list_lines({"as_of": {"node": "n1"}, "reports": ["protect-00001795258651850"]})
    assert lines[1].split()[:3] == ["protect-00001795258651850", "protect", "2026-11-21"]


@pytest.mark.usefixtures("served")
def test_a_node_that_keeps_none(clusterctl: Run) -> None:
    assert "has kept no report" in clusterctl("reports").out
    refused = clusterctl("reports", "validation-1")
    assert (refused.code, "there is no report validation-1" in refused.err) == (3, True)
