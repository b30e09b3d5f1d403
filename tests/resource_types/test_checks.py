"""Checks that cannot be made, that hang, and that leave something behind: real processes in both kinds of containment."""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clusterd.wire import host_pb2
from tests.guard.survivors import Marked
from tests.reshost.conftest import Bench, contained

__all__ = ["contained"]

DONE = host_pb2.OUTCOME_DONE
YES, NO, UNKNOWN = host_pb2.HEALTH_YES, host_pb2.HEALTH_NO, host_pb2.HEALTH_UNKNOWN
PYTHON = [sys.executable, "-S", "-E", "-I", "-c"]
Check = Callable[[Bench], Any]


@pytest.fixture
def probe(tmp_path: Path) -> Path:
    """A health command, and a script."""
    path = tmp_path / "probe"
    path.write_text("#!/bin/sh\nexit 0\n")
    path.chmod(0o755)
    return path


def checked(kind: str, probe: Path, **more: Any) -> tuple[str, dict[str, Any]]:
    if kind == "script":
        return "generic_script", {"script_filepath": str(probe), "check_timeout": 300}
    health = ["sh", "-c", f"{probe} is_alive"] if kind == "shell" else [str(probe), "is_alive"]
    return "generic_service", {"command": ["sleep", "1000"], "health_command": health, "health_timeout": 300, **more}


async def health(bench: Bench, type_name: str) -> host_pb2.CallResult:
    return await bench.call("is_alive", type_name)


# ---- checks that cannot be made ----


@pytest.mark.parametrize("kind", ["service", "shell", "script"])
@pytest.mark.parametrize("how", ["busy", "renamed", "not executable", "no interpreter"])
async def test_a_check_that_cannot_be_made_says_so(bench: Bench, probe: Path, kind: str, how: str) -> None:
    type_name, properties = checked(kind, probe)
    assert (await bench.call("online", type_name, **properties)).outcome == DONE
    assert (await health(bench, type_name)).health == YES
    whole = probe.read_text()
    if how == "busy":
        shutil.copy("/bin/true", probe)  # a script that is open for writing is run all the same
        busy = os.open(probe, os.O_WRONLY)
    elif how == "renamed":
        probe.rename(probe.with_suffix(".new"))
    elif how == "not executable":
        probe.chmod(0o644)
    else:
        probe.write_text("#!/no/such/interpreter\n")
    answer = await health(bench, type_name)
    assert (answer.health, bool(answer.message)) == (UNKNOWN, True)
    if how == "busy":
        os.close(busy)
    elif how == "renamed":
        probe.with_suffix(".new").rename(probe)
    probe.write_text(whole)
    probe.chmod(0o755)
    assert (await health(bench, type_name)).health == YES


async def test_it_is_told_once_and_fails_nothing_by_itself(bench: Bench, probe: Path) -> None:
    bench.node.deadlines.is_alive_interval_ms = 20
    type_name, properties = checked("service", probe)
    assert (await bench.call("online", type_name, **properties)).outcome == DONE
    away = probe.with_suffix(".away")
    probe.rename(away)
    doubt = await bench.told(host_pb2.RESOURCE_EVENT_KIND_DOUBT)
    assert "the health command could not be run" in doubt.message and str(probe) in doubt.message
    bench.host.events.clear()
    away.rename(probe)
    assert (await bench.told(host_pb2.RESOURCE_EVENT_KIND_DOUBT)).message == ""
    assert [each.kind for each in bench.host.events] == [host_pb2.RESOURCE_EVENT_KIND_DOUBT]


async def test_a_ready_command_may_be_replaced_while_it_is_asked(bench: Bench, probe: Path, tmp_path: Path) -> None:
    away = probe.with_suffix(".away")
    probe.rename(away)
    command = ["sh", "-c", f"sleep 0.5; mv {away} {probe}; exec sleep 1000"]
    answer = await bench.call("online", "generic_service", command=command, ready={"command": [str(probe)]})
    assert answer.outcome == DONE, answer.message


async def test_a_script_without_checks_is_taken_at_its_word(bench: Bench, probe: Path) -> None:
    probe.write_text('#!/bin/sh\ncase "$1" in online|offline) exit 0;; *) exit 3;; esac\n')
    await bench.call("online", "generic_script", script_filepath=str(probe))
    assert (await bench.call("looks_alive", "generic_script")).health == UNKNOWN
    assert (await bench.call("is_alive", "generic_script")).health == YES


# ---- what checks leave behind ----


@pytest.mark.parametrize("kind", ["service", "script"])
@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("sleep {0}", NO),
        ("sleep {0} & sleep {0}", NO),
        ("(setsid sleep {0} &) ; exit 0", YES),
        ("sleep {0} & exit 0", YES),
        ("trap '' TERM HUP; sleep {0} & exit 1", NO),
    ],
)
async def test_what_a_check_leaves_is_ended(
    contained: str, bench: Bench, probe: Path, marked: Marked, kind: str, line: str, answer: int
) -> None:
    whole = probe.read_text()
    type_name, properties = checked(kind, probe)
    assert (await bench.call("online", type_name, **properties)).outcome == DONE
    probe.write_text(f"#!/bin/sh\n{line.format(marked.mark)}\n")
    assert (await health(bench, type_name)).health == answer
    assert marked.pids() == []
    probe.write_text(whole)
    # A script that hung is not called again: it is terminated, not taken offline.
    assert (await bench.call("terminate", type_name)).outcome == DONE


async def test_leftovers_of_checks_keep_no_dead_service_online(
    contained: str, bench: Bench, probe: Path, marked: Marked
) -> None:
    bench.node.deadlines.looks_alive_interval_ms = bench.node.deadlines.is_alive_interval_ms = 50
    probe.write_text("#!/bin/sh\nsetsid sleep 1000 &\nsleep 1000 &\nexit 0\n")
    left = ["sh", "-c", f"sleep {marked.mark} & exit 0"]
    answer = await bench.call("online", "generic_service", command=left, forking=True, health_command=[str(probe)])
    assert answer.outcome == DONE, answer.message
    for _ in range(3):
        assert (await health(bench, "generic_service")).health == YES
    marked.kill()
    await bench.told(host_pb2.RESOURCE_EVENT_KIND_FAILED)


async def test_a_check_that_is_given_up_is_ended_too(contained: str, bench: Bench, probe: Path, marked: Marked) -> None:
    type_name, properties = checked("service", probe)
    bench.node.deadlines.is_alive_interval_ms = 20
    probe.write_text(f"#!/bin/sh\nsetsid sleep {marked.mark} & sleep {marked.mark}\n")
    await bench.call("online", type_name, **{**properties, "health_timeout": "60s"})
    await bench.node.until(lambda: marked.is_settled(2) or None, 5000, what="the check")
    assert (await bench.call("offline", type_name)).outcome == DONE
    assert marked.pids() == []


async def test_what_online_leaves_is_the_service(contained: str, bench: Bench, probe: Path, marked: Marked) -> None:
    probe.write_text(f"#!/bin/sh\n[ $1 = online ] && sleep {marked.mark} &\nexit 0\n")
    await bench.call("online", "generic_script", script_filepath=str(probe))
    assert (await health(bench, "generic_script")).health == YES
    assert len(marked.pids()) == 1
    assert (await bench.call("offline", "generic_script")).outcome == DONE
    assert marked.pids() == []
