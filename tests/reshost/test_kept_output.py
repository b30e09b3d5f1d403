"""What a run wrote is there when the run is over, also when its resource host is."""

import asyncio
import os
import sys
from pathlib import Path

from clusterd.adapters.kept_output import FOLDER, KEPT_COUNT_MAX, PRUNE_EVERY, KeptOutput, OutputKeeper, read_output
from clusterd.reshost.trial import TrialFailed
from clusterd.wire import host_pb2
from tests.reshost.conftest import Bench

DONE = host_pb2.OUTCOME_DONE
TALKS = [sys.executable, "-I", "-c", "import sys, time; print(sys.argv[1], flush=True); time.sleep(1000)"]
FAILS = [sys.executable, "-I", "-c", "import sys; print('no such table: users'); sys.exit(1)"]


async def kept(bench: Bench, *, generation: int) -> KeptOutput:
    def look() -> KeptOutput | None:
        found = read_output(bench.node.run_dir, "r")
        return found if found is not None and found.generation == generation else None

    return await bench.node.until(look, 5000, what=f"the output of generation {generation}")


async def test_the_output_of_a_run_that_is_over_is_kept(bench: Bench) -> None:
    await bench.call("online", "generic_service", command=[*TALKS, "first"], ready={"command": ["true"]})
    while b"first" not in (await bench.control("logs")).control_body:
        await asyncio.sleep(0)
    assert read_output(bench.node.run_dir, "r") is None, "it runs"
    assert (await bench.call("offline", "generic_service")).outcome == DONE
    found = await kept(bench, generation=1)
    assert (found.resource, found.text) == ("r", "first\n")
    folder = Path(bench.node.run_dir) / FOLDER
    assert folder.stat().st_mode & 0o077 == 0 and all(each.stat().st_mode & 0o077 == 0 for each in folder.iterdir())


async def test_also_of_one_that_could_not_start(bench: Bench) -> None:
    await bench.call("online", "generic_service", generation=2, command=FAILS, ready={"tcp": 1})
    assert (await bench.call("terminate", "generic_service", generation=2)).outcome == DONE
    assert "no such table: users" in (await kept(bench, generation=2)).text


def until_read(folder: Path, resource: str) -> KeptOutput:
    """The keeper writes in a thread of its own."""
    for _ in range(100_000):
        if (found := read_output(str(folder), resource)) is not None:
            return found
        os.sched_yield()
    raise TrialFailed(f"nothing was kept of {resource}")


def test_only_the_newest_are_kept_and_each_resource_has_one(tmp_path: Path) -> None:
    keeper = OutputKeeper(str(tmp_path))
    for number in range(KEPT_COUNT_MAX + 2 * PRUNE_EVERY):
        keeper.keep(f"r{number}", 1, b"text")
        until_read(tmp_path, f"r{number}")
    keeper.keep("last", 1, b"\xff")
    assert until_read(tmp_path, "LAST").text == "�"
    assert len(list((tmp_path / FOLDER).iterdir())) <= KEPT_COUNT_MAX + PRUNE_EVERY


def test_what_cannot_be_read_is_as_if_it_were_not_there(tmp_path: Path) -> None:
    OutputKeeper(str(tmp_path)).keep("r", 1, b"text")
    until_read(tmp_path, "r")
    [path] = (tmp_path / FOLDER).iterdir()
    path.write_bytes(b"{}")
    assert read_output(str(tmp_path), "r") is None


def test_a_run_folder_that_takes_nothing_is_no_trouble(tmp_path: Path) -> None:
    (tmp_path / FOLDER).write_text("in the way")
    keeper = OutputKeeper(str(tmp_path))
    keeper.keep("r", 1, b"text")
    keeper.keep("r", 2, b"text")
    assert read_output(str(tmp_path), "r") is None
