"""How does a lab's command show what it did, and what went wrong? I/O. The same as every command of clusterctl."""

import json
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec

import click

from clusterd.model.errors import CODES, ClusterError, Code

DEFAULT_LAB = "demo"

P = ParamSpec("P")


def reported(action: Callable[P, None]) -> Callable[P, None]:
    """Show an operating error as people and programs expect it, and end with its exit code."""

    @wraps(action)
    def shown(*arguments: P.args, **options: P.kwargs) -> None:
        try:
            action(*arguments, **options)
        except ClusterError as error:
            _show_error(error)
            raise click.exceptions.Exit(CODES.get(error.code, Code(500, 1)).exit_code) from None

    return shown


def show(ctx: click.Context, document: dict[str, Any], text: str) -> None:
    match _output(ctx):
        case "json":
            click.echo(json.dumps(document))
        case "yaml":
            import yaml

            click.echo(yaml.safe_dump(document, sort_keys=False), nl=False)
        case _:
            click.echo(text)


def _show_error(error: ClusterError) -> None:
    if _output(click.get_current_context()) == "json":
        content = {"code": error.code, "message": error.message, "hint": error.hint, "retryable": error.retryable}
        click.echo(json.dumps({"error": content}), err=True)
        return
    click.echo(f"error: {error.message}", err=True)
    if error.hint:
        click.echo(f"try: {error.hint}", err=True)


def lab_name(ctx: click.Context) -> str:
    return str((ctx.obj or {}).get("lab") or DEFAULT_LAB)


def _output(ctx: click.Context) -> str:
    return str((ctx.obj or {}).get("output") or "table")


def table(header: list[str], rows: list[list[str]]) -> str:
    widths = [max(len(row[index]) for row in [header, *rows]) for index in range(len(header))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in [header, *rows]]
    return "\n".join(line.rstrip() for line in lines)
