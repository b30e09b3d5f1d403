"""What do a host and its spawner say to each other? Pure; standard library only, as the spawner has no other path.

A frame holds a JSON list whose first item names its kind. Whoever reads takes nothing for granted: each item is checked for
its type, and what fits none raises `BadMessage`. JSON, because it can only become plain values (marshal can crash its
reader) and costs the spawner 1 MiB, where msgspec or protobuf would cost it 5 MiB and 70 ms. Texts that are no UTF-8 (a
path, an argument) travel as Python's surrogates and come out as the same bytes.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeGuard

ORDER_SIZE_MAX = 4 << 20
"""Of one frame: what a program's arguments and environment can hold, and more than any manifest can."""
ANSWER_SIZE_MAX = 4096
STAGE_LENGTH_MAX = 64
_GROUPS_COUNT_MAX = 65536
_PID_MAX = 1 << 22
_ID_MAX = 1 << 32
_STATUS_MAX = 1 << 16
_ERRNO_MAX = 4096


class BadMessage(Exception):
    """It is none of ours."""


class Ids(NamedTuple):
    """Whom a process runs as."""

    user: int
    group: int
    groups: list[int]


class Order(NamedTuple):
    """What to start: the program at `path`, which sees `argv`. The descriptor of its output comes with the frame."""

    path: str
    argv: Sequence[str]
    environment: Mapping[str, str]
    cgroup: str | None
    working_directory: str | None
    ids: Ids | None


class Started(NamedTuple):
    """It runs its command. Its pidfd comes with the frame. The keeper, where it has one, is known by pid and start time."""

    request: int
    pid: int
    keeper_pid: int = 0
    keeper_start_ticks: int = 0


class Refused(NamedTuple):
    """It never ran its command: how far it came, and what stopped it."""

    request: int
    stage: str
    error_number: int


class Ended(NamedTuple):
    """Always after its `Started`."""

    pid: int
    wait_status: int


Answer = Started | Refused | Ended


def order_text(request: int, order: Order) -> bytes:
    """Raises `BadMessage` for what no process can be started with: whoever got it would have to give up."""
    path, argv, environment, cgroup, folder, ids = order
    parts = ["start", request, path, list(argv), dict(environment), cgroup, folder, None if ids is None else list(ids)]
    _order(parts)
    return _text(parts)


def read_order(body: bytes) -> tuple[int, Order]:
    """Raises `BadMessage`."""
    return _order(_read(body, ORDER_SIZE_MAX))


def _order(parts: Any) -> tuple[int, Order]:
    match parts:
        case ["start", request, path, argv, environment, cgroup, folder, ids] if (
            _is_number(request, 1 << 62)
            and _is_text(path)
            and _are_texts(argv)
            and argv
            and isinstance(environment, dict)
            and _are_texts([*environment, *environment.values()])
            and all(name and "=" not in name for name in environment)
            and (cgroup is None or _is_text(cgroup))
            and (folder is None or _is_text(folder))
        ):
            return request, Order(path, argv, environment, cgroup, folder, _read_ids(ids))
    raise BadMessage("what came is no order to start something")


def answer_text(answer: Answer) -> bytes:
    return _text([type(answer).__name__.lower(), *answer])


def read_answer(body: bytes) -> Answer:
    """Raises `BadMessage`."""
    match _read(body, ANSWER_SIZE_MAX):
        case ["started", request, pid, keeper, ticks] if (
            _is_number(request, 1 << 62)
            and _is_number(pid, _PID_MAX)
            and pid > 1
            and _is_number(keeper, _PID_MAX)
            and _is_number(ticks, 1 << 62)
        ):
            return Started(request, pid, keeper, ticks)
        case ["refused", request, str(stage), number] if (
            _is_number(request, 1 << 62) and len(stage) <= STAGE_LENGTH_MAX and _is_number(number, _ERRNO_MAX)
        ):
            return Refused(request, stage, number)
        case ["ended", pid, status] if _is_number(pid, _PID_MAX) and pid > 1 and _is_number(status, _STATUS_MAX):
            return Ended(pid, status)
    raise BadMessage("what came is no answer of a spawner")


def _read_ids(ids: Any) -> Ids | None:
    match ids:
        case None:
            return None
        case [user, group, list(groups)] if len(groups) <= _GROUPS_COUNT_MAX and all(
            _is_number(each, _ID_MAX) for each in [user, group, *groups]
        ):
            return Ids(user, group, groups)
    raise BadMessage("what came names no user and groups")


def _text(parts: list[Any]) -> bytes:
    return json.dumps(parts, separators=(",", ":")).encode("ascii")


def _read(body: bytes, size_max: int) -> Any:
    if len(body) > size_max:
        raise BadMessage(f"{len(body)} bytes came, at most {size_max} are allowed")
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadMessage(f"what came is no JSON: {error}") from error


def _is_number(value: object, below: int) -> TypeGuard[int]:
    return type(value) is int and 0 <= value < below


def _is_text(value: object) -> TypeGuard[str]:
    """What can be a C string: without NUL, and bytes once its surrogates are taken back."""
    if not isinstance(value, str) or "\0" in value:
        return False
    try:
        value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


def _are_texts(values: object) -> TypeGuard[list[str]]:
    return isinstance(values, list) and all(_is_text(each) for each in values)
