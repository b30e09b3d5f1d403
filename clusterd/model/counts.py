"""How is a number of things said? Pure. No '1 groups', no '0 of 0'."""


def counted(count: int, one: str, many: str = "") -> str:
    """1 vote, 2 votes, no vote. `many`: where it is not `one` with an s."""
    if not count:
        return f"no {one}"
    return f"1 {one}" if count == 1 else f"{count} {many or one + 's'}"


def times(count: int) -> str:
    return "once" if count == 1 else "twice" if count == 2 else f"{count} times"


def is_or_are(count: int) -> str:
    return "is" if count == 1 else "are"
