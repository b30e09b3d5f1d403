"""Declarations, schemas, and what is wrong with values."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterd.resource_api import Property, PropertyKind, duration_ms, effective, schema_of, validate
from clusterd.resource_api.properties import TEXT_SIZE_MAX
from resource_types.generic_service import GenericService

SCHEMA = schema_of(GenericService.properties, exactly_one=GenericService.exactly_one)


@pytest.mark.parametrize(
    ("value", "length_ms"),
    [("500ms", 500), ("2s", 2000), ("1m30s", 90_000), ("15min", 900_000), ("6h", 21_600_000), ("1.5s", 1500), (7, 7)],
)
def test_durations(value: object, length_ms: int) -> None:
    assert duration_ms(value) == length_ms


@pytest.mark.parametrize("value", ["", "5", "s", "5 parsecs", "-5s", -1, True, None, [], "1s later"])
def test_no_durations(value: object) -> None:
    assert duration_ms(value) is None


def test_bare_number_has_the_unit_of_its_property() -> None:
    schema = schema_of([Property("wait", PropertyKind.DURATION, "how long", unit="s", maximum=10_000)])
    assert effective({"wait": 5}, schema) == {"wait": 5000}
    assert [str(each) for each in validate({"wait": 11}, schema)] == ["wait: must be at most 10000 ms, not 11000 ms"]


@pytest.mark.parametrize(
    ("properties", "problem"),
    [
        ({"comand": ["x"]}, "comand: no such property; did you mean command?"),
        ({"command": "x"}, "command: expected a list, not 'x'"),
        ({"command": ["x", 5]}, "command[1]: expected text, not 5"),
        ({"command": ["x"], "ready": {"tcp": 0}}, "ready.tcp: must be at least 1, not 0"),
        ({"command": ["x"], "ready": {"tpc": 1}}, "ready.tpc: no such property; did you mean tcp?"),
        ({"command": ["x"], "ready": {}}, "ready: exactly one of tcp, command must be given"),
        ({"command": ["x"], "ready": "soon"}, "ready: 'soon' is none of none, notify; did you mean none?"),
        ({"command": ["x"], "ready": 5}, "ready: expected text or a mapping, not 5"),
        ({"command": ["x"], "environment": {"A": 1}}, "environment.A: expected text, not 1"),
        ({"command": ["x"], "CommandLine": ["y"]}, "CommandLine: command is given twice"),
        ({"command": ["a\0b"]}, "command[0]: text has no NUL characters"),
        ({"command": []}, "command: must have at least 1 item, not 0"),
        ({"command": ["\ud800"]}, "command[0]: text has no half characters (unpaired surrogates)"),
        (
            {"command": ["x" * (TEXT_SIZE_MAX + 1)]},
            f"command[0]: has {TEXT_SIZE_MAX + 1} bytes, and a program takes at most {TEXT_SIZE_MAX} in one text",
        ),
        (
            {"command": ["x"], "environment": {"A=B": "x"}},
            "environment.A=B: the name of a variable is not empty and has no '=', not 'A=B'",
        ),
        (
            {"command": ["x"], "environment": {"": "x"}},
            "environment.: the name of a variable is not empty and has no '=', not ''",
        ),
        ({"command": ["x"], "environment": {"A\0": "x"}}, "environment.A\0: text has no NUL characters"),
        (
            {"command": ["x"], "environment": {"CLUSTERD_NODE_TAG": "x"}},
            "environment.CLUSTERD_NODE_TAG: is set by the cluster; give the variable another name",
        ),
        (
            {"command": ["x"], "environment": {"NOTIFY_SOCKET": "x"}},
            "environment.NOTIFY_SOCKET: is set by the cluster; give the variable another name",
        ),
        (
            {"command": ["x"], "environment": {"A": "x" * (TEXT_SIZE_MAX - 1)}},
            f"environment.A: has more than {TEXT_SIZE_MAX} bytes, name and value together",
        ),
    ],
)
def test_problems(properties: dict[str, Any], problem: str) -> None:
    assert problem in [str(each) for each in validate(properties, SCHEMA)]


@pytest.mark.parametrize(
    "properties",
    [
        {"command": ["x" * TEXT_SIZE_MAX]},
        {"command": ["x"], "environment": {"A": "x" * (TEXT_SIZE_MAX - 2)}},
        {"command": ["x"], "environment": {"CLUSTER": "x", "a.b": "", "é": "ü"}},
    ],
)
def test_what_is_just_right(properties: dict[str, Any]) -> None:
    assert validate(properties, SCHEMA) == []


def test_effective_values() -> None:
    found = effective({"CommandLine": ["x"], "stop_grace": "2s"}, SCHEMA)
    assert (found["command"], found["stop_grace"], found["ready"], found["user"]) == (["x"], 2000, "none", None)


def test_schema_survives_json() -> None:
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(list(SCHEMA["properties"])), inner),
    max_leaves=8,
)


@given(ANYTHING)
def test_whatever_is_given_is_judged_and_what_is_right_can_be_used(value: Any) -> None:
    if not validate(value, SCHEMA):
        assert set(effective(value, SCHEMA)) == set(SCHEMA["properties"])


@pytest.mark.parametrize("value", [float("inf"), float("nan"), -1, "9" * 400 + "h"])
def test_what_is_no_number_is_no_duration(value: Any) -> None:
    assert duration_ms(value) is None
