"""The timeline: linked, filtered, around a moment, and as one page that needs nothing else."""

from dataclasses import replace
from html.parser import HTMLParser

import pytest
from aiohttp.test_utils import TestClient
from asking import apply, get, post
from pretend_cluster import WALL_MS, PretendCluster

from clusterd.api.timeline_lanes import Present, lanes_of, moment_ms
from clusterd.api.times import time_text
from clusterd.database import Draft
from clusterd.model.records import EventRecord

SECOND = 1000


def said(at_s: int, name: str, message: str, **more: str) -> EventRecord:
    level = more.pop("level", "info")
    return EventRecord(WALL_MS + at_s * SECOND, name, level, message=message, **more)


FAILOVER = [
    said(100, "group.assigned", "web is given to n1", node="n1", group="web"),
    said(101, "group.state-changed", "web is online on n1", node="n1", group="web"),
    said(500, "node.expelled", "n1 is expelled", node="n1", level="warning"),
    said(503, "node.ended", "n1 is down", node="n1", level="warning"),
    said(504, "group.assigned", "web is given to n2", node="n2", group="web"),
    said(506, "group.state-changed", "web is online on n2", node="n2", group="web"),
    said(900, "test.said", "much later", node="n3"),
]


@pytest.fixture
async def failed_over(client: TestClient, cluster: PretendCluster) -> PretendCluster:
    """Events of a failover of web from n1 to n2, one transaction each."""
    await apply(client)
    for each in FAILOVER:
        cluster.write(Draft(cluster.view()).event(each))
    cluster.wall_ms = WALL_MS + 1000 * SECOND
    return cluster


async def messages(client: TestClient, **query: str) -> list[str]:
    return [each["message"] for each in (await get(client, "/v1/events", **query))["events"]]


async def test_events_are_linked_to_what_led_to_them(client: TestClient, failed_over: PretendCluster) -> None:
    events = (await get(client, "/v1/events"))["events"]
    by_sequence = {each["sequence"]: each for each in events}
    online = next(each for each in events if each["message"] == "web is online on n2")
    chain = [online]
    while chain[-1]["caused_by"]:
        chain.append(by_sequence[chain[-1]["caused_by"]])
    assert [each["name"] for each in chain] == ["group.state-changed", "group.assigned", "node.ended", "node.expelled"]


async def test_an_operators_change_names_its_request(client: TestClient) -> None:
    await apply(client)
    await post(client, "/v1/groups/web/offline", headers={"Request-Id": "request-0001"})
    found = (await get(client, "/v1/events", last="1"))["events"][0]
    assert (found["request"], found["caused_by"]) == ("request-0001", None)


async def test_repeated_events_come_once_with_their_count_and_the_link_to_them_holds(
    client: TestClient, cluster: PretendCluster
) -> None:
    failed = said(1, "resource.state-changed", "db is failed", level="error", node="n1", group="g", resource="db")
    restarted = said(1, "resource.restarted", "db is restarted", level="warning", node="n1", group="g", resource="db")
    for number in range(3):
        cluster.write(Draft(cluster.view()).event(replace(failed, wall_ms=WALL_MS + number)))
        cluster.write(Draft(cluster.view()).event(replace(restarted, wall_ms=WALL_MS + number)))
    cluster.write(Draft(cluster.view()).event(replace(failed, wall_ms=WALL_MS + 9)))
    again, once = (await get(client, "/v1/events", group="g"))["events"][::-1]
    assert (again["count"], again["first_time"], again["time"]) == (4, time_text(WALL_MS), time_text(WALL_MS + 9))
    assert (once["count"], once["caused_by"]) == (3, again["sequence"])


async def test_filters(client: TestClient, failed_over: PretendCluster) -> None:
    assert await messages(client, node="N1", group="web") == ["web is given to n1", "web is online on n1"]
    assert await messages(client, node="n3") == ["much later"]
    assert await messages(client, since="6min") == ["much later"]
    assert await messages(client, node="n1", last="1") == ["n1 is down"]


async def test_around_a_moment(client: TestClient, failed_over: PretendCluster) -> None:
    around = ["n1 is expelled", "n1 is down", "web is given to n2", "web is online on n2"]
    assert await messages(client, around="last-failover") == around
    assert await messages(client, around=time_text(WALL_MS + 503 * SECOND) or "") == around
    nowhere = [
        said(700, "node.ended", "n1 is down again", node="n1", level="warning"),
        said(701, "group.unplaced", "web has no node", group="web", level="error"),
    ]
    view = failed_over.view()
    revision = next(view.revision_of(key) for key, record in view.events() if record.message == "n1 is down")
    assert await messages(client, around=str(revision)) == around
    for each in nowhere:
        failed_over.write(Draft(failed_over.view()).event(each))
    assert await messages(client, around="last-failover") == [each.message for each in nowhere]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"around": "yesterday"}, "bad-input"),
        ({"around": "last-failover"}, "not-found"),
        ({"around": "5", "since": "1h"}, "bad-input"),
        ({"since": "soon"}, "bad-input"),
    ],
)
async def test_what_cannot_be_looked_for(client: TestClient, query: dict[str, str], code: str) -> None:
    await apply(client)
    assert (await get(client, "/v1/events", **query))["error"]["code"] == code


