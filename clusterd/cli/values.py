"""How are properties given on the command line? I/O. `name=value`, where the value is read as in a manifest."""

from collections.abc import Sequence

from clusterd.model.errors import BadInput
from clusterd.model.records import Json

HINT = "write it like restart_threshold=2 or 'ready={tcp: 8081}'"


def properties_of(pairs: Sequence[str], unset: Sequence[str] = ()) -> dict[str, Json]:
    """The properties in `pairs`; those in `unset` go back to their default. Raises BadInput."""
    from clusterd.model.manifest.problems import BadManifest
    from clusterd.model.manifest.source import read_yaml

    found: dict[str, Json] = dict.fromkeys(unset)
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name.strip():
            raise BadInput(f"{pair!r} is no property with a value", hint=HINT)
        try:
            located, problems = read_yaml(text)
        except BadManifest as error:
            raise BadInput(f"the value of {name} cannot be read: {error.problems[0].message}", hint=HINT) from error
        if problems:
            raise BadInput(f"the value of {name} cannot be read: {problems[0].message}", hint=HINT)
        found[name.strip()] = located.plain() if text.strip() else ""
    return found


def names_of(text: str | None) -> list[str] | None:
    """n1,n2 as a list; empty text is an empty list; None stays None."""
    if text is None:
        return None
    return [each.strip() for each in text.split(",") if each.strip()]
