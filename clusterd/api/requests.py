"""What does a request say, and is it well formed? I/O. Every size and number is bounded here."""

import asyncio
import hashlib
import json
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec
from aiohttp import web

from clusterd.api.plans import ChangeAsked
from clusterd.model import keys
from clusterd.model.errors import BadInput
from clusterd.model.ids import name_problem
from clusterd.model.records import Json
from clusterd.model.settings_check import nearest
from clusterd.model.states import Wanted

BODY_MAX_BYTES = (1 << 20) + (64 << 10)
BODY_WITHIN_S = 30.0
NAME_SHOWN_MAX = 80
TIMEOUT_DEFAULT_MS = 10_000
TIMEOUT_MAX_MS = 60_000

_KEYS: Mapping[str, Callable[[str], str]] = {
    "groups": keys.group,
    "resources": keys.resource,
    "nodes": keys.node,
    "rules": keys.rule,
    "group-sets": keys.group_set,
    "resource-types": keys.type_settings,
}
"""Paths whose object has a revision."""
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")


def flag(request: web.Request, name: str) -> bool:
    """A query parameter that is there as 1, true or without a value."""
    value = request.query.get(name)
    if value is None or value.lower() in ("0", "false", "no"):
        return False
    if value.lower() in ("", "1", "true", "yes"):
        return True
    raise BadInput(f"{name} is 0 or 1, not {value!r}")


def number(request: web.Request, name: str, default: int, *, most: int) -> int:
    """A whole number in the query, from 0 to `most`."""
    text = request.query.get(name)
    if text is None:
        return default
    if not re.fullmatch(r"[0-9]{1,18}", text) or int(text) > most:
        raise BadInput(f"{name} is a whole number from 0 to {most}, not {text!r}")
    return int(text)


def timeout_ms(request: web.Request) -> int:
    return max(10, number(request, "timeout_ms", TIMEOUT_DEFAULT_MS, most=TIMEOUT_MAX_MS))


def request_id(request: web.Request) -> str:
    """The caller's own id, so that it may repeat the request; else a new one."""
    given = request.headers.get("Request-Id")
    if given is None:
        return uuid.uuid4().hex
    if not _REQUEST_ID.fullmatch(given):
        raise BadInput("Request-Id has 8 to 64 letters, digits, '.', '_' and '-'")
    return given


async def change_asked(request: web.Request) -> ChangeAsked:
    """The request as one for a change: its id, a digest of what it asks, and the revision that it insists on."""
    asked = "\n".join(
        [
            request.method,
            request.path,
            *sorted(f"{name}={value}" for name, value in request.query.items() if name != "timeout_ms"),
            request.headers.get("If-Match", ""),
        ]
    )
    digest = hashlib.sha256(f"{asked}\n".encode("utf-8", "surrogateescape") + await body_bytes(request)).hexdigest()
    return ChangeAsked(request_id(request), digest, timeout_ms(request), expected_revision(request))


def expected_revision(request: web.Request) -> tuple[str, int] | None:
    """The object that a request is about, and the revision that it must still have. Raises BadInput where there is none."""
    given = request.headers.get("If-Match")
    if given is None:
        return None
    text = given.strip().strip('"')
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise BadInput(f"If-Match is a revision, not {given!r}")
    resource = request.match_info.route.resource
    parts = resource.canonical.removeprefix("/v1/").split("/") if resource is not None else [""]
    if request.method not in ("GET", "HEAD"):
        if parts[0] == keys.CLUSTER:
            return keys.CLUSTER, int(text)
        if parts[0] in _KEYS and "name" in request.match_info:
            return _KEYS[parts[0]](request.match_info["name"]), int(text)
    raise BadInput(
        f"If-Match is not taken by {request.method} {request.path}: it names the revision of one object",
        hint="groups, resources, nodes, rules, group sets, resource types and the cluster have revisions",
    )


async def body_bytes(request: web.Request) -> bytes:
    """The body as it came. aiohttp refuses more than BODY_MAX_BYTES; one that does not come is not waited for."""
    try:
        async with asyncio.timeout(BODY_WITHIN_S):
            return await request.read()
    except TimeoutError as error:
        raise web.HTTPRequestTimeout(reason=f"the body did not come within {BODY_WITHIN_S:g} s") from error


async def body_text(request: web.Request) -> str:
    """The body as UTF-8. aiohttp refuses more than BODY_MAX_BYTES."""
    data = await body_bytes(request)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadInput(f"the body is not UTF-8 at byte {error.start}") from error


async def body(request: web.Request, allowed: Iterable[str]) -> dict[str, Json]:
    """The JSON object in the body; an empty body is an empty object. Unknown keys are refused."""
    text = await body_text(request)
    try:
        found = json.loads(text, object_pairs_hook=_without_repetition) if text.strip() else {}
    except (ValueError, RecursionError) as error:
        raise BadInput(f"the body is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise BadInput("the body is not a JSON object")
    names = list(allowed)
    for key in found:
        if key not in names:
            raise BadInput(f"there is no {key!r} in this request: {nearest(key, names)}")
    return found


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of a key that is there twice nobody knows which one was meant."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise BadInput(f"the body has the key {twice[:NAME_SHOWN_MAX]!r} twice")
    return found


def name_in(given: Mapping[str, Json], key: str, *, default: str | None = None) -> str:
    """A name in the body."""
    value = given.get(key, default)
    if value == default and default is not None:
        return default
    problem = name_problem(value)
    if problem:
        raise BadInput(f"{key}: {problem}")
    return str(value)


def names_in(given: Mapping[str, Json], key: str) -> tuple[str, ...] | None:
    value = given.get(key)
    if value is None:
        return None
    if not isinstance(value, list) or any(name_problem(each) for each in value):
        raise BadInput(f"{key} is a list of names")
    return tuple(str(each) for each in value)


def properties_in(given: Mapping[str, Json], key: str = "properties") -> Mapping[str, Json] | None:
    value = given.get(key)
    if value is not None and not isinstance(value, dict):
        raise BadInput(f"{key} is an object of names and values")
    return value


def text_in(given: Mapping[str, Json], key: str) -> str | None:
    value = given.get(key)
    if value is not None and not isinstance(value, str):
        raise BadInput(f"{key} is text")
    return value


def switch_in(given: Mapping[str, Json], key: str) -> bool:
    """True or false in the body; false when it is not there."""
    value = given.get(key, False)
    if not isinstance(value, bool):
        raise BadInput(f"{key} is true or false, not {value!r}")
    return value


def wanted_in(given: Mapping[str, Json]) -> Wanted | None:
    value = given.get("wanted")
    if value is None:
        return None
    if value not in [each.value for each in Wanted]:
        raise BadInput(f"wanted is online or offline, not {value!r}")
    return Wanted(value)


def json_answer(document: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    answer = document_answer(msgspec.json.encode(document), status=status)
    answer.headers.update(headers or {})
    return answer


def document_answer(data: bytes, *, status: int = 200) -> web.Response:
    """A document that is JSON already."""
    return web.Response(body=data, status=status, content_type="application/json", charset="utf-8")
