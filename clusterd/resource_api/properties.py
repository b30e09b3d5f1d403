"""Which properties does a resource type have, and are these values right? Pure.

A type declares `Property` values; `schema_of` renders them as a JSON schema (draft 2020-12, a small subset) that travels
to the daemon and the API. `validate` checks values against such a schema and needs nothing but the schema, so the API can
refuse a manifest without having the type. `effective` fills in defaults, resolves aliases and turns durations into
integer milliseconds.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from clusterd.resource_api.secret_values import is_secret_name, shown

PROBLEM_COUNT_MAX = 50
TEXT_SIZE_MAX = (128 << 10) - 1
"""Of one argument or environment variable: MAX_ARG_STRLEN of the kernel, with its end."""
OWN_VARIABLES = "CLUSTERD_"
"""Variables that begin so tell a workload who it is, and us which processes are its: nobody else sets them."""
NOTIFY_VARIABLE = "NOTIFY_SOCKET"


class PropertyKind(StrEnum):
    TEXT = "text"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    DURATION = "duration"
    LIST = "list"
    MAPPING = "mapping"
    CHOICE = "choice"
    TEXT_OR_MAPPING = "text-or-mapping"
    ENVIRONMENT = "environment"
    """Names and values of environment variables."""


class ProblemKind(StrEnum):
    """What is wrong, for code; the message says it to people."""

    VALUE = "value"
    UNKNOWN = "unknown"
    """There is no such property, and none whose name is near."""
    MISSPELT = "misspelt"
    """There is no such property; the message names the nearest."""


class Problem(NamedTuple):
    """`path` names the value (`ready.tcp`, `command[2]`), `message` what is wrong with it and what would be right."""

    path: str
    message: str
    kind: ProblemKind = ProblemKind.VALUE

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


@dataclass(frozen=True, slots=True)
class Property:
    """One property. Durations have their default and range in milliseconds. `unit` is that of a bare number."""

    name: str
    kind: PropertyKind
    says: str
    required: bool = False
    default: Any = None
    unit: str = ""
    minimum: int | None = None
    maximum: int | None = None
    choices: tuple[str, ...] = ()
    fields: tuple["Property", ...] = ()
    """Of a mapping: the keys that it may have; none means any text key with a text value."""
    exactly_one: bool = False
    """Of a mapping with fields: exactly one of them must be given."""
    aliases: tuple[str, ...] = ()
    is_waited_for: bool = False
    """A call waits as long as this says: it has to fit into the deadlock time-out."""
    is_per_node: bool = False
    """Each node needs its own: `{node}` in it is the node's name."""
    is_sole: bool = False
    """What it names may be named by one resource of the type only; of a mapping by the keys in `sole_by`."""
    sole_by: tuple[str, ...] = ()
    prevents: tuple[str, ...] = ()
    """Abilities of the type that a resource for which this is set does not have, so that nobody asks for them."""


_UNIT_MS = {"ms": 1, "s": 1000, "m": 60_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|min|m|h|d)\s*")


def duration_ms(value: object, unit: str = "ms") -> int | None:
    """`"1m30s"` is 90000; a bare number has `unit`. None when it is no duration."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        # YAML has words for numbers that are none: .inf and .nan are no durations.
        return round(value * _UNIT_MS[unit]) if math.isfinite(value) and value >= 0 else None
    if not isinstance(value, str):
        return None
    text = value.strip()
    parts = list(_DURATION_PART.finditer(text))
    if not parts or "".join(part.group(0) for part in parts) != text:
        return None
    length_ms = sum(float(part.group(1)) * _UNIT_MS[part.group(2)] for part in parts)
    return round(length_ms) if math.isfinite(length_ms) else None


# ---- declarations -> schema ----
def schema_of(
    properties: Iterable[Property], *, says: str = "", exactly_one: Sequence[Sequence[str]] = ()
) -> dict[str, Any]:
    """The JSON schema of a type's properties. What JSON schema has no word for is under `x-` keys."""
    declared = list(properties)
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {each.name: _schema_of_one(each) for each in declared},
        "required": [each.name for each in declared if each.required],
        "additionalProperties": False,
    }
    if says:
        schema["description"] = says
    if exactly_one:
        schema["x-exactly-one"] = [list(names) for names in exactly_one]
    return schema


