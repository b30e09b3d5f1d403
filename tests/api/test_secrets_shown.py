"""Secrets are shown nowhere, neither by a resource nor an export, a plan, a difference or the timeline; and come back."""

import json
from typing import Any

import pytest
from aiohttp.test_utils import TestClient
from asking import apply, get
from pretend_cluster import MANIFEST, PretendCluster
from test_configuration import patch

from clusterd.api.secrets_shown import SECRET, is_secret_name, kept, shown

MARK = "hunter2"


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "DB_PASSWORD",
        "chap_password",
        "API_TOKEN",
        "apiKey",
        "AWS_SECRET_ACCESS_KEY",
        "client-secret",
        "PGPASSWORD",
    ],
)
def test_names_of_secrets(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name", ["password_file", "token_timeout", "key", "monkey", "COLOUR", "passenger", "", "secretary"]
)
def test_names_of_no_secrets(name: str) -> None:
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        ({"password": MARK}, {"password": SECRET}),
        ({"password": ""}, {"password": ""}),
        ({"password": None}, {"password": None}),
        ({"environment": {"DB_PASSWORD": MARK, "A": "b"}}, {"environment": {"DB_PASSWORD": SECRET, "A": "b"}}),
        ({"command": ["x", f"--password={MARK}"]}, {"command": ["x", f"--password={SECRET}"]}),
        ({"command": ["x", "--api-token", MARK, "y"]}, {"command": ["x", "--api-token", SECRET, "y"]}),
        ({"uri": f"amqp://me:{MARK}@host/x"}, {"uri": f"amqp://me:{SECRET}@host/x"}),
        ({"command": ["sleep", "9"]}, {"command": ["sleep", "9"]}),
    ],
)
def test_what_is_shown_and_comes_back(value: dict[str, Any], seen: dict[str, Any]) -> None:
    assert shown(value) == seen
    assert kept(seen, value) == (value, [])


def test_a_word_that_stands_for_nothing_is_refused() -> None:
    _, problems = kept({"environment": {"A": "b", "DB_PASSWORD": SECRET}}, {"environment": {"A": "b"}})
    assert [each.part for each in problems] == ["properties.environment.DB_PASSWORD"]
    _, problems = kept({"command": ["y", f"--password={SECRET}"]}, {"command": ["x", f"--password={MARK}"]})
    assert [each.part for each in problems] == ["properties.command"]


async def test_no_door_shows_one(client: TestClient, cluster: PretendCluster) -> None:
    manifest = MANIFEST.replace('http.server, "8081"]', f'http.server, "8081", --token={MARK}]')
    answers = [await apply(client, manifest, plan="1"), await apply(client, manifest)]
    changed = manifest.replace(MARK, f"{MARK}-new")
    answers += [await apply(client, changed, plan="1"), await apply(client, changed)]
    assert any("command: (secret) changed" in each for each in answers[-1]["changes"][0]["details"])
    for path in ("/v1/resources/web-server", "/v1/groups/web", "/v1/events", "/v1/status"):
        answers.append(await get(client, path))
    export = await client.get("/v1/export")
    text = await export.text()
    assert export.status == 200 and "--token=(secret)" in text
    assert MARK not in json.dumps(answers) + text
    again = await apply(client, text)
    assert (again["http"], again["changes"]) == (200, [])
    record = cluster.view().resource("web-server")
    assert record is not None and f"--token={MARK}-new" in record.private["command"]
    found = await patch(client, "/v1/resources/web-server", command=["x", f"--token={SECRET}"])
    assert found["http"] == 400 and "there is none here to keep" in found["error"]["message"]
