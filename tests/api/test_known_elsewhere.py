"""What broke the doors of other cluster managers, tried here: raw bytes, odd names, and text that grows when it is read."""

import asyncio
import json
import logging

import pytest
from aiohttp.test_utils import TestClient
from asking import apply, post
from pretend_cluster import TOKEN, PretendCluster
from test_doors import HEAD, STATUS, open_door

from clusterd.api.doors import Limits

LAUGHS = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(12)
)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (LAUGHS, "references to an anchor are not supported"),
        ("groups: " + "[" * 20_000, ""),
        ("groups: " + "{a: " * 5_000, ""),
        ("groups: []\ngroups: [{name: x}]\n", "twice"),
        ("groups: [{name: web, name: db}]\n", "twice"),
        ("groups: !!python/object/apply:os.system ['true']", ""),
        ("\ufeff" * 10 + "groups: 7", ""),
        ("? " * 10_000, ""),
        ("&" * 10_000, ""),
        ("groups: [{name: '\\ud800'}]", ""),
        ('groups: [{name: "\\ud800"}]', ""),
    ],
)
async def test_a_manifest_that_explodes_is_refused_soon(
    client: TestClient, cluster: PretendCluster, text: str, says: str
) -> None:
    before = cluster.database.revision
    async with asyncio.timeout(20):
        found = await apply(client, text)
    assert (found["http"], found["error"]["code"]) == (400, "bad-input")
    assert says in found["error"]["message"]
    assert cluster.database.revision == before


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "400"),  # the hello of a TLS client
        (b"GET /v1/quorum HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \xff\xfe\r\n\r\n", "401"),
        (b"GET /v1/quorum HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer 9.\xc3\xbf.\xf0\r\n\r\n", "401"),
        (b"GET /%ff%00/../v1/status HTTP/1.1\r\nHost: x\r\n\r\n", "40"),
        (b"GET /v1/groups/a%2Fb HTTP/1.1\r\n" + HEAD.encode() + b"\r\n", "404"),
        (b"GET /v1/groups/%ff HTTP/1.1\r\n" + HEAD.encode() + b"\r\n", "404"),
        (b"GET /v1/groups/" + b"a" * 7000 + b" HTTP/1.1\r\n" + HEAD.encode() + b"\r\n", "404"),
        (b"GET /v1/quorum HTTP/1.0\r\n" + HEAD.encode() + b"\r\n", "200"),
        (b"HEAD /v1/quorum HTTP/1.1\r\n" + HEAD.encode() + b"\r\n", "200"),
        (b"POST /v1/groups HTTP/1.1\r\n" + HEAD.encode() + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", "400"),
        (b"POST /v1/groups HTTP/1.1\r\n" + HEAD.encode() + b"Content-Length: -1\r\n\r\n", "400"),
        (b"POST /v1/groups HTTP/1.1\r\n" + HEAD.encode() + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", "400"),
        (b"GET /v1/quorum HTTP/1.1\r\n" + b"X: y\r\n" * 5000 + b"\r\n", "4"),
        (b"GET /v1/quorum HTTP/1.1\r\nX: " + b"y" * 100_000 + b"\r\n\r\n", "4"),
        (b"GET /v1/events?last=99999999999999999999 HTTP/1.1\r\n" + HEAD.encode() + b"\r\n", "400"),
        (b"GET /v1/events?last=%C2%B2 HTTP/1.1\r\n" + HEAD.encode() + b"\r\n", "400"),
        (b"GET /v1/events?last=%D9%A3 HTTP/1.1\r\n" + HEAD.encode() + b"\r\n", "400"),
        (b"GET /v1/events?since=99999999999d HTTP/1.1\r\n" + HEAD.encode() + b"\r\n", "200"),  # since ever
    ],
)
async def test_odd_bytes_get_an_answer_and_leave_no_traceback(
    cluster: PretendCluster, caplog: pytest.LogCaptureFixture, sent: bytes, status: str
) -> None:
    with caplog.at_level(logging.DEBUG):
        async with open_door(cluster, Limits()) as door:
            reader, writer = await door.connect()
            writer.write(sent)
            line = await asyncio.wait_for(reader.readline(), 10)
            assert line.split()[1].decode().startswith(status), line
            assert "200 OK" in await door.ask(STATUS)
    assert not [each for each in caplog.records if each.exc_info]


async def test_who_hangs_up_early_leaves_no_traceback(
    cluster: PretendCluster, caplog: pytest.LogCaptureFixture
) -> None:
    """As a load balancer does that only looks whether a port is open."""
    async with open_door(cluster, Limits()) as door:
        for _ in range(50):
            _, writer = await door.connect()
            writer.write(STATUS.encode() * 3)
            writer.transport.abort()
        assert "200 OK" in await door.ask(STATUS)
    assert not [each for each in caplog.records if each.exc_info or each.levelno >= logging.ERROR]


async def test_pipelined_requests_are_answered_in_order(cluster: PretendCluster) -> None:
    async with open_door(cluster, Limits()) as door:
        reader, writer = await door.connect()
        paths = ["/v1/quorum", "/v1/none", "/v1/nodes/n1", "/v1/nodes/n9"]
        writer.write("".join(f"GET {path} HTTP/1.1\r\n{HEAD}\r\n" for path in paths).encode())
        statuses = []
        for _ in paths:
            head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)).decode()
            length = next(int(line.split(":")[1]) for line in head.lower().splitlines() if "content-length" in line)
            json.loads(await reader.readexactly(length))
            statuses.append(head.split()[1])
        assert statuses == ["200", "404", "200", "404"]


@pytest.mark.parametrize("value", ["x" * 100_000, "\x00", "\ud800", {"a": {"b": {}}}, [[[[]]]], 10**400, 1e308, True])
async def test_odd_values_are_refused_or_stored_but_never_fail(client: TestClient, value: object) -> None:
    for body in ({"name": "x", "properties": {"description": value}}, {"name": value}, {"name": "x", "wanted": value}):
        response = await client.post("/v1/groups", data=json.dumps(body))
        assert response.status in (200, 400, 413, 422), await response.text()


async def test_thousands_of_unknown_properties_are_refused_soon(client: TestClient) -> None:
    async with asyncio.timeout(20):
        found = await post(client, "/v1/groups", {"name": "x", "properties": {f"p{n}": 1 for n in range(20_000)}})
    assert (found["http"], TOKEN in str(found)) == (400, False)
