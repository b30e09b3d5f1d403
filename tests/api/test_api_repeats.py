"""What is a request answered that comes again: with the same in it, with something else in it, or about an old revision?"""

import pytest
from aiohttp.test_utils import TestClient
from asking import apply, get, post
from pretend_cluster import MANIFEST, PretendCluster

from clusterd.api import repeats
from clusterd.api.plans import ChangeAsked
from clusterd.database import Database, DatabaseView, Draft
from clusterd.model import keys
from clusterd.model.errors import Conflict
from clusterd.model.records import GroupRecord

ID = {"Request-Id": "asked-0001"}
TOLD = ("request_id", "revision", "changed", "changes", "notes", "wait_for")


async def test_a_create_that_is_repeated_gets_its_first_answer(client: TestClient, cluster: PretendCluster) -> None:
    body = {"name": "db", "preferred_owners": ["n2"]}
    first = await post(client, "/v1/groups", body, headers=ID)
    await post(client, "/v1/groups/db/offline")
    again = await post(client, "/v1/groups", body, headers=ID)
    assert again["http"] == 200
    assert [again[each] for each in TOLD] == [first[each] for each in TOLD]
    assert (first["repeated"], again["repeated"]) == (False, True)
    assert cluster.view().group("db").wanted == "offline", "nothing was done again"


async def test_the_same_id_with_another_body_is_another_request(client: TestClient, cluster: PretendCluster) -> None:
    await post(client, "/v1/groups", {"name": "db"}, headers=ID)
    for path, body in (
        ("/v1/groups", {"name": "web"}),
        ("/v1/groups/db/offline", {}),
        ("/v1/groups?plan=1", {"name": "x"}),
    ):
        found = await post(client, path, body, headers=ID)
        assert (found["http"], found["error"]["code"]) == (409, "conflict"), path
        assert "was given to another request before: nothing was changed" in found["error"]["message"]
    response = await client.patch("/v1/groups/db", json={"properties": {"priority": "high"}}, headers=ID)
    assert response.status == 409
    assert cluster.view().group("web") is None
    assert not cluster.view().group("db").properties


async def test_a_manifest_that_is_repeated_is_applied_once(client: TestClient, cluster: PretendCluster) -> None:
    first = await (await client.post("/v1/apply", data=MANIFEST, headers=ID)).json()
    await post(client, "/v1/groups/web/offline")
    again = await (await client.post("/v1/apply", data=MANIFEST, headers=ID)).json()
    assert [again[each] for each in TOLD] == [first[each] for each in TOLD]
    response = await client.post("/v1/apply", params={"prune": "1"}, data=MANIFEST, headers=ID)
    assert response.status == 409, "to prune is another request"


async def test_a_request_whose_answer_was_lost_takes_effect_once(client: TestClient, cluster: PretendCluster) -> None:
    """1. The commit is not confirmed in time. 2. It took effect. 3. The caller asks again."""
    await apply(client)
    cluster.loses_answers = 1
    found = await post(client, "/v1/resources/web-server/fail", headers=ID)
    assert (found["http"], found["error"]["code"]) == (504, "unknown-outcome")
    revision = cluster.view().revision_of(keys.resource("web-server"))
    again = await post(client, "/v1/resources/web-server/fail", headers=ID)
    assert (again["changed"], again["repeated"], again["changes"][0]["name"]) == (True, True, "web-server")
    assert cluster.view().revision_of(keys.resource("web-server")) == revision


async def test_a_plan_is_applied_once_for_each_request(client: TestClient, cluster: PretendCluster) -> None:
    await apply(client)
    plan = await post(client, "/v1/groups/web/offline?plan=1")
    path = f"/v1/plans/{plan['plan_id']}"
    first = await post(client, path, headers=ID)
    again = await post(client, path, headers=ID)
    assert [again[each] for each in TOLD] == [first[each] for each in TOLD]
    assert (await post(client, path))["changed"] is False, "another request finds that it was applied"


async def test_a_plan_keeps_its_id(client: TestClient) -> None:
    await apply(client)
    assert (await post(client, "/v1/groups/web/offline?plan=1", headers=ID))["plan_id"] == "asked-0001"
    assert (await post(client, "/v1/groups/web/offline?plan=1", headers=ID))["http"] == 200
    assert (await post(client, "/v1/resources/web-server/offline?plan=1", headers=ID))["http"] == 409


