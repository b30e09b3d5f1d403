"""Records, events and error codes are complete and agree with their other half."""

import dataclasses
import re

import pytest

from clusterd.model import errors, events, records
from clusterd.model.codec import message_class

RECORDS = sorted(
    (kind for kind in vars(records).values() if isinstance(kind, type) and dataclasses.is_dataclass(kind)),
    key=lambda kind: kind.__name__,
)
EVENT_NAME = re.compile(r"[a-z]+(-[a-z]+)*\.[a-z]+(-[a-z]+)*")


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
def test_a_record_and_its_message_have_the_same_fields(kind: type) -> None:
    wire = {field.name.removesuffix("_json") for field in message_class(kind).DESCRIPTOR.fields}
    assert {field.name for field in dataclasses.fields(kind)} == wire


def test_there_are_records() -> None:
    assert len(RECORDS) > 10


@pytest.mark.parametrize("event", events.CATALOGUE.values(), ids=lambda event: event.name)
def test_an_event_is_well_formed(event: events.Event) -> None:
    assert EVENT_NAME.fullmatch(event.name)
    assert event.level in ("error", "warning", "info", "debug")
    assert event.says[0].isupper() and event.says.endswith(".")
    assert len(set(event.keys)) == len(event.keys)
    assert all(re.fullmatch(r"[a-z]+(_[a-z0-9]+)*", key) for key in event.keys)


def test_events_are_constants_named_after_what_they_say() -> None:
    constants = {name: value for name, value in vars(events).items() if isinstance(value, events.Event)}
    assert set(constants.values()) == set(events.CATALOGUE.values())
    for constant, event in constants.items():
        assert constant == re.sub(r"[.-]", "_", event.name).upper()


def test_every_error_has_an_http_status_and_an_exit_code() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.ClusterError)]
    assert {kind.code for kind in kinds} <= set(errors.CODES)
    for kind in kinds:
        assert kind is errors.ClusterError or kind.__name__ in (errors.__doc__ or "")
