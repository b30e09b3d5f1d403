"""A trial node of each kind of containment, on which no process may outlive its test."""

import tempfile
from collections.abc import Iterator

import pytest

from clusterd.adapters.containment import CGROUP, KIND_VARIABLE, PROCESS_TREE
from clusterd.adapters.containment_cgroup import usable_cgroup
from tests.guard.survivors import Marked

KINDS = [CGROUP, PROCESS_TREE]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    chosen = str(request.param)
    if chosen == CGROUP and usable_cgroup() is None:
        pytest.skip("this user may not make a cgroup v2 with cgroup.kill")
    monkeypatch.setenv(KIND_VARIABLE, chosen)
    return chosen


@pytest.fixture
def run_dir() -> Iterator[str]:
    """Short, because the path of a Unix socket is."""
    with tempfile.TemporaryDirectory(prefix="gt-", dir="/tmp") as folder:
        yield folder


@pytest.fixture
def log() -> Iterator[int]:
    """Where guard and hosts log to: a file that a failing test can be read with."""
    with tempfile.TemporaryFile() as file:
        yield file.fileno()
        file.seek(0)
        print(file.read().decode(errors="replace"))


@pytest.fixture
def marked() -> Iterator[Marked]:
    marked = Marked()
    yield marked
    survivors = [] if marked.gone_within(2000) else marked.kill()
    assert survivors == [], "processes outlived the test"
