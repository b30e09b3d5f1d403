"""How are properties changed and shown by commands? I/O. The same for every kind of thing that has some."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import click

from clusterd.cli.output import paint, plain, table
from clusterd.cli.session import carry_out, mutating
from clusterd.cli.values import properties_of

F = TypeVar("F", bound=Callable[..., Any])


def with_properties(command: F) -> F:
    """PROPERTY=VALUE arguments and the options of every change."""
    command = mutating(command)
    return click.argument("properties", nargs=-1, metavar="[PROPERTY=VALUE]...")(command)


def changing(command: F) -> F:
    """The same for something that is there already."""
    options = (
        click.option("--unset", multiple=True, metavar="PROPERTY", help="Back to the default."),
        click.option(
            "--if-revision",
            type=int,
            default=None,
            metavar="N",
            help="Only if nobody changed it since revision N (show tells which it has).",
        ),
    )
    command = with_properties(command)
    for option in reversed(options):
        command = option(command)
    return command


def change(
    ctx: click.Context,
    path: str,
    *,
    properties: Sequence[str],
    unset: Sequence[str],
    if_revision: int | None,
    parts: Mapping[str, Any] | None = None,
    **how: Any,
) -> None:
    """Carry out a change of properties, and of the object's other `parts` (None: left alone)."""
    body = {"properties": properties_of(properties, unset)} if properties or unset else {}
    body |= {name: value for name, value in (parts or {}).items() if value is not None}
    headers = {} if if_revision is None else {"If-Match": str(if_revision)}
    carry_out(ctx, "PATCH", path, body, headers=headers, **how)


def settings_lines(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """Every property with its value, its default where that is another, and what it does."""
    rows = [
        [
            each["name"],
            _value_text(each) if each["is_default"] else paint(plain(_value_text(each)), "bold"),
            "" if each["is_default"] else each["default_text"] or "none",
            each["says"],
        ]
        for each in settings
    ]
    return table(["PROPERTY", "VALUE", "DEFAULT", "SAYS"], rows)


def _value_text(each: Mapping[str, Any]) -> str:
    """A word with what it stands for: 'type (3min)'."""
    text = _with_unit(each, str(each["text"]) or "none")
    return text if each["in_force"] == each["value"] else f"{text} ({_with_unit(each, each['in_force_text'])})"


def _with_unit(each: Mapping[str, Any], text: str) -> str:
    return f"{text} {each['unit']}" if each["unit"] and text.isdecimal() else text
