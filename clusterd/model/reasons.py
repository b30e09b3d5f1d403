"""How is the cause of a resource's state told? Pure. What code goes by stands beside it, in fields of its own."""


def short_text(text: str, brief: str) -> str:
    """A decision's text, for where the nodes are listed beside it."""
    return brief or text


def why_text(cause: str, left_alone: str) -> str:
    """As in 'it failed: … (hands off: group web is in maintenance, asked for by ann)'."""
    return f"{cause} ({left_alone})" if left_alone else cause
