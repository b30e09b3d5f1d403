"""Labs of stand-in programs, each in a root of its own, none of which leaves a process behind."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clusterd.lab.control import end_lab, start_launcher, wait_quorate
from clusterd.lab.locks import ROOT_VARIABLE
from clusterd.lab.options import LabOptions
from tests.lab.seen import PROGRAMS, WAIT_MAX_S, LabSeen, wait_for


@pytest.fixture
def lab_root(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    root = Path(tempfile.mkdtemp(prefix="lt-", dir="/tmp"))
    monkeypatch.setenv(ROOT_VARIABLE, str(root))
    yield root
    shutil.rmtree(root)


@pytest.fixture
def make_lab(lab_root: Path) -> Iterator[Callable[..., LabSeen]]:
    """Starts labs of stand-ins; afterwards everything that was ever seen of them must be gone."""
    labs: list[tuple[LabSeen, Any]] = []

    def make(name: str = "t", *, node_count: int = 1, **options: Any) -> LabSeen:
        chosen = LabOptions(name=name, node_count=node_count, **{"programs": PROGRAMS, **options})
        record, watcher = start_launcher(chosen)
        lab = LabSeen(record, watcher.pid)
        labs.append((lab, watcher))
        wait_quorate(record, wait_max_ms=WAIT_MAX_S * 1000, progress=lambda _: None)
        return lab

    yield make
    for lab, watcher in labs:
        if lab.record.is_running:
            lab.note_processes()
            end_lab(lab.record, wait_max_ms=WAIT_MAX_S * 1000)
        watcher.wait(WAIT_MAX_S)
        watcher.stdin.close()
        watcher.stdout.close()
        try:
            wait_for("no process left", lambda lab=lab: not lab.still_alive())
        finally:
            lab.kill_survivors()  # a failing test leaves nothing behind either