def _schema_of_one(declared: Property) -> dict[str, Any]:
    schema = _shape(declared)
    schema["description"] = declared.says
    if declared.default is not None:
        schema["default"] = declared.default
    if declared.unit:
        schema["x-unit"] = declared.unit
    if declared.aliases:
        schema["x-aliases"] = list(declared.aliases)
    if declared.is_waited_for:
        schema["x-waited-for"] = True
    if declared.is_per_node:
        schema["x-per-node"] = True
    if declared.is_sole:
        schema["x-sole"] = list(declared.sole_by) or True
    if declared.prevents:
        schema["x-prevents"] = list(declared.prevents)
    if declared.minimum is not None:
        schema["minimum"] = declared.minimum
    if declared.maximum is not None:
        schema["maximum"] = declared.maximum
    return schema


def _shape(declared: Property) -> dict[str, Any]:
    match declared.kind:
        case PropertyKind.TEXT:
            return {"type": "string"}
        case PropertyKind.INTEGER:
            return {"type": "integer"}
        case PropertyKind.BOOLEAN:
            return {"type": "boolean"}
        case PropertyKind.DURATION:
            return {"type": ["string", "integer"], "format": "duration"}
        case PropertyKind.LIST:
            return {"type": "array", "items": {"type": "string"}}
        case PropertyKind.CHOICE:
            return {"type": "string", "enum": list(declared.choices)}
        case PropertyKind.MAPPING:
            return _mapping_shape(declared)
        case PropertyKind.ENVIRONMENT:
            return {"type": "object", "additionalProperties": {"type": "string"}, "x-environment": True}
        case PropertyKind.TEXT_OR_MAPPING:
            text: dict[str, Any] = {"type": "string"}
            if declared.choices:
                text["enum"] = list(declared.choices)
            return {"oneOf": [text, _mapping_shape(declared)]}


def _mapping_shape(declared: Property) -> dict[str, Any]:
    if not declared.fields:
        return {"type": "object", "additionalProperties": {"type": "string"}}
    schema = schema_of(declared.fields)
    if declared.exactly_one:
        schema["x-exactly-one"] = [[field.name for field in declared.fields]]
    return schema


# ---- schema -> problems ----
def validate(properties: object, schema: Mapping[str, Any]) -> list[Problem]:
    """What is wrong with `properties`; nothing when they are right. Never raises, whatever it is given."""
    return _problems(properties, schema, "")[:PROBLEM_COUNT_MAX]


def _problems(value: object, schema: Mapping[str, Any], path: str) -> list[Problem]:
    if "oneOf" in schema:
        return _one_of_problems(value, schema["oneOf"], path)
    if schema.get("format") == "duration":
        return _duration_problems(value, schema, path)
    kind = schema.get("type")
    if not _has_type(value, kind):
        return [Problem(path, f"expected {_TYPE_WORDS.get(str(kind), kind)}, not {_shown(value, path)}")]
    if isinstance(value, dict):
        return _object_problems(value, schema, path)
    if isinstance(value, list):
        items = schema.get("items", {})
        if len(value) < schema.get("minimum", 0):
            return [Problem(path, f"must have at least {schema['minimum']} item, not {len(value)}")]
        return [found for at, item in enumerate(value) for found in _problems(item, items, f"{path}[{at}]")]
    return _scalar_problems(value, schema, path)


def _object_problems(value: dict[Any, Any], schema: Mapping[str, Any], path: str) -> list[Problem]:
    known: Mapping[str, Any] = schema.get("properties", {})
    by_alias = _aliases(known)
    found: list[Problem] = []
    given: set[str] = set()
    for key, item in value.items():
        if not isinstance(key, str):
            found.append(Problem(path, f"a key is text, not {_shown(key)}"))
            continue
        inner = f"{path}.{key}" if path else key
        name = by_alias.get(key, key)
        if schema.get("x-environment") and (problem := environment_problem(key, item)):
            found.append(Problem(inner, problem))
        if name in given:
            found.append(Problem(inner, f"{name} is given twice"))
        given.add(name)
        if name in known:
            found += _problems(item, known[name], inner)
        elif isinstance(schema.get("additionalProperties"), dict):
            found += _problems(item, schema["additionalProperties"], inner)
        else:
            near = _nearest(key, [*known, *by_alias])
            kind = ProblemKind.MISSPELT if near else ProblemKind.UNKNOWN
            found.append(Problem(inner, f"no such property{near}", kind))
    for name in schema.get("required", []):
        if name not in given:
            found.append(Problem(f"{path}.{name}" if path else name, "is required"))
    for names in schema.get("x-exactly-one", []):
        if sum(name in given for name in names) != 1:
            found.append(Problem(path, f"exactly one of {', '.join(names)} must be given"))
    return found