async def test_a_stop_that_is_repeated_ends_no_later_run(client: TestClient, cluster: PretendCluster) -> None:
    cluster.acts = False
    await post(client, "/v1/nodes/n1/stop", headers=ID)
    await post(client, "/v1/nodes/n1/stop", headers=ID)
    assert cluster.told == [("n1", "stop")] * 2, "it may have got lost the first time"
    member = cluster.view().membership("n1")
    cluster.write(Draft(cluster.view()).put(member))
    again = await post(client, "/v1/nodes/n1/stop", headers=ID)
    assert (again["repeated"], len(cluster.told)) == (True, 2)


# ---- revisions ----


@pytest.mark.parametrize(
    "path",
    [
        "/v1/groups/web/offline",
        "/v1/groups/web/move",
        "/v1/groups/web/maintenance",
        "/v1/resources/web-server/offline",
        "/v1/resources/web-server/fail",
        "/v1/nodes/n1/pause",
        "/v1/nodes/n1/drain",
        "/v1/nodes/n1/stop",
        "/v1/cluster/maintenance",
        "/v1/groups/web/offline?plan=1",
    ],
)
async def test_an_action_on_an_older_revision_is_refused(
    client: TestClient, cluster: PretendCluster, path: str
) -> None:
    await apply(client)
    before = cluster.database.revision
    body = {"on": True} if "maintenance" in path else {}
    found = await post(client, path, body, headers={"If-Match": '"1234567"'})
    assert (found["http"], found["error"]["code"]) == (409, "conflict")
    assert "not 1234567" in found["error"]["message"]
    assert (cluster.database.revision, cluster.told) == (before, [])


async def test_an_action_on_the_present_revision_is_done(client: TestClient, cluster: PretendCluster) -> None:
    await apply(client)
    revision = (await get(client, "/v1/groups/web"))["groups"][0]["revision"]
    found = await post(client, "/v1/groups/web/offline", headers={"If-Match": str(revision)})
    assert found["changed"] is True
    again = await post(client, "/v1/groups/web/online", headers={"If-Match": str(revision)})
    assert again["http"] == 409


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/apply"),
        ("POST", "/v1/groups"),
        ("POST", "/v1/resources"),
        ("POST", "/v1/wait"),
        ("POST", "/v1/machines"),
        ("POST", "/v1/plans/some-plan-id"),
        ("GET", "/v1/groups/web"),
        ("GET", "/v1/status"),
    ],
)
async def test_where_a_revision_is_not_honoured_it_is_refused(client: TestClient, method: str, path: str) -> None:
    await apply(client)
    response = await client.request(method, path, headers={"If-Match": "1"})
    found = await response.json()
    assert (response.status, found["error"]["code"]) == (400, "bad-input")
    assert "If-Match is not taken by" in found["error"]["message"]


# ---- what is kept ----


def _change(number: int, digest: str = "d") -> ChangeAsked:
    return ChangeAsked(f"request-{number}", digest, 1000)


def _commit(view: DatabaseView, number: int, answer: dict) -> None:
    draft = Draft(view).put(GroupRecord("g"))
    repeats.remember(draft, view, _change(number), repeats.pack(answer))
    result = view.database.apply(draft.build(""), view.database.revision + 1)
    assert result.succeeded


def test_the_oldest_answers_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeats, "KEPT_MAX", 100)
    view = DatabaseView(Database())
    for number in range(300):
        _commit(view, number, {"changed": True})
    assert 30 <= view.database.count_under(keys.REQUEST) <= 100
    assert repeats.first_answer(view, _change(0)) is None
    newest = repeats.first_answer(view, _change(299))
    assert newest == {"changed": True, "repeated": True, "revision": view.revision}
    with pytest.raises(Conflict):
        repeats.first_answer(view, _change(299, "another"))


def test_of_a_long_answer_the_beginning_is_kept() -> None:
    view = DatabaseView(Database())
    changes = [{"name": f"group-{number * 7919}", "details": [str(number**5)]} for number in range(5000)]
    _commit(view, 1, {"changed": True, "changes": changes, "notes": [], "wait_for": ["x"]})
    found = repeats.first_answer(view, _change(1))
    assert found is not None
    assert (found["changes"], found["wait_for"]) == (changes[:100], ["x"])
    assert found["notes"] == ["this request was made before; of its first answer only 100 of 5000 items are kept"]
    assert len(view.database.get(keys.request("request-1")).value) < 2 * repeats.ANSWER_BYTES_MAX
