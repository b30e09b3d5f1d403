"""Secrets are shown nowhere, neither by a resource nor an export, a plan, a difference or the timeline; and come back."""

import json
import timeit
from typing import Any

import pytest
from aiohttp.test_utils import TestClient
from asking import apply, get
from pretend_cluster import MANIFEST, PretendCluster
from test_configuration import patch

from clusterd.api.secrets_shown import kept
from clusterd.resource_api.properties import TEXT_SIZE_MAX, Property, PropertyKind, schema_of, validate
from clusterd.resource_api.secret_values import SECRET, is_secret_name, shown, shown_text

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
        "MYSQL_PWD",
        "DB_PASS",
        "pass",
    ],
)
def test_names_of_secrets(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "password_file",
        "token_timeout",
        "key",
        "monkey",
        "COLOUR",
        "passenger",
        "",
        "secretary",
        "PWD",
        "OLDPWD",
        "bypass",
        "compass",
    ],
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
        ({"uri": f"redis://:a/{MARK}@b@host"}, {"uri": f"redis://:{SECRET}@host"}),
        ({"command": ["sleep", "9"]}, {"command": ["sleep", "9"]}),
        ({"command": ["env", f"DB_PASSWORD={MARK} x", "y"]}, {"command": ["env", f"DB_PASSWORD={SECRET}", "y"]}),
        ({"command": ["sh", "-c", f"x --token={MARK} -v"]}, {"command": ["sh", "-c", f"x --token={SECRET} -v"]}),
        ({"command": ["sh", "-c", f"x --password {MARK} -v"]}, {"command": ["sh", "-c", f"x --password {SECRET} -v"]}),
        ({"command": ["sh", "-c", f"A=b MY_PWD='{MARK} c' x"]}, {"command": ["sh", "-c", f"A=b MY_PWD={SECRET} x"]}),
        ({"passwords": [MARK, "other"]}, {"passwords": [SECRET, SECRET]}),
        (
            {"credentials": {"user": MARK, "more": [{"x": MARK}]}},
            {"credentials": {"user": SECRET, "more": [{"x": SECRET}]}},
        ),
        ({"variables": [{"name": "A_TOKEN", "value": MARK}]}, {"variables": [{"name": "A_TOKEN", "value": SECRET}]}),
        ({"variables": [{"name": "COLOUR", "value": "red"}]}, {"variables": [{"name": "COLOUR", "value": "red"}]}),
        ({"note": f'{{"api_key": "{MARK} \\" x", "a": 1}}'}, {"note": f'{{"api_key": {SECRET}, "a": 1}}'}),
        ({"header": f"Authorization: Bearer {MARK}"}, {"header": f"Authorization: {SECRET}"}),
        ({"url": f"http://h/x?token={MARK}&a=1"}, {"url": f"http://h/x?token={SECRET}&a=1"}),
        (
            {"text": f"a -----BEGIN RSA PRIVATE KEY-----\n{MARK}\n-----END RSA PRIVATE KEY----- b"},
            {"text": f"a {SECRET} b"},
        ),
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


@pytest.mark.parametrize(
    "piece", ["a", "://", "--password ", "token=", '"token":', "-----BEGIN A PRIVATE KEY-----", "a:@"]
)
def test_the_longest_text_is_shown_at_once(piece: str) -> None:
    text = piece * (TEXT_SIZE_MAX // len(piece))
    assert min(timeit.repeat(lambda: shown_text(text), number=1, repeat=2)) < 1, (
        "it grows with the square of the length"
    )


def test_what_is_wrong_with_a_secret_is_said_without_it() -> None:
    schema = schema_of(
        [Property("password", PropertyKind.TEXT, ""), Property("environment", PropertyKind.ENVIRONMENT, "")]
    )
    given = {"password": [MARK], "environment": {"A_TOKEN": {"x": MARK}, "B": [f"--password={MARK}"]}}
    problems = validate(given, schema)
    assert len(problems) == 3
    assert MARK not in str(problems)


async def test_what_is_in_force_is_shown_without_its_secrets(client: TestClient, cluster: PretendCluster) -> None:
    in_force = {
        "command": ["x", "--password", MARK],
        "environment": {"DB_PASSWORD": MARK},
        "chap_password": MARK,
        "variables": [{"name": "A_TOKEN", "value": MARK}],
    }
    await apply(client, MANIFEST)
    cluster.report("web", "web-server", is_outdated=True, in_force=in_force)
    found = (await get(client, "/v1/resources/web-server"))["resources"][0]
    assert found["in_force"] == shown(in_force) and found["in_force"]["environment"] == {"DB_PASSWORD": SECRET}
    paths = ["/v1/resources", "/v1/groups/web", "/v1/groups", "/v1/status", "/v1/events", "/v1/explain/group/web"]
    answers = [found] + [await get(client, each) for each in [*paths, "/v1/explain/resource/web-server"]]
    answers.append(await patch(client, "/v1/resources/web-server", command=["x", "--password", f"{MARK}-new"]))
    for path in ("/v1/export", "/v1/timeline"):
        answers.append({"text": await (await client.get(path)).text()})
    assert MARK not in json.dumps(answers)


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
