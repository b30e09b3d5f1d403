"""clusterctl reports: what the wizard and validation said before. I/O. The node that was asked keeps them."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from clusterd.cli.client import path_to
from clusterd.cli.output import plain, table
from clusterd.cli.session import client_of, output_of, show
from clusterd.cli.validation import report_lines, write_page
from clusterd.cli.vm_protect import judgement_lines
from clusterd.model.errors import BadInput

_ID = re.compile(r"([a-z]+)-(\d+)")


@click.command()
@click.argument("report_id", metavar="[ID]", required=False)
@click.option("--html", "page", type=click.Path(path_type=Path), help="Write a validation as one HTML page.")
@click.option("--all", "shows_all", is_flag=True, help="Show what passed as well.")
@click.pass_context
def reports(ctx: click.Context, report_id: str | None, page: Path | None, shows_all: bool) -> None:
    """Reports that the node which answers has kept, the newest first; with an ID, one of them.

    \b
    clusterctl reports
    clusterctl reports protect-01795258651850
    clusterctl reports validation-01795258575773 --html cluster.html
    """
    if not report_id:
        show(ctx, client_of(ctx).read("/v1/reports"), list_lines)
        return
    found = client_of(ctx).read(path_to("reports", report_id))
    is_validation = "tests" in found
    if page is not None:
        if not is_validation:
            raise BadInput(f"{report_id} is no validation: only these become a page")
        write_page(page, found)
    show(
        ctx,
        found,
        lambda report: report_lines(report, shows_all=shows_all) if is_validation else protection_lines(report),
    )
    if page is not None and output_of(ctx) == "table":
        click.echo(f"written: {page}")


def list_lines(document: Mapping[str, Any]) -> list[str]:
    rows = []
    for each in document["reports"]:
        match = _ID.fullmatch(each)
        kind, at = (match[1], int(match[2])) if match else (each, 0)
        when = datetime.fromtimestamp(at / 1000, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")
        rows.append((each, kind, when))
    node = plain(document["as_of"]["node"])
    return table(("REPORT", "OF", "WHEN"), rows) if rows else [f"{node} has kept no report"]


def protection_lines(report: Mapping[str, Any]) -> list[str]:
    judged, plan = report["judgement"], report["plan"]
    lines = [f"{plain(report['when'])} on {plain(report['node'])}: {plain(judged['definition'])}"]
    lines += judgement_lines(judged)
    lines += [f"  refused: {plain(text)}" for text in judged["refusals"]]
    lines += [f"  warning: {plain(text)}" for text in (plan or judged)["warnings"]]
    if plan is not None:
        verb = "joined" if plan["joins"] else "created"
        lines.append(f"  {verb} group {plain(plan['group'])} with")
        for each in plan["resources"]:
            needs = f", depends on {plain(each['depends_on'])}" if each["depends_on"] else ""
            lines.append(f"    {plain(each['name'])} ({plain(each['type'])}{needs})")
    return lines
