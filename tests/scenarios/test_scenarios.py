"""Every story in this folder: the commands, and the trace that they must give (`--regenerate` writes it anew)."""

import difflib
from pathlib import Path

import pytest

from clusterd.sim.scenario import SEPARATOR, parse, play

STORIES = sorted(Path(__file__).parent.glob("*.txt"))


@pytest.mark.parametrize("path", STORIES, ids=lambda path: path.stem)
def test_scenario(path: Path, request: pytest.FixtureRequest) -> None:
    scenario = parse(path.read_text())
    trace = play(scenario)
    if request.config.getoption("--regenerate"):
        path.write_text(f"{scenario.text}\n{SEPARATOR}\n{trace}\n")
        return
    replay = f"pytest {path.parent.parent.name}/{path.parent.name} -k {path.stem}"
    assert scenario.expected is not None, f"{path.name} has no expectation; write it with: {replay} --regenerate"
    if trace != scenario.expected:
        lines = difflib.unified_diff(
            scenario.expected.splitlines(), trace.splitlines(), "expected", "now", lineterm="", n=2
        )
        pytest.fail(f"{path.name} tells another story; replay with: {replay}\n" + "\n".join(lines), pytrace=False)


def test_there_are_stories() -> None:
    assert len(STORIES) >= 30
