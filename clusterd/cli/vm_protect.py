"""clusterctl vm protect: the wizard that brings a machine under the cluster's protection. I/O.

It says what there is and what speaks against it, shows what it would create and what to know about it, and asks. A script
says --yes; without a terminal and without it nothing is changed.
"""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from clusterd.cli.client import COMPUTED_MAX_S
from clusterd.cli.output import paint, plain
from clusterd.cli.session import carry_out, client_of, mutating, output_of, plan_lines, show
from clusterd.model.errors import BadInput, ClusterError


@click.command()
@click.argument("name", required=False)
@click.option("--definition", metavar="FILE", help="Its definition: a path that every node has, or the name of one.")
@click.option("--owners", metavar="NODE,…", help="Only these may own it; without it all that can run it.")
@click.option(
    "--disk",
    "disks",
    multiple=True,
    metavar="NAME[:KEY=VALUE,…]",
    help="A disk resource that it needs; with properties (image=…, mount_point=…, iscsi.portal=…) it is created.",
)
@click.option(
    "--allow-running", is_flag=True, help="Also one that runs now, outside the cluster; its group stays offline."
)
@click.option("--offline", "stays_offline", is_flag=True, help="Do not start it yet.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="A property of the machine's resource.")
@click.option("--list", "is_list", is_flag=True, help="Only say which definitions there are, and which are eligible.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--report", type=click.Path(path_type=Path), help="Also write what was judged to this file (JSON).")
@mutating
@click.pass_context
def protect(
    ctx: click.Context,
    /,
    name: str | None,
    definition: str | None,
    owners: str | None,
    disks: tuple[str, ...],
    allow_running: bool,
    stays_offline: bool,
    settings: tuple[str, ...],
    is_list: bool,
    yes: bool,
    report: Path | None,
    plan: bool,
    **how: Any,
) -> None:
    """Protect a machine: a group with its configuration, the machine, its disks and their dependencies.

    Without NAME and --definition it lists the definitions that the nodes have, and why some cannot be protected. The
    definition of NAME is looked for under that name.

    \b
    clusterctl vm protect --list
    clusterctl vm protect shop --definition /srv/machines/shop.toml
    clusterctl vm protect shop --definition shop --owners n1,n2 --yes
    """
    if is_list or not (name or definition):
        chosen = _choose(ctx, definition, is_list=is_list)
        if not chosen:
            return
        definition, name = chosen
    body: dict[str, Any] = {"definition": _absolute(definition or name or ""), "name": name or ""}
    existing, created = _disks(disks)
    body |= {"disks": existing, "new_disks": created, "allow_running": allow_running, "properties": _pairs(settings)}
    if owners:
        body["owners"] = [each for each in owners.split(",") if each]
    if stays_offline:
        body["wanted"] = "offline"
    ask(ctx, body, yes=yes, report=report, plan=plan, **how)


def ask(ctx: click.Context, body: Mapping[str, Any], *, yes: bool, report: Path | None, plan: bool, **how: Any) -> None:
    """Show what would be created, have it confirmed, create it."""
    if not yes and not plan and not sys.stdin.isatty():
        raise BadInput("nobody can be asked here", hint="--yes creates it without asking, --plan only shows it")
    planned = client_of(ctx).change("POST", "/v1/machines", body, extra_s=COMPUTED_MAX_S, plan="1")
    if report is not None:
        _write(report, planned)
    if plan:
        show(ctx, planned, lambda outcome: [*judgement_lines(outcome["judgement"]), *plan_lines(outcome)])
        return
    if output_of(ctx) == "table":
        shown = [] if yes else plan_lines({**planned, "foresight": None, "plan_id": None})
        for line in (*judgement_lines(planned["judgement"]), *shown):
            click.echo(line)
    if not yes:
        click.confirm("Create this?", abort=True, err=True)
    carry_out(ctx, "POST", "/v1/machines", body, plan=False, extra_s=COMPUTED_MAX_S, **how)


def judgement_lines(judged: Mapping[str, Any]) -> list[str]:
    size = f"{judged['memory_mib']} MiB, {judged['cores']} {'core' if judged['cores'] == 1 else 'cores'}"
    lines = [f"{plain(judged['name'])}: {size}, possible owners {plain(', '.join(judged['owners']) or 'none')}"]
    if judged["disks"]:
        lines.append(f"  on disks {plain(', '.join(judged['disks']))}")
    return lines


def candidate_lines(document: Mapping[str, Any]) -> list[str]:
    """Eligible ones first, numbered; then the others with every reason."""
    lines = []
    for number, each in enumerate(eligible_of(document), start=1):
        lines += [f"{number:>3}  {judgement_lines(each)[0]}", f"     {plain(each['definition'])}"]
        lines += [f"     {paint('warning', 'yellow')}: {plain(text)}" for text in each["warnings"]]
    for each in document["candidates"]:
        if not each["eligible"]:
            lines.append(f"  -  {plain(each['name'])} ({plain(each['definition'])}) cannot be protected:")
            lines += [f"     {plain(text)}" for text in each["refusals"]]
    lines += [f"node {plain(node)}: {plain(text)}" for node, text in document["silent"].items()]
    if not document["candidates"]:
        folders = ", ".join(plain(each) for each in document["folders"])
        lines.append(f"no node has a definition in {folders}; name one with --definition, or: clusterctl vm create")
    return lines


def eligible_of(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [each for each in document["candidates"] if each["eligible"]]


def _choose(ctx: click.Context, definition: str | None, *, is_list: bool) -> tuple[str, str] | None:
    """Definition and name of the one that somebody at a terminal chose; None when it was only a question."""
    query = {"definition": _absolute(definition)} if definition else {}
    found = client_of(ctx).read_computed("/v1/machines/candidates", **query)
    show(ctx, found, candidate_lines)
    choices = eligible_of(found)
    if is_list or not choices or output_of(ctx) != "table" or not sys.stdin.isatty():
        return None
    number = click.prompt("Protect which one", type=click.IntRange(1, len(choices)), err=True)
    name = click.prompt("Name", default=choices[number - 1]["name"], err=True)
    return choices[number - 1]["definition"], name


def _absolute(definition: str) -> str:
    """A file of the present folder by its path; a bare name stays one."""
    return os.path.abspath(definition) if "/" in definition or os.path.isfile(definition) else definition


def _disks(texts: Sequence[str]) -> tuple[list[str], dict[str, dict[str, Any]]]:
    existing: list[str] = []
    created: dict[str, dict[str, Any]] = {}
    for text in texts:
        name, colon, rest = text.partition(":")
        if colon:
            created[name] = _pairs(rest.split(","))
        else:
            existing.append(name)
    return existing, created


def _pairs(texts: Sequence[str]) -> dict[str, Any]:
    """KEY=VALUE; a dot in the key makes an object of it, as in iscsi.portal=…"""
    found: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise BadInput(f"expected KEY=VALUE, not {text!r}")
        *outer, last = key.split(".")
        place = found
        for each in outer:
            place = place.setdefault(each, {})
            if not isinstance(place, dict):
                raise BadInput(f"{each} is a value and an object at once")
        place[last] = _value(value)
    return found


def _value(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    return int(text) if text.isascii() and text.isdigit() else text


def _write(path: Path, outcome: Mapping[str, Any]) -> None:
    told = {key: outcome[key] for key in ("schema", "judgement", "changes", "notes") if key in outcome}
    try:
        path.write_text(json.dumps(told, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise ClusterError(
            f"{path} cannot be written: {error.strerror}", hint="name a file in a folder of yours"
        ) from error
