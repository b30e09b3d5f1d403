"""Every record survives the way to bytes and back, and equal records give equal bytes."""

import types
import typing
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterd.model import codec
from clusterd.model.errors import DamagedRecord
from clusterd.model.keys import RECORD_OF_PREFIX
from clusterd.model.records import GroupRecord
from clusterd.model.states import GroupState, Order, ResourceState, group_state
from clusterd.model.words import is_known, word_of

JSON = st.dictionaries(
    st.text(max_size=5),
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=5,
    ),
    max_size=3,
)
NUMBERS = st.integers(0, 2**31 - 1)


def of(hint: Any) -> st.SearchStrategy[Any]:
    """Values of a field's type."""
    hint = getattr(hint, "__supertype__", hint)
    origin = typing.get_origin(hint)
    if origin is Mapping or (isinstance(origin, type) and issubclass(origin, Mapping)):
        return JSON
    if origin is tuple:
        return st.lists(of(typing.get_args(hint)[0]), max_size=2).map(tuple)
    if origin in (types.UnionType, typing.Union):
        return st.one_of(*(st.none() if each is type(None) else of(each) for each in typing.get_args(hint)))
    if is_dataclass(hint):
        hints = typing.get_type_hints(hint)
        return st.builds(hint, **{each.name: of(hints[each.name]) for each in fields(hint)})
    if isinstance(hint, type) and issubclass(hint, Enum):
        return st.sampled_from([*hint, word_of(hint, "from-the-future")])
    simple = {
        str: st.text(st.characters(codec="utf-8"), max_size=8),
        int: NUMBERS,
        bool: st.booleans(),
        bytes: st.binary(max_size=8),
    }
    return simple[hint]


@pytest.mark.parametrize("kind", sorted(RECORD_OF_PREFIX.values(), key=lambda each: each.__name__))
def test_round_trip(kind: type) -> None:
    @given(of(kind))
    def check(record: Any) -> None:
        data = codec.encode(record)
        again = codec.decode(kind, data)
        assert again == record
        assert codec.encode(again) == data

    check()


@pytest.mark.parametrize("kind", sorted(RECORD_OF_PREFIX.values(), key=lambda each: each.__name__))
def test_each_field_has_its_place_on_the_wire(kind: type) -> None:
    on_wire = {name.removesuffix("_json") for name in codec.message_class(kind).DESCRIPTOR.fields_by_name}
    assert on_wire == {each.name for each in fields(kind)}


def test_damage_is_an_error_of_its_own() -> None:
    with pytest.raises(DamagedRecord):
        codec.decode(GroupRecord, b"\xff\xff\xff")


def test_a_word_of_a_newer_version_is_kept_and_equal_to_itself() -> None:
    word = word_of(Order, "hibernate")
    assert word == "hibernate" and f"{word}" == "hibernate" and word is word_of(Order, "hibernate")
    assert not is_known(word) and is_known(Order.RUN)
    assert word not in set(Order) and word_of(Order, "run") is Order.RUN


@pytest.mark.parametrize("text", ["", "a\nb", "x" * 65, "\x00"])
def test_what_is_no_word_is_damage(text: str) -> None:
    with pytest.raises(ValueError, match="is no word of Order"):
        word_of(Order, text)


def test_a_group_with_a_state_of_a_newer_version_is_unknown() -> None:
    states = (ResourceState.ONLINE, word_of(ResourceState, "hibernated"))
    assert group_state(states) is GroupState.UNKNOWN
