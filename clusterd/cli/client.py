"""How is one question put to the API, and what if a node does not answer? I/O. Plain HTTP from the standard library."""

import http.client
import json
import os
import socket
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlencode

from clusterd.cli.connection import Doors, Endpoint
from clusterd.cli.failures import Answered, Unreachable

CONNECT_MAX_S = 2.0
ANSWER_MAX_S = 15.0
ANSWER_WITH_OTHERS_MAX_S = 4.0
READ_WITH_OTHERS_MAX_S = 1.5
COMPUTED_MAX_S = 20.0
COMMIT_MAX_MS = 10_000
COMMIT_WITH_OTHERS_MAX_MS = 3_000
_ELSEWHERE = frozenset({"no-quorum", "not-leader", "busy"})


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over the local node's socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Client:
    """Asks one door after the other until one can answer. Documents come back as they are; errors are raised."""

    def __init__(self, doors: Doors) -> None:
        self._doors = doors
        self._first = 0
        self._answered = 0

    @property
    def doors(self) -> Doors:
        return self._doors

    @property
    def answered(self) -> Endpoint:
        """The door that answered last."""
        return self._doors.endpoints[self._answered]

    def read(self, path: str, **query: str) -> dict[str, Any]:
        """A GET. Of several nodes, one that has quorum is preferred; without any, the first answer counts."""
        return self._read(path, query, extra_s=0.0)

    def read_computed(self, path: str, **query: str) -> dict[str, Any]:
        """The same, for what a node works out first: of thousands of groups that takes seconds."""
        return self._read(path, query, extra_s=COMPUTED_MAX_S)

    def _read(self, path: str, query: Mapping[str, str], *, extra_s: float) -> dict[str, Any]:
        fallback: dict[str, Any] | None = None
        failure: Exception | None = None
        for number in self._order():
            try:
                found = self._ask(number, "GET", path, query, b"", {}, extra_s)
            except (OSError, http.client.HTTPException) as error:
                failure = error
                continue
            except Answered as error:
                if error.code not in _ELSEWHERE:
                    raise
                failure = error
                continue
            if found.get("as_of", {}).get("quorate", True):
                self._first = number
                return found
            fallback = fallback or found
        if fallback is not None:
            return fallback
        raise failure if isinstance(failure, Answered) else self._unreachable(failure)

    def read_text(self, path: str) -> str:
        """A GET whose answer is text."""
        failure: Exception | None = None
        for number in self._order():
            try:
                return self._exchange(number, "GET", path, {}, b"", {})[1].decode("utf-8", "replace")
            except (OSError, http.client.HTTPException) as error:
                failure = error
        raise self._unreachable(failure)

    def change(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        extra_s: float = 0.0,
        **query: str,
    ) -> dict[str, Any]:
        """A change. It carries an id, so that asking another node after silence changes nothing twice."""
        given = {"Request-Id": os.urandom(16).hex(), **(headers or {})}
        data = body.encode() if isinstance(body, str) else json.dumps(body if body is not None else {}).encode()
        limit_ms = COMMIT_WITH_OTHERS_MAX_MS if len(self._doors.endpoints) > 1 else COMMIT_MAX_MS
        failure: Exception | None = None
        for number in self._order():
            try:
                found = self._ask(number, method, path, {"timeout_ms": str(limit_ms), **query}, data, given, extra_s)
            except (OSError, http.client.HTTPException) as error:
                failure = failure or error
                continue
            except Answered as error:
                if error.code not in _ELSEWHERE and error.code != "unknown-outcome":
                    raise
                failure = error
                continue
            self._first = number
            return found
        raise failure if isinstance(failure, Answered) else self._unreachable(failure)

    def wait(self, conditions: list[str], *, longest_ms: int, after_revision: int) -> dict[str, Any]:
        """One long question: answered when all of it is true, or none can be any more, or the time is up."""
        body = {"for": conditions, "timeout_ms": longest_ms, "after_revision": after_revision}
        failure: Exception | None = None
        for number in self._order():
            try:
                found = self._ask(
                    number, "POST", "/v1/wait", {}, json.dumps(body).encode(), {}, extra_s=longest_ms / 1000
                )
            except (OSError, http.client.HTTPException) as error:
                failure = error
                continue
            except Answered as error:
                if error.code not in _ELSEWHERE:
                    raise
                failure = error
                continue
            self._first = number
            return found
        raise failure if isinstance(failure, Answered) else self._unreachable(failure)

    def follow(self, path: str, *, after: int | None, **query: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Server-sent events as (kind, document). Ends, or raises OSError, when the node goes away."""
        number = next(iter(self._order()))
        connection = self._connect(self._doors.endpoints[number], 30.0)
        headers = {**self._headers(), **({"Last-Event-ID": str(after)} if after is not None else {})}
        try:
            connection.request("GET", _target(path, query), headers=headers)
            response = connection.getresponse()
            if response.status != 200:
                raise Answered(_error_in(response.read()))
            yield from _parts(response)
        finally:
            connection.close()

    def next_door(self) -> None:
        """Begin with another door from now on."""
        self._first = (self._first + 1) % len(self._doors.endpoints)

    # ---- one exchange ----

    def _order(self) -> list[int]:
        count = len(self._doors.endpoints)
        return [(self._first + offset) % count for offset in range(count)]

    def _ask(
        self,
        number: int,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: bytes,
        headers: Mapping[str, str],
        extra_s: float = 0.0,
    ) -> dict[str, Any]:
        status, data = self._exchange(number, method, path, query, body, headers, extra_s)
        try:
            found = json.loads(data)
        except ValueError as error:
            raise http.client.HTTPException(f"status {status} and no JSON") from error
        if not isinstance(found, dict):
            raise http.client.HTTPException(f"status {status} and no JSON object")
        return found

    def _exchange(
        self,
        number: int,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: bytes,
        headers: Mapping[str, str],
        extra_s: float = 0.0,
    ) -> tuple[int, bytes]:
        endpoint = self._doors.endpoints[number]
        answer_max_s = ANSWER_MAX_S
        if len(self._doors.endpoints) > 1:
            # A paused daemon accepts connections and says nothing; reads are answered at once or not at all.
            answer_max_s = READ_WITH_OTHERS_MAX_S if method == "GET" else ANSWER_WITH_OTHERS_MAX_S
        connection = self._connect(endpoint, CONNECT_MAX_S)
        try:
            connection.connect()
            connection.sock.settimeout(answer_max_s + extra_s)
            connection.request(method, _target(path, query), body=body or None, headers={**self._headers(), **headers})
            response = connection.getresponse()
            data = response.read()
        finally:
            connection.close()
        self._answered = number
        if response.status >= 400:
            raise Answered(_error_in(data))
        return response.status, data

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._doors.token}"} if self._doors.token else {}

    @staticmethod
    def _connect(endpoint: Endpoint, timeout_s: float) -> http.client.HTTPConnection:
        if endpoint.scheme == "unix":
            return _UnixConnection(endpoint.path, timeout_s)
        kind = http.client.HTTPSConnection if endpoint.scheme == "https" else http.client.HTTPConnection
        return kind(endpoint.host, endpoint.port, timeout=timeout_s)

    def _unreachable(self, failure: Exception | None) -> Unreachable:
        tried = ", ".join(str(each) for each in self._doors.endpoints)
        why = f" ({failure})" if failure else ""
        return Unreachable(
            f"no node of {self._doors.name} answered at {tried}{why}",
            hint="look whether its daemon runs (in a lab: clusterctl lab status)",
        )


def path_to(*parts: str) -> str:
    """/v1/groups/web, with every part quoted."""
    return "/v1/" + "/".join(quote(part, safe="") for part in parts)


def _target(path: str, query: Mapping[str, str]) -> str:
    return f"{path}?{urlencode(query)}" if query else path


def _error_in(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)["error"]
    except (ValueError, KeyError, TypeError):
        return {"code": "error", "message": data[:200].decode("utf-8", "replace") or "an empty answer"}
    return found if isinstance(found, dict) else {"code": "error", "message": str(found)}


def _parts(response: http.client.HTTPResponse) -> Iterator[tuple[str, dict[str, Any]]]:
    kind, data = "", ""
    for raw in response:
        line = raw.decode("utf-8", "replace").rstrip("\n")
        if line.startswith("event: "):
            kind = line[7:]
        elif line.startswith("data: "):
            data = line[6:]
        elif not line and data:
            yield kind, json.loads(data)
            kind, data = "", ""
