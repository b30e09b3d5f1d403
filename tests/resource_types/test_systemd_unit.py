"""What a unit's states mean, and how long it may take to stop. systemd's part is played: its answers are data."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from clusterd.resource_api import CannotTell, Context, Exit, Finished, Health, ResourceFailed, StartRefused
from resource_types.systemd_unit import SystemdUnit, _span_ms

GROUP = "/system.slice/web.service"


class Played:
    """A context whose processes answer for systemctl; `states` come one after another, the last for good."""

    def __init__(self, *states: dict[str, str] | None, refuses: bool = False) -> None:
        self.properties = {"unit": "web"}
        self.states = list(states)
        self.refuses = refuses
        self.asked: list[str] = []
        self.adopted: list[str] = []
        self.progresses = 0
        self.left_ms = 60_000
        self.processes = self

    def run(self, command: Sequence[str], *, timeout_ms: int, ends_all: bool) -> Finished:
        assert command[0] == "systemctl" and ends_all
        self.asked.append(command[1])
        if self.refuses:
            raise StartRefused("there is no command systemctl")
        if command[1] != "show":
            return Finished(Exit(status=0), "")
        state = self.states[0] if len(self.states) == 1 else self.states.pop(0)
        if state is None:
            return Finished(Exit(status=1), "Failed to get properties: Connection timed out")
        return Finished(Exit(status=0), "\n".join(f"{name}={value}" for name, value in state.items()))

    def adopt(self, group: str) -> None:
        self.adopted.append(group)

    def remaining_ms(self) -> int:
        return 1000

    def longest_ms(self) -> int:
        return self.left_ms

    def pause(self, duration_ms: int) -> None:
        self.left_ms -= duration_ms

    def progress(self, message: str) -> None:
        self.progresses += 1


def state(active: str, sub: str = "running", **more: str) -> dict[str, str]:
    return {"LoadState": "loaded", "ActiveState": active, "SubState": sub, "ControlGroup": GROUP, **more}


@pytest.fixture
def runs(tmp_path: Path) -> str:
    return str(tmp_path)


def unit(played: Played, runs: str) -> SystemdUnit:
    return SystemdUnit(cast(Context, cast(Any, played)), runs)


@pytest.mark.parametrize("active", ["active", "reloading", "refreshing"])
def test_it_runs(runs: str, active: str) -> None:
    assert unit(Played(state(active)), runs).health() is Health.YES


@pytest.mark.parametrize("active", ["inactive", "failed"])
def test_it_does_not(runs: str, active: str) -> None:
    with pytest.raises(ResourceFailed, match=active):
        unit(Played(state(active, "dead")), runs).health()


@pytest.mark.parametrize(
    ("played", "words"),
    [
        (Played(state("activating", "start")), "activating"),
        (Played(state("deactivating", "stop-sigterm")), "deactivating"),
        (Played(None), "systemd did not answer: Failed to get properties: Connection timed out"),
        (Played(state("active"), refuses=True), "systemctl could not be run"),
    ],
)
def test_nobody_can_tell(runs: str, played: Played, words: str) -> None:
    with pytest.raises(CannotTell, match=words):
        unit(played, runs).health()


def test_a_one_shot_that_stays_active_has_nothing_to_contain(runs: str) -> None:
    before = state("inactive", "dead", ControlGroup="")
    played = Played(before, state("active", "exited", ControlGroup=""))
    unit(played, runs).start()
    assert played.adopted == [GROUP] and "kill" not in played.asked


@pytest.mark.parametrize(
    ("after", "words"),
    [
        (state("active", "running", ControlGroup="/other.slice/web.service"), "could not be contained"),
        (state("active", "running", ControlGroup=""), "could not be contained"),
        (state("inactive", "dead", ControlGroup=""), "inactive"),
    ],
)
def test_what_cannot_be_contained_is_refused(runs: str, after: dict[str, str], words: str) -> None:
    with pytest.raises(ResourceFailed, match=words):
        unit(Played(state("inactive", "dead", ControlGroup=""), after), runs).start()


def test_a_stop_may_take_as_long_as_the_unit_allows(runs: str) -> None:
    stopping = state("deactivating", "stop-sigterm", TimeoutStopUSec="1min 30s")
    played = Played(*[stopping] * 200, state("inactive", "dead"))
    unit(played, runs).stop()
    assert played.progresses >= 198 and "stop" in played.asked


@pytest.mark.parametrize(("limit", "left_ms"), [("1s", 60_000), ("infinity", 2000)])
def test_a_stop_that_does_not_end_is_told(runs: str, limit: str, left_ms: int) -> None:
    played = Played(state("deactivating", "stop-sigterm", TimeoutStopUSec=limit))
    played.left_ms = left_ms
    with pytest.raises(ResourceFailed, match="deactivating \\(stop-sigterm\\) still"):
        unit(played, runs).stop()


@pytest.mark.parametrize(
    ("text", "span_ms"),
    [
        ("90s", 90_000),
        ("1min 30s", 90_000),
        ("1.5s", 1500),
        ("infinity", 86_400_000),
        ("", 86_400_000),
        ("0", 86_400_000),
    ],
)
def test_spans(text: str, span_ms: int) -> None:
    assert _span_ms(text) == span_ms