# ---- lanes ----


def document(record: EventRecord, sequence: int) -> dict[str, object]:
    return {
        "sequence": sequence,
        "time": time_text(record.wall_ms),
        "first_time": time_text(record.wall_ms),
        "count": 1,
        **{name: getattr(record, name) for name in ("name", "level", "node", "group", "message", "because")},
    }


def test_lanes_are_stretches_of_one_state() -> None:
    events = [document(each, number) for number, each in enumerate(FAILOVER)]
    present = [Present("node", "n1", "down"), Present("node", "n2", "up"), Present("group", "web", "online", "n2")]
    begin, end = WALL_MS, WALL_MS + 1000 * SECOND
    lanes = {lane.name: lane for lane in lanes_of(events, present, begin, end)}
    spans = {
        name: [((each.from_ms - WALL_MS) // SECOND, each.state, each.node) for each in lane.stretches]
        for name, lane in lanes.items()
    }
    assert spans == {
        "n1": [(0, "up", ""), (500, "expelling", ""), (503, "down", "")],
        "n2": [(0, "up", "")],
        "web": [
            (0, "unknown", ""),
            (100, "pending", "n1"),
            (101, "online", "n1"),
            (504, "pending", "n2"),
            (506, "online", "n2"),
        ],
    }
    for lane in lanes.values():
        assert (lane.stretches[0].from_ms, lane.stretches[-1].to_ms) == (begin, end)
        assert all(one.to_ms == other.from_ms for one, other in zip(lane.stretches, lane.stretches[1:], strict=False))
    assert len(lanes["n1"].marks) == 2, "events of its groups are on their own lanes"


def test_what_was_folded_counts_at_its_first_and_its_last_moment() -> None:
    folded = {
        **document(said(300, "group.state-changed", "web is online on n1", node="n1", group="web"), 3),
        "count": 3,
    }
    folded["first_time"] = time_text(WALL_MS + 101 * SECOND)
    failed = document(said(200, "group.state-changed", "web is failed on n1", node="n1", group="web"), 2)
    (lane,) = lanes_of([failed, folded], [Present("group", "web", "online", "n1")], WALL_MS, WALL_MS + 400 * SECOND)
    assert [((each.from_ms - WALL_MS) // SECOND, each.state) for each in lane.stretches] == [
        (0, "unknown"),
        (101, "online"),
        (200, "failed"),
        (300, "online"),
    ]


# ---- the page ----


class Page(HTMLParser):
    """What is on the page; raises when tags do not match."""

    VOID = frozenset({"meta", "br", "line", "rect/", "circle/"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.seen if name == tag]


async def page_of(client: TestClient, **query: str) -> tuple[str, Page]:
    response = await client.get("/v1/timeline", params=query)
    assert (response.status, response.content_type) == (200, "text/html")
    text = await response.text()
    page = Page()
    page.feed(text)
    page.close()
    assert not page.open
    return text, page


async def test_the_page_stands_alone(client: TestClient, failed_over: PretendCluster) -> None:
    text, page = await page_of(client)
    assert not page.all("script") and not page.all("link") and not page.all("img")
    links = [each.get("href") or "" for each in page.all("a")]
    assert links and all(link.startswith("#e") for link in links)
    assert "http" not in text.replace("http.server", "")
    ids = {each.get("id") for each in page.all("tr")}
    assert {link.removeprefix("#") for link in links} <= ids
    assert len(page.all("svg")) == 1
    for name in ("n1", "n2", "n3", "web"):
        assert name in page.texts


async def test_every_bar_and_dot_lies_on_the_drawing(client: TestClient, failed_over: PretendCluster) -> None:
    _, page = await page_of(client)
    width, height = (float(each) for each in (page.all("svg")[0]["viewbox"] or "").split()[2:])
    bars = [each for each in page.all("rect") if each.get("class") != "band"]
    assert len(bars) >= 4
    for bar in bars:
        assert float(bar["x"] or -1) >= 0 and float(bar["x"] or 0) + float(bar["width"] or 0) <= width
        assert 0 <= float(bar["y"] or -1) <= height
    assert len(page.all("circle")) >= len(FAILOVER)


async def test_names_and_messages_are_only_text(client: TestClient, cluster: PretendCluster) -> None:
    cluster.event("<script>alert('x')</script>", group="<b>")
    text, page = await page_of(client)
    assert not page.all("script")
    assert "&lt;script&gt;" in text


async def test_a_page_of_nothing(client: TestClient, cluster: PretendCluster) -> None:
    text, _ = await page_of(client)
    assert "; no event. Times" in text
    assert moment_ms(None) == 0
