"""How do commands look that name one thing and say what to do with it? I/O. One shape for every kind of thing."""

from typing import Any

import click

from clusterd.cli.client import path_to
from clusterd.cli.session import carry_out, mutating

_EXAMPLES = {"groups": "web", "group-sets": "backend", "resources": "web-server", "rules": "apart"}


def add_verb(group: click.Group, verb: str, collection: str, says: str) -> None:
    """Add `VERB NAME`: a POST to the thing's verb, or for `delete` the thing's end. `says` begins its help."""
    example = f"clusterctl {group.name} {verb} {_EXAMPLES[collection]}"

    @group.command(name=verb, help=f"{says}\n\n\b\n{example}")
    @click.argument("name")
    @mutating
    @click.pass_context
    def run(ctx: click.Context, /, name: str, **how: Any) -> None:
        if verb == "delete":
            carry_out(ctx, "DELETE", path_to(collection, name), **how)
        else:
            carry_out(ctx, "POST", path_to(collection, name, verb), **how)
