"""What is a node told before it starts? I/O.

`node.toml` names the node, its cluster, its folders, its two addresses, its certificate and the other members. Everything
else lives in the cluster database. The file is checked as a whole: an error names the file, the key and what is allowed.
"""

import difflib
import ipaddress
import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from clusterd.model.errors import BadInput
from clusterd.model.ids import NodeId, key_of, name_problem
from clusterd.model.records import FenceRecord, Properties

RUN_ID_VARIABLE = "CLUSTERD_RUN_ID"
BOOT_ID_FILE = Path("/proc/sys/kernel/random/boot_id")
SOCKET_PATH_BYTES_MAX = 107
SOCKET_NAME_BYTES = 32
"""Room that a run folder leaves for the names of the sockets in it."""

S = TypeVar("S", bound=msgspec.Struct)
LogLevel = Literal["debug", "info", "warning", "error"]
_ADDRESS = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[^:\s\[\]]+):(\d{1,5})")
_UNKNOWN_KEY = re.compile(r"unknown field `([^`]+)`")


class TlsFiles(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """PEM files: the cluster's authority, this node's certificate, and its private key."""

    ca: str
    certificate: str
    key: str


class Member(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One node of the cluster at its creation. `number` is the join order; `peer` and `api` are host:port."""

    name: str
    number: int
    peer: str
    api: str


class NodeConfiguration(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The content of one node's configuration file; paths are absolute."""

    cluster: str
    cluster_id: str
    node: str
    data_dir: str
    run_dir: str
    peer_listen: str
    api_listen: str
    api_token_file: str
    tls: TlsFiles
    nodes: tuple[Member, ...]
    plugins: tuple[str, ...] = ()
    bootstrap_file: str = ""
    links_file: str = ""
    marker_dir: str = ""
    """Where the node keeps what it promised; empty: in `data_dir`. On another device it outlives a disk that is restored."""
    disk_file: str = ""
    """Of a lab: which links are cut, and what is wrong with the disk."""
    log_level: LogLevel = "info"

    @classmethod
    def load(cls, path: Path) -> "NodeConfiguration":
        """The checked content of `path`. Raises BadInput that names file, key and allowed values."""
        configuration = _convert(path, _toml(path), cls)
        problems = list(_problems(configuration))
        if problems:
            raise BadInput(f"{path}: {'; '.join(problems)}", hint="correct the file and start again")
        return configuration

    def write(self, path: Path) -> None:
        """Store it where `load` finds it again."""
        path.write_text(_toml_text(msgspec.to_builtins(self)), encoding="utf-8")

    @property
    def member(self) -> Member:
        """This node among the members."""
        return next(each for each in self.nodes if key_of(each.name) == key_of(self.node))


class FenceAgentEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A power switch that the cluster knows from its first moment on."""

    name: str
    agent: str
    nodes: tuple[str, ...] = ()
    parameters: dict[str, Any] = {}


class Bootstrap(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a new cluster's database starts with. Read once, by whoever founds it."""

    properties: dict[str, Any] = {}
    fence: tuple[FenceAgentEntry, ...] = ()

    @classmethod
    def load(cls, path: Path) -> "Bootstrap":
        """The content of a JSON file. Raises BadInput that names file and key."""
        try:
            content = json.loads(_text(path))
        except ValueError as error:
            raise BadInput(f"{path} is not JSON: {error}", hint="correct the file") from error
        return _convert(path, content, cls)

    def write(self, path: Path) -> None:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=2))

    @property
    def cluster_properties(self) -> Properties:
        return self.properties

    @property
    def fence_records(self) -> tuple[FenceRecord, ...]:
        return tuple(
            FenceRecord(each.name, each.agent, tuple(NodeId(name) for name in each.nodes), each.parameters)
            for each in self.fence
        )


def present_run_id(environment: Mapping[str, str] = os.environ) -> str:
    """The id of this run of the machine: what the launcher of a lab says, else the kernel's boot id."""
    return environment.get(RUN_ID_VARIABLE) or BOOT_ID_FILE.read_text(encoding="ascii").strip()


def socket_path_problem(run_dir: str) -> str | None:
    """Why no Unix socket can live in `run_dir`; None when one can. The kernel takes 107 bytes of path."""
    room = SOCKET_PATH_BYTES_MAX - SOCKET_NAME_BYTES
    size = len(os.fsencode(run_dir))
    if size <= room:
        return None
    return (
        f"run_dir has {size} bytes, at most {room} leave room for Unix sockets (107 bytes in all): choose a shorter one"
    )


