"""How does a record become bytes and back? Pure.

One generic conversion for all records: a dataclass field goes into the protobuf field of the same name, a mapping into
`<name>_json`, an optional record is absent when None. A word that this version does not know is kept. Adding a field means
adding it in two places that a test compares.
"""

import json
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from enum import StrEnum
from typing import Any, TypeVar

from google.protobuf.message import DecodeError, Message

from clusterd.model.errors import DamagedRecord
from clusterd.model.words import word_of
from clusterd.wire import records_pb2

R = TypeVar("R")
_Convert = Callable[[Any], Any]
_Plan = tuple[tuple[str, str, _Convert | None, _Convert], ...]
"""For each field: its name here and on the wire, its value → wire (None: as it is), message → its value."""
_PLANS: dict[type, _Plan] = {}
_CLASSES: dict[type, type[Message]] = {}


def encode(record: object) -> bytes:
    """The durable form. Equal records give equal bytes, so bytes can be compared and hashed."""
    kind = type(record)
    values = _to_values(record)
    return _CLASSES[kind](**values).SerializeToString(deterministic=True)


def decode(kind: type[R], data: bytes) -> R:
    """The record in `data`. Raises DamagedRecord when the bytes are not one."""
    message = message_class(kind)()
    try:
        message.ParseFromString(data)
        return typing.cast(R, _from_message(kind, message))
    except (DecodeError, ValueError) as error:
        raise DamagedRecord(kind=kind.__name__, size_bytes=len(data), detail=str(error)) from error


def message_class(kind: type) -> type[Message]:
    return typing.cast(type[Message], getattr(records_pb2, kind.__name__))


def _to_values(record: object) -> dict[str, Any]:
    """What a message is made from. Those in it are made with it: one after the other they would be copied into it."""
    kind = type(record)
    values: dict[str, Any] = {}
    for attribute, name, to_wire, _ in _PLANS.get(kind) or _plan(kind):
        value = getattr(record, attribute)
        if value:  # nothing, zero and empty are absent on the wire
            values[name] = value if to_wire is None else to_wire(value)
    return values


def _from_message(kind: type, message: Message) -> object:
    return kind(**{attribute: from_wire(message) for attribute, _, _, from_wire in _PLANS.get(kind) or _plan(kind)})


def _plan(kind: type) -> _Plan:
    """How records of this kind are converted. Worked out once."""
    if not is_dataclass(kind):
        raise TypeError(f"{kind.__name__} is not a record")
    hints = typing.get_type_hints(kind)
    plan = tuple((each.name, *_field_plan(each.name, hints[each.name])) for each in fields(kind))
    _PLANS[kind], _CLASSES[kind] = plan, message_class(kind)
    return plan


def _field_plan(name: str, hint: Any) -> tuple[str, _Convert | None, _Convert]:
    hint = getattr(hint, "__supertype__", hint)
    origin = typing.get_origin(hint)
    if origin is Mapping or hint is dict or origin is typing.get_origin(Mapping[str, Any]):
        wire = f"{name}_json"
        return wire, _dump_json, lambda message: _load_json(getattr(message, wire))
    if origin is tuple:
        item = typing.get_args(hint)[0]
        if is_dataclass(item):
            kind = typing.cast(type, item)
            return (
                name,
                lambda value: [_to_values(each) for each in value],
                lambda message: tuple(_from_message(kind, each) for each in getattr(message, name)),
            )
        return name, list, lambda message: tuple(getattr(message, name))
    if origin in (types.UnionType, typing.Union):
        kind = next(each for each in typing.get_args(hint) if each is not type(None))
        return name, _to_values, lambda message: _optional(kind, message, name)
    if is_dataclass(hint):
        kind = typing.cast(type, hint)
        return name, _to_values, lambda message: _from_message(kind, getattr(message, name))
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        enum = hint
        return name, lambda value: value.value, lambda message: word_of(enum, getattr(message, name))
    return name, None, lambda message: getattr(message, name)


def _optional(kind: type, message: Message, name: str) -> object | None:
    return _from_message(kind, getattr(message, name)) if message.HasField(name) else None


def _dump_json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() if value else b""


def _load_json(data: bytes) -> dict[str, Any]:
    return typing.cast(dict[str, Any], json.loads(data)) if data else {}
