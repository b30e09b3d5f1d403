"""Commands about manifests: apply, diff, export. I/O.

`${MANIFEST_DIR}` in a manifest stands for the folder that the file lies in, so that it may name what lies beside it.
"""

import re
import sys
from pathlib import Path
from typing import Any

import click

from clusterd.cli.session import carry_out, client_of, mutating, output_of, show
from clusterd.model.errors import BadInput

FOLDER_VARIABLE = "${MANIFEST_DIR}"
_SAFE_FOLDER = re.compile(r"[\w./ +@=,~-]+")


@click.command()
@click.option("-f", "--file", "source", required=True, metavar="FILE", help="The manifest; - is standard input.")
@click.option(
    "--prune", is_flag=True, help="Delete groups and resources that the manifest leaves out (offline ones only)."
)
@mutating
@click.pass_context
def apply(ctx: click.Context, source: str, prune: bool, plan: bool, wait: bool, timeout: int) -> None:
    """Make the cluster what a manifest says. Nothing of a refused manifest is stored.

    \b
    groups:
      - name: web
        preferred_owners: [n1, n2]
        resources:
          - name: web-server
            type: generic_service
            restart: {threshold: 1, period: 15min}
            properties:
              command: [python3, -m, http.server, "8081"]
              ready: {tcp: 8081}

    \b
    clusterctl apply -f web.yaml --plan
    clusterctl apply -f web.yaml
    """
    query = {"prune": "1"} if prune else {}
    carry_out(ctx, "POST", "/v1/apply", manifest_text(source), plan=plan, wait=wait, timeout=timeout, query=query)


@click.command()
@click.option("-f", "--file", "source", required=True, metavar="FILE", help="The manifest; - is standard input.")
@click.option("--prune", is_flag=True, help="Count what the manifest leaves out.")
@click.pass_context
def diff(ctx: click.Context, source: str, prune: bool) -> None:
    """What applying a manifest would change. Changes nothing.

    \b
    clusterctl diff -f web.yaml
    """
    query = {"prune": "1"} if prune else {}
    carry_out(ctx, "POST", "/v1/apply", manifest_text(source), plan=True, wait=False, timeout=0, query=query)


@click.command()
@click.pass_context
def export(ctx: click.Context) -> None:
    """The present configuration as a manifest; applying it again changes nothing.

    \b
    clusterctl export > backup.yaml
    """
    text = client_of(ctx).read_text("/v1/export")
    if output_of(ctx) == "json":
        import yaml

        document: dict[str, Any] = yaml.safe_load(text) or {}
        show(ctx, {"schema": 1, **document}, lambda _: [])
    else:
        click.echo(text, nl=False)


def manifest_text(source: str) -> str:
    """The manifest with its folder filled in. Raises BadInput."""
    try:
        if source == "-":
            text, folder = sys.stdin.buffer.read().decode("utf-8"), Path.cwd()
        else:
            text, folder = Path(source).read_text(encoding="utf-8"), Path(source).resolve().parent
    except UnicodeDecodeError as error:
        raise BadInput(
            f"{source} is not UTF-8 text: {error.reason} at byte {error.start}", hint="save it as UTF-8"
        ) from error
    except OSError as error:
        raise BadInput(
            f"{source} cannot be read: {error.strerror}", hint="name a readable file, or - for input"
        ) from error
    if FOLDER_VARIABLE not in text:
        return text
    if not _SAFE_FOLDER.fullmatch(str(folder)):
        hint = f"move the manifest to a folder with a plain name, or write the path instead of {FOLDER_VARIABLE}"
        raise BadInput(f"the folder {str(folder)!r} cannot stand in a manifest", hint=hint)
    return text.replace(FOLDER_VARIABLE, str(folder))
