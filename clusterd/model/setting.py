"""What is known of one common property? Pure. The vocabulary of the settings tables."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

ALL_ONES = 0xFFFFFFFF  # the reference's "not limited", "never" or "as the type says"


class Scope(StrEnum):
    CLUSTER = "cluster"
    NODE = "node"
    GROUP = "group"
    GROUP_SET = "group set"
    RESOURCE = "resource"
    RESOURCE_TYPE = "resource type"


class Kind(StrEnum):
    COUNT = "count"
    DURATION = "duration"
    CHOICE = "choice"
    SWITCH = "switch"
    TEXT = "text"
    NAMES = "names"


@dataclass(frozen=True, slots=True)
class Setting:
    """One property. `words` are values that have a name; `least` and `most` bound every other number.

    Stored are whole numbers in `unit`, the word of a choice, true or false, a text, or a list of names. The reference
    numbers its choices from `first_choice` on. A text has at most `most` characters, and `problem` says what else is wrong
    with one.
    """

    scope: Scope
    name: str
    reference_name: str
    kind: Kind
    default: int | bool | str | tuple[str, ...]
    says: str
    unit: str = ""
    least: int = 0
    most: int = ALL_ONES
    choices: tuple[str, ...] = ()
    first_choice: int = 0
    words: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    too_small: str = ""
    too_large: str = ""
    problem: Callable[[str], str | None] | None = None
    is_only_raised: bool = False  # a running cluster may raise it, never lower it


NEVER = MappingProxyType({"never": ALL_ONES})
AS_TYPE = MappingProxyType({"type": ALL_ONES})