def _one_of_problems(value: object, schemas: Sequence[Mapping[str, Any]], path: str) -> list[Problem]:
    """The problems under the alternative that has the value's type; so the message is about what was meant."""
    for schema in schemas:
        if _has_type(value, schema.get("type")):
            return _problems(value, schema, path)
    words = " or ".join(_TYPE_WORDS.get(str(schema.get("type")), "?") for schema in schemas)
    return [Problem(path, f"expected {words}, not {_shown(value, path)}")]


def _duration_problems(value: object, schema: Mapping[str, Any], path: str) -> list[Problem]:
    length_ms = duration_ms(value, str(schema.get("x-unit", "ms")))
    if length_ms is None:
        return [Problem(path, f"expected a duration such as 500ms, 2s, 15min or 6h, not {_shown(value, path)}")]
    lowest, highest = schema.get("minimum"), schema.get("maximum")
    if lowest is not None and length_ms < lowest:
        return [Problem(path, f"must be at least {lowest} ms, not {length_ms} ms")]
    if highest is not None and length_ms > highest:
        return [Problem(path, f"must be at most {highest} ms, not {length_ms} ms")]
    return []


def _scalar_problems(value: object, schema: Mapping[str, Any], path: str) -> list[Problem]:
    if "enum" in schema and value not in schema["enum"]:
        choices = [str(choice) for choice in schema["enum"]]
        return [Problem(path, f"{_shown(value, path)} is none of {', '.join(choices)}{_nearest(str(value), choices)}")]
    if isinstance(value, int) and not isinstance(value, bool):
        if "minimum" in schema and value < schema["minimum"]:
            return [Problem(path, f"must be at least {schema['minimum']}, not {value}")]
        if "maximum" in schema and value > schema["maximum"]:
            return [Problem(path, f"must be at most {schema['maximum']}, not {value}")]
    if isinstance(value, str) and (problem := text_problem(value)):
        return [Problem(path, problem)]
    return []


def text_problem(value: str) -> str:
    """Why no program could get it as an argument or a variable; empty when it could."""
    if "\0" in value:
        return "text has no NUL characters"
    try:
        size = len(value.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:
        return "text has no half characters (unpaired surrogates)"
    return "" if size <= TEXT_SIZE_MAX else f"has {size} bytes, and a program takes at most {TEXT_SIZE_MAX} in one text"


def environment_problem(name: str, value: object) -> str:
    """Why `name` cannot be set to `value` for a workload; empty when it can."""
    if not name or "=" in name:
        return f"the name of a variable is not empty and has no '=', not {_shown(name)}"
    if problem := text_problem(name):
        return problem
    if name.startswith(OWN_VARIABLES) or name == NOTIFY_VARIABLE:
        return "is set by the cluster; give the variable another name"
    if isinstance(value, str) and len(f"{name}={value}".encode("utf-8", "replace")) > TEXT_SIZE_MAX:
        return f"has more than {TEXT_SIZE_MAX} bytes, name and value together"
    return ""


_TYPE_WORDS = {
    "string": "text",
    "integer": "an integer",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
}


def _has_type(value: object, kind: object) -> bool:
    match kind:
        case "string":
            return isinstance(value, str)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "boolean":
            return isinstance(value, bool)
        case "array":
            return isinstance(value, list)
        case "object":
            return isinstance(value, dict)
        case _:
            return True


def _shown(value: object, path: str = "") -> str:
    name = next((each for each in re.split(r"[.\[]", path) if is_secret_name(each)), "")
    text = repr(shown(value, name))
    return text if len(text) <= 60 else text[:57] + "..."


def _aliases(known: Mapping[str, Any]) -> dict[str, str]:
    return {alias: name for name, schema in known.items() for alias in schema.get("x-aliases", [])}


def _nearest(word: str, known: Sequence[str]) -> str:
    import difflib  # 3 ms, and needed only to word a refusal

    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else ""


# ---- values as a resource type sees them ----
def effective(properties: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Valid `properties` with aliases resolved, defaults filled in (None where there is none), durations in ms."""
    known: Mapping[str, Any] = schema.get("properties", {})
    by_alias = _aliases(known)
    given = {by_alias.get(key, key): value for key, value in properties.items()}
    result: dict[str, Any] = {}
    for name, inner in known.items():
        result[name] = _effective_one(given[name], inner) if name in given else inner.get("default")
    return result


def _effective_one(value: Any, schema: Mapping[str, Any]) -> Any:
    if schema.get("format") == "duration":
        return duration_ms(value, str(schema.get("x-unit", "ms")))
    if isinstance(value, dict):
        shape = next((each for each in schema.get("oneOf", [schema]) if each.get("type") == "object"), schema)
        known = shape.get("properties", {})
        return {key: _effective_one(item, known.get(key, {})) for key, item in value.items()}
    return value
