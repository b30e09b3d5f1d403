"""What becomes of a word that a newer version wrote and this one does not know? Pure.

It is kept and shown as it is, and stored again unchanged. To code it is none of the words that it knows: whoever compares
sees that it is something else. Only what cannot be a word at all is damage.
"""

import re
from enum import StrEnum
from typing import TypeVar

W = TypeVar("W", bound=StrEnum)
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._ -]{0,63}")
_UNKNOWN_MAX = 256
_unknown: dict[tuple[type[StrEnum], str], StrEnum] = {}
"""One object a word, so that `is` holds between two of them. Bounded: there are not many versions."""


def word_of(kind: type[W], text: str) -> W:
    """The member of `kind`, or a word of its type that is none of them. Raises ValueError for what is no word."""
    try:
        return kind(text)
    except ValueError:
        known = _unknown.get((kind, text))
    if known is None:
        if not _WORD.fullmatch(text):
            raise ValueError(f"{text!r} is no word of {kind.__name__}") from None
        known = str.__new__(kind, text)
        known._name_, known._value_ = text, text
        if len(_unknown) < _UNKNOWN_MAX:
            _unknown[kind, text] = known
    return known  # type: ignore[return-value]  # it was made for this kind


def is_known(word: StrEnum) -> bool:
    """Whether this version knows it."""
    return word.value in type(word)._value2member_map_
