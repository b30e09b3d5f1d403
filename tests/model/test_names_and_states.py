"""Names, keys and the states that follow from others."""

from itertools import product

import pytest

from clusterd.model import keys
from clusterd.model.ids import NAME_LENGTH_MAX, key_of, name_problem
from clusterd.model.states import PENDING_STATES, GroupState, ResourceState, group_state


@pytest.mark.parametrize("name", ["a", "A1", "web-server", "n1.example_x", "x" * NAME_LENGTH_MAX])
def test_good_names(name: str) -> None:
    assert name_problem(name) is None


@pytest.mark.parametrize("name", ["", "-a", "a-", "a b", "a/b", "ä", "x" * (NAME_LENGTH_MAX + 1), 7, None, "a\n"])
def test_bad_names(name: object) -> None:
    assert name_problem(name) is not None


def test_names_that_differ_in_case_share_a_key() -> None:
    assert keys.group("Web") == keys.group("wEB") == "group/web"
    assert key_of("Web") == "web"
    assert keys.resource_type("Svc", "N1") == "resource_type/svc/n1"


def test_events_are_in_order_of_time() -> None:
    made = [keys.event(revision, number) for revision in (1, 15, 16, 300) for number in (0, 1, 255)]
    assert made == sorted(made)
    assert {keys.prefix_of(each) for each in made} == {keys.EVENT}


def obvious_group_state(states: tuple[ResourceState, ...]) -> GroupState:
    kinds = set(states)
    if ResourceState.UNKNOWN in kinds:
        return GroupState.UNKNOWN
    if ResourceState.FAILED in kinds:
        return GroupState.FAILED
    if kinds & PENDING_STATES:
        return GroupState.PENDING
    if kinds == {ResourceState.ONLINE}:
        return GroupState.ONLINE
    return GroupState.PARTIAL_ONLINE if ResourceState.ONLINE in kinds else GroupState.OFFLINE


def test_group_state_of_every_combination() -> None:
    for count in range(4):
        for states in product(ResourceState, repeat=count):
            assert group_state(states) is obvious_group_state(states), states
