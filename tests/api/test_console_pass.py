"""Who gets into the console, how often, and how far?"""

import pytest
from aiohttp.test_utils import TestClient
from asking import apply
from pretend_cluster import TOKEN

from clusterd.api.console_pass import CODE_LIFE_S, SESSION_LIFE_S, ConsolePass

NOBODY = {"Authorization": ""}


async def test_a_code_lets_one_page_in_and_it_reads_only(client: TestClient) -> None:
    await apply(client)
    code = (await (await client.get("/v1/console-code")).json())["code"]
    assert TOKEN not in code
    found = await (await client.post("/console/session", json={"code": code}, headers=NOBODY)).json()
    entered = {"Authorization": f"Bearer {found['session']}"}
    assert (await client.get("/v1/status", headers=entered)).status == 200
    for method, path in (("POST", "/v1/groups/web/offline"), ("DELETE", "/v1/groups/web"), ("PATCH", "/v1/cluster")):
        assert (await client.request(method, path, headers=entered)).status == 401, path
    again = await client.post("/console/session", json={"code": code}, headers=NOBODY)
    assert again.status == 401
    assert "used already" in (await again.json())["error"]["message"]


@pytest.mark.parametrize("code", ["", "x", "9999999999.x.y", "9999999999.ÿ", TOKEN, "a" * 100_000, "..", "\x00"])
async def test_what_is_no_code_lets_nobody_in(client: TestClient, code: str) -> None:
    assert (await client.post("/console/session", json={"code": code}, headers=NOBODY)).status == 401
    if code.isascii() and code.isprintable():
        headers = {"Authorization": f"Bearer {code[:4000]}"}
        expected = 200 if code == TOKEN else 401
        assert (await client.get("/v1/status", headers=headers)).status == expected


def test_every_node_takes_it_and_each_only_once() -> None:
    one, two, other = ConsolePass("token"), ConsolePass("token"), ConsolePass("another")
    code = one.code()
    session = two.session_for(code)
    assert session is not None and one.lets_in(session, "GET")
    assert two.session_for(code) is None
    assert other.session_for(one.code()) is None
    assert not other.lets_in(session, "GET")
    assert not one.lets_in(code, "GET"), "a code is no session"
    assert one.session_for(session) is None, "nor the other way round"


def test_both_end() -> None:
    now_s = [1000.0]
    found = ConsolePass("token", lambda: now_s[0])
    early, late = found.code(), found.code()
    session = found.session_for(early) or ""
    now_s[0] += CODE_LIFE_S + 1
    assert found.session_for(late) is None
    assert found.lets_in(session, "GET")
    now_s[0] += SESSION_LIFE_S
    assert not found.lets_in(session, "GET")


async def test_the_page_may_look_for_the_other_nodes_only(client: TestClient) -> None:
    policy = (await client.get("/")).headers["Content-Security-Policy"]
    assert "connect-src 'self' http://127.0.0.1:7401 http://127.0.0.1:7403;" in policy
    assert "connect-src 'self';" in (await client.get("/v1/status")).headers["Content-Security-Policy"]
