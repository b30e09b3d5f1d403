"""Which things have names, and which names are allowed? Pure.

Names are unique without regard to case, so every place that compares or stores one uses `key_of`.
"""

import re
from typing import NewType

NodeId = NewType("NodeId", str)
GroupId = NewType("GroupId", str)
ResourceId = NewType("ResourceId", str)
Incarnation = NewType("Incarnation", str)

NAME_LENGTH_MAX = 63
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")


def name_problem(name: object) -> str | None:
    """Why `name` cannot name a node, group, resource or resource type; None when it can."""
    if not isinstance(name, str):
        return f"a name is text, not {type(name).__name__}"
    if not name:
        return "a name is not empty"
    if len(name) > NAME_LENGTH_MAX:
        return f"a name has at most {NAME_LENGTH_MAX} characters, this one has {len(name)}"
    if not _NAME.fullmatch(name):
        return "a name has letters, digits, '.', '_' and '-', and begins and ends with a letter or digit"
    return None


def key_of(name: str) -> str:
    """The form in which names are compared: 'Web' and 'web' are one name."""
    return name.casefold()