def _problems(configuration: NodeConfiguration) -> list[str]:
    found = [
        f"{key} is {value!r}: {problem}"
        for key, value in (("cluster", configuration.cluster), ("node", configuration.node))
        if (problem := name_problem(value))
    ]
    for key in ("data_dir", "run_dir", "marker_dir"):
        if not os.path.isabs(getattr(configuration, key)) and (key != "marker_dir" or configuration.marker_dir):
            found.append(f"{key} is {getattr(configuration, key)!r}: an absolute path is needed")
    found += [
        f"{key} is {value!r}: host:port is needed, with a port from 1 to 65535"
        for key, value in _addresses(configuration)
        if not _is_address(value)
    ]
    found += [f"{key} is {value!r}: {problem}" for key, value, problem in _peer_problems(configuration)]
    if problem := socket_path_problem(configuration.run_dir):
        found.append(problem)
    return found + _member_problems(configuration)


def _peer_problems(configuration: NodeConfiguration) -> Iterator[tuple[str, str, str]]:
    """Addresses that are well formed and at which no peer would ever be heard: key, value and why."""
    peers = [(f"nodes[{index}].peer", each.peer) for index, each in enumerate(configuration.nodes)]
    for key, value in [("peer_listen", configuration.peer_listen), *peers]:
        if not _is_address(value):
            continue
        host = value.rpartition(":")[0]
        try:
            address = ipaddress.IPv4Address(host)
        except ValueError:
            kind = "IPv6 addresses" if host.startswith("[") else "host names"
            yield (
                key,
                value,
                f"peers reach each other at IPv4 addresses, as 10.0.0.1:7501; {kind} are not supported yet",
            )
            continue
        if key != "peer_listen" and (address.is_unspecified or address.is_multicast):
            yield key, value, "no node can be reached there: give the address at which the others reach it"


def _addresses(configuration: NodeConfiguration) -> list[tuple[str, str]]:
    found = [("peer_listen", configuration.peer_listen), ("api_listen", configuration.api_listen)]
    for index, member in enumerate(configuration.nodes):
        found += [(f"nodes[{index}].peer", member.peer), (f"nodes[{index}].api", member.api)]
    return found


def _member_problems(configuration: NodeConfiguration) -> list[str]:
    names = [key_of(each.name) for each in configuration.nodes]
    numbers = [each.number for each in configuration.nodes]
    found = [
        f"nodes[{index}].name is {each.name!r}: {problem}"
        for index, each in enumerate(configuration.nodes)
        if (problem := name_problem(each.name))
    ]
    if len(set(names)) < len(names):
        found.append("nodes has the same name twice")
    if len(set(numbers)) < len(numbers) or any(number < 1 for number in numbers):
        found.append("nodes[].number is 1, 2, 3 …, each once")
    if key_of(configuration.node) not in names:
        known = ", ".join(each.name for each in configuration.nodes) or "nobody"
        found.append(f"node is {configuration.node!r}, but nodes lists {known}")
    return found


def _is_address(text: str) -> bool:
    match = _ADDRESS.fullmatch(text)
    return match is not None and 0 < int(match.group(1)) < 65536


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}", hint="name an existing, readable file") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{path} is not UTF-8 text: {error}", hint="correct the file") from error


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(_text(path))
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"{path} is not TOML: {error}", hint="correct the file and start again") from error


def _convert(path: Path, content: Any, kind: type[S]) -> S:
    try:
        return msgspec.convert(content, kind)
    except msgspec.ValidationError as error:
        hint = "correct the file and start again"
        unknown = _UNKNOWN_KEY.search(str(error))
        if unknown and isinstance(content, dict):
            known = [field.name for field in msgspec.structs.fields(kind)]
            near = difflib.get_close_matches(unknown.group(1), known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known keys: {', '.join(known)}"
        raise BadInput(f"{path}: {error}", hint=hint) from error


def _toml_text(content: Mapping[str, Any]) -> str:
    plain = [f"{key} = {_toml_value(value)}" for key, value in content.items() if key not in ("tls", "nodes")]
    tables = ["", "[tls]", *(f"{key} = {_toml_value(value)}" for key, value in content["tls"].items())]
    for member in content["nodes"]:
        tables += ["", "[[nodes]]", *(f"{key} = {_toml_value(value)}" for key, value in member.items())]
    return "\n".join(plain + tables) + "\n"


def _toml_value(value: Any) -> str:
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml_value(each) for each in value) + "]"
    return str(value)
