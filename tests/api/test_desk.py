"""Is what takes long done beside the daemon, on the database as it is, and never too much of it at once?"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from aiohttp.test_utils import TestClient, TestServer
from asking import apply, get, post
from pretend_cluster import MANIFEST, TOKEN, PretendCluster, service

from clusterd.api import desk as desks
from clusterd.api import jobs
from clusterd.api.apply import apply_text
from clusterd.api.desk import BesideTheDaemon
from clusterd.api.plans import Asked, deed
from clusterd.api.server import create_app
from clusterd.database import Database, DatabaseView, Draft
from clusterd.database.mirror import finish, update_since
from clusterd.model import keys
from clusterd.model.errors import Busy, ClusterError, Conflict, TooLarge
from clusterd.model.records import GroupRecord

WORKER = (sys.executable, "-m", "clusterd.main.worker")


@asynccontextmanager
async def served(cluster: PretendCluster, **how: int) -> AsyncIterator[TestClient]:
    desk = BesideTheDaemon(cluster, WORKER, **how)
    server = TestServer(create_app(cluster, TOKEN, None, desk))
    async with TestClient(server, headers={"Authorization": f"Bearer {TOKEN}"}) as client:
        yield client


@pytest.fixture
async def desk(cluster: PretendCluster) -> AsyncIterator[BesideTheDaemon]:
    made = BesideTheDaemon(cluster, WORKER, waiting_max=2)
    yield made
    await made.close()


# Jobs of these tests: functions by name, as all are.


def revision(view: DatabaseView) -> int:
    return view.revision


def names(view: DatabaseView) -> list[str]:
    return [str(each.name) for each in view.groups()]


def nap(view: DatabaseView, seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


def crash(view: DatabaseView) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def refuse(view: DatabaseView) -> None:
    raise Conflict("somebody was first", key="group/web", revision=7, hint="look")


@pytest.fixture(autouse=True)
def jobs_are_found(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([os.path.dirname(__file__), os.getcwd()]))
    yield


async def test_answers_are_the_same_as_on_the_spot(client: TestClient, cluster: PretendCluster) -> None:
    await apply(client)
    plan = await (await client.post("/v1/apply?plan=1", data=MANIFEST.replace("web", "shop"))).json()
    async with served(cluster) as beside:
        for path in ("/v1/export", "/v1/timeline"):
            ours, theirs = await client.get(path), await beside.get(path)
            assert (ours.status, theirs.status) == (200, 200)
            assert await ours.text() == await theirs.text()
        for path in ("/v1/what-if?change=node+n1+down", "/v1/capacity"):
            assert await get(client, path) == await get(beside, path)
        again = await (await beside.post("/v1/apply?plan=1", data=MANIFEST.replace("web", "shop"))).json()
        for part in ("changes", "notes", "wait_for", "foresight"):
            assert again[part] == plan[part], part
        applied = await post(beside, f"/v1/plans/{again['plan_id']}")
        assert (applied["changed"], applied["changes"]) == (True, plan["changes"])
        bad = await (await beside.post("/v1/apply", data="groups: [{nam: x}]")).json()
        assert bad == await (await client.post("/v1/apply", data="groups: [{nam: x}]")).json()
        assert bad["error"]["problems"]


async def test_each_job_sees_what_was_committed_before(desk: BesideTheDaemon, cluster: PretendCluster) -> None:
    assert await desk.work(revision, is_heavy=True) == cluster.database.revision
    cluster.add_group("one", service("one-s", "one"))
    assert await desk.work(names, is_heavy=True) == ["one"]
    cluster.write(Draft(cluster.view()).delete(keys.group("one")).put(GroupRecord("two")))
    assert await desk.work(names, is_heavy=True) == ["two"]
    cluster.database = Database()
    cluster.view().replace(cluster.database)
    cluster.add_group("new")
    assert await desk.work(names, is_heavy=True) == ["new"], "another database took its place"


async def test_too_many_at_once_are_told_to_come_again(cluster: PretendCluster, desk: BesideTheDaemon) -> None:
    under_way = [asyncio.create_task(desk.work(nap, 0.3, is_heavy=True)) for _ in range(6)]
    found = await asyncio.gather(*under_way, return_exceptions=True)
    refused = [each for each in found if isinstance(each, Busy)]
    assert len(refused) == 3, "one is done, two wait"
    assert len({each for each in found if isinstance(each, int)}) == 1, "in one process"


async def test_busy_is_429_with_a_time(cluster: PretendCluster) -> None:
    async with served(cluster, waiting_max=0) as client:
        asked = [client.get("/v1/what-if", params={"change": "node n1 down"}) for _ in range(4)]
        answers = await asyncio.gather(*asked)
        assert sorted(each.status for each in answers) == [200, 429, 429, 429]
        refused = next(each for each in answers if each.status == 429)
        assert refused.headers["Retry-After"] == "1"
        assert (await refused.json())["error"]["retryable"] is True


async def test_a_look_waits_for_no_plan(cluster: PretendCluster, desk: BesideTheDaemon, monkeypatch) -> None:
    monkeypatch.setattr(desks, "LIGHT_KEYS_MAX", 0)
    slow = asyncio.create_task(desk.work(nap, 30, is_heavy=True))
    assert await asyncio.wait_for(desk.work(revision), 20) == cluster.database.revision
    assert not slow.done()
    slow.cancel()


async def test_the_loop_goes_on_while_a_job_is_done(desk: BesideTheDaemon) -> None:
    asked = asyncio.create_task(desk.work(nap, 0.2, is_heavy=True))
    turns = 0
    while not asked.done():
        turns += 1
        await asyncio.sleep(0.01)
    assert turns > 5


async def test_who_is_gone_frees_the_place(desk: BesideTheDaemon) -> None:
    gone = asyncio.create_task(desk.work(nap, 60, is_heavy=True))
    await asyncio.sleep(0.05)
    gone.cancel()
    assert await asyncio.wait_for(desk.work(nap, 0, is_heavy=True), 20)


async def test_a_job_that_takes_too_long_is_given_up(desk: BesideTheDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    await desk.work(revision, is_heavy=True)
    monkeypatch.setattr(desks, "JOB_MAX_S", 0.2)
    with pytest.raises(TooLarge, match="longer than"):
        await desk.work(nap, 60, is_heavy=True)
    monkeypatch.setattr(desks, "JOB_MAX_S", 20)
    assert await desk.work(nap, 0, is_heavy=True)


async def test_a_worker_that_dies_takes_one_job_along(desk: BesideTheDaemon) -> None:
    with pytest.raises(ClusterError, match="ended meanwhile"):
        await desk.work(crash, is_heavy=True)
    assert await desk.work(nap, 0, is_heavy=True)


async def test_a_refusal_comes_over_whole(desk: BesideTheDaemon) -> None:
    with pytest.raises(Conflict) as caught:
        await desk.work(refuse, is_heavy=True)
    error = caught.value
    assert (error.message, error.hint, error.key, error.revision) == ("somebody was first", "look", "group/web", 7)


async def test_an_idle_worker_ends(desk: BesideTheDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desks, "IDLE_MAX_S", 0.05)
    first = await desk.work(nap, 0, is_heavy=True)
    async with asyncio.timeout(20):
        while os.path.exists(f"/proc/{first}"):
            await asyncio.sleep(0.01)
    assert await desk.work(nap, 0, is_heavy=True) != first


# ---- the copy ----


def test_a_copy_is_the_original(cluster: PretendCluster) -> None:
    """In one piece, in many, and after what was deleted."""
    copy, seen = Database(), None
    for number in range(40):
        if number % 3 == 2:
            cluster.write(Draft(cluster.view()).delete(keys.group(f"g{number - 1}")))
        else:
            cluster.add_group(f"g{number}", service(f"s{number}", f"g{number}"))
        cluster.event(f"event {number}")
        if number % 5:
            continue
        update = update_since(cluster.database, seen)
        assert update.is_whole == (seen is None)
        copy.take_over(update.changes)
        finish(copy, update.revision, update.cluster_ms)
        seen = update.revision
        assert (copy.revision, copy.digest) == (cluster.database.revision, cluster.database.digest)
        assert copy.keys_under(keys.EVENT) == cluster.database.keys_under(keys.EVENT)


def test_a_change_that_is_planned_elsewhere_is_the_same(cluster: PretendCluster) -> None:
    asked = Asked("request-1", "somebody", cluster.status())
    planner = deed(apply_text, MANIFEST, prune=False)
    made = jobs.make(cluster.view(), planner, asked, None, True)
    assert made["transaction"] and made["foresight"] and made["revision"] == cluster.database.revision
    with pytest.raises(Conflict):
        jobs.make(cluster.view(), planner, asked, (keys.CLUSTER, 99), False)
