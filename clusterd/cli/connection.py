"""Which nodes can be asked, and with which token? I/O.

In this order: `--endpoint`, `--lab`, CLUSTERCTL_ENDPOINT, the local node's socket, the only running lab. A lab has several
endpoints; when one does not answer, or has no quorum, the next one is asked.
"""

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from clusterd.cli.failures import Unreachable
from clusterd.model.errors import BadInput

if TYPE_CHECKING:
    from clusterd.lab.layout import LabRecord

ENDPOINT_VARIABLE = "CLUSTERCTL_ENDPOINT"
TOKEN_VARIABLE = "CLUSTERCTL_TOKEN"
TOKEN_FILE_VARIABLE = "CLUSTERCTL_TOKEN_FILE"
SOCKET_VARIABLE = "CLUSTERD_SOCKET"
LOCAL_SOCKET = "/run/clusterd/api.sock"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One door. `scheme` is http, https or unix (then `path` is the socket)."""

    scheme: str
    host: str = ""
    port: int = 0
    path: str = ""

    def __str__(self) -> str:
        if self.scheme == "unix":
            return f"unix://{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Doors:
    """Everything that is needed to ask: doors in the order to try, the token, and what to call them."""

    endpoints: tuple[Endpoint, ...]
    token: str
    name: str


def find_doors(*, endpoint: str = "", lab: str = "", environment: Mapping[str, str] = os.environ) -> Doors:
    """Raises Unreachable when there is nothing to connect to, BadInput for an endpoint that is none."""
    if endpoint:
        return _of_endpoint(endpoint, environment)
    if lab:
        return _of_lab_name(lab)
    if environment.get(ENDPOINT_VARIABLE):
        return _of_endpoint(environment[ENDPOINT_VARIABLE], environment)
    path = environment.get(SOCKET_VARIABLE, LOCAL_SOCKET)
    if _is_socket(path):
        return Doors((Endpoint("unix", path=path),), _token(environment), "the local node")
    return _of_only_lab()


def parse_endpoint(text: str) -> Endpoint:
    """http://host:port, https://host:port or unix:///path."""
    hint = "write it like http://127.0.0.1:7401 or unix:///run/clusterd/api.sock"
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        port = parts.port
    except ValueError as error:
        raise BadInput(f"{text!r} is no endpoint: {error}", hint=hint) from error
    if parts.scheme == "unix" and parts.path:
        return Endpoint("unix", path=parts.path)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadInput(f"{text!r} is no endpoint", hint=hint)
    return Endpoint(parts.scheme, parts.hostname, port or (443 if parts.scheme == "https" else 80))


def _of_endpoint(text: str, environment: Mapping[str, str]) -> Doors:
    endpoint = parse_endpoint(text)
    token = _token(environment) or _token_of_lab_at(endpoint)
    return Doors((endpoint,), token, str(endpoint))


def _token(environment: Mapping[str, str]) -> str:
    path = environment.get(TOKEN_FILE_VARIABLE)
    if path:
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(
                f"the token file {path} cannot be read: {error}", hint=f"mend {TOKEN_FILE_VARIABLE}"
            ) from error
    return environment.get(TOKEN_VARIABLE, "")


def _token_of_lab_at(endpoint: Endpoint) -> str:
    """The token of the lab that one of its nodes' endpoints belongs to; nothing for other endpoints."""
    from clusterd.lab.layout import running_labs

    for record in running_labs():
        if any(parse_endpoint(node.api) == endpoint for node in record.nodes):
            return _lab_token(record)
    return ""


def _of_lab_name(name: str) -> Doors:
    from clusterd.lab.layout import find_lab

    record = find_lab(name)
    if not record.is_running:
        raise Unreachable(f"lab {name} is not running", hint=f"start it: clusterctl --lab {name} lab up")
    return _of_lab(record)


def _of_only_lab() -> Doors:
    from clusterd.lab.layout import running_labs

    running = running_labs()
    if len(running) == 1:
        return _of_lab(running[0])
    if running:
        names = ", ".join(each.name for each in running)
        raise BadInput(f"several labs are running: {names}", hint="choose one: clusterctl --lab NAME …")
    raise Unreachable(
        "there is no node here and no lab is running",
        hint=f"start a lab (clusterctl lab up), or name a node with --endpoint or {ENDPOINT_VARIABLE}",
    )


def _of_lab(record: "LabRecord") -> Doors:
    endpoints = tuple(parse_endpoint(node.api) for node in record.nodes)
    return Doors(endpoints, _lab_token(record), f"lab {record.name}")


def _lab_token(record: "LabRecord") -> str:
    try:
        return record.token()
    except OSError as error:
        hint = f"start the lab again: clusterctl --lab {record.name} lab up"
        raise Unreachable(f"the token of lab {record.name} cannot be read: {error}", hint=hint) from error


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        return False
