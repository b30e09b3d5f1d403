"""clusterctl validate: is the cluster fit for what it promises? I/O."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from clusterd.cli.output import paint, plain
from clusterd.cli.session import client_of, output_of, show
from clusterd.model.errors import ClusterError

NOT_APPROVED_EXIT = 1
_COLOURS = {
    "pass": "green",
    "approved": "green",
    "warning": "yellow",
    "conditionally-approved": "yellow",
    "skipped-some": "yellow",
    "failure": "red",
    "not-approved": "red",
    "skipped": "grey",
}
_WORDS = {"pass": "ok", "failure": "FAIL"}


@click.command()
@click.option("--report", "path", type=click.Path(path_type=Path), help="Also write it as one HTML page.")
@click.option("--only", multiple=True, metavar="CATEGORY|TEST", help="Make only these tests; may be repeated.")
@click.option("--skip", multiple=True, metavar="CATEGORY|TEST", help="Leave these out; may be repeated.")
@click.option("--all", "shows_all", is_flag=True, help="Show what passed as well.")
@click.option("--list", "is_list", is_flag=True, help="Name the categories and tests, and make none.")
@click.pass_context
def validate(
    ctx: click.Context, path: Path | None, only: tuple[str, ...], skip: tuple[str, ...], shows_all: bool, is_list: bool
) -> None:
    """Test nodes, networks, storage, configuration and hypervisors. Nothing that runs is touched.

    The result is approved, conditionally-approved (warnings) or skipped-some (some tests were left out): exit code 0; or
    not-approved (something failed): exit code 1.

    \b
    clusterctl validate --report cluster.html
    clusterctl validate --only network --skip two-networks
    """
    if is_list:
        show(ctx, _catalogue(), _catalogue_lines)
        return
    query = {name: ",".join(given) for name, given in (("only", only), ("skip", skip)) if given}
    found = client_of(ctx).read_computed("/v1/validation", **query)
    if path is not None:
        write_page(path, found)
    show(ctx, found, lambda report: report_lines(report, shows_all=shows_all))
    if path is not None and output_of(ctx) == "table":
        click.echo(f"written: {path}")
    if found["outcome"] == "not-approved":
        ctx.exit(NOT_APPROVED_EXIT)


def report_lines(report: Mapping[str, Any], *, shows_all: bool = False) -> list[str]:
    """Category after category, each test on a line, with what did not pass below it."""
    lines = []
    for summary in report["summary"]:
        made = [
            each
            for each in report["tests"]
            if each["category"] == summary["category"] and (shows_all or each["verdict"] != "skipped")
        ]
        if made:
            lines.append(paint(summary["category"].replace("-", " ").capitalize(), "bold"))
        for test in made:
            lines += _test_lines(test, shows_all=shows_all)
    lines += [f"note: {plain(each)}" for each in report.get("notes", [])]
    if report.get("report"):
        lines.append(f"kept on {plain(report['asked'])} as {plain(report['report'])}")
    return [*lines, f"{plain(report['cluster'])} is {_word(report['outcome'], report['outcome'])}: {_counts(report)}"]


def _test_lines(test: Mapping[str, Any], *, shows_all: bool) -> list[str]:
    word = _WORDS.get(test["verdict"], test["verdict"])
    lines = [f"  {_word(test['verdict'], word)}{' ' * (9 - len(word))}{test['title']}  ({test['name']})"]
    alike: dict[tuple[str, str], list[str]] = {}
    for each in test["findings"]:
        if shows_all or each["verdict"] in ("warning", "failure") or test["name"].startswith("list-"):
            alike.setdefault((each["saw"], each["advice"]), []).append(each["about"])
    for (saw, advice), abouts in alike.items():
        about = ", ".join(plain(each) for each in abouts if each)
        lines.append(f"             {about}{': ' if about else ''}{plain(saw)}")
        if advice:
            lines.append(f"             → {plain(advice)}")
    return lines


def _counts(report: Mapping[str, Any]) -> str:
    verdicts = [test["verdict"] for test in report["tests"]]
    named = (("pass", "passed"), ("warning", "with warnings"), ("failure", "failed"), ("skipped", "skipped"))
    return ", ".join(f"{verdicts.count(verdict)} {says}" for verdict, says in named if verdict in verdicts)


def _word(verdict: str, shown: str) -> str:
    return paint(plain(shown), _COLOURS.get(verdict, ""))


def write_page(path: Path, report: Mapping[str, Any]) -> None:
    """Whole or not at all."""
    from clusterd.validation import html_of

    try:
        descriptor, part = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(html_of(report))
        os.chmod(part, 0o644)
        os.replace(part, path)
    except OSError as error:
        raise ClusterError(
            f"{path} cannot be written: {error.strerror}", hint="name a file in a folder of yours"
        ) from error


def _catalogue() -> dict[str, Any]:
    from clusterd.validation.run import TESTS

    return {
        "schema": 1,
        "tests": [
            {"name": each.name, "category": each.category.value, "title": each.title, "says": each.says}
            for each in TESTS
        ],
    }


def _catalogue_lines(document: Mapping[str, Any]) -> list[str]:
    lines: list[str] = []
    category = ""
    for each in document["tests"]:
        if each["category"] != category:
            category = each["category"]
            lines.append(category)
        lines.append(f"  {each['name']:<22}{each['says']}")
    return lines
