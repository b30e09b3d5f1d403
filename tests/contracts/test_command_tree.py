"""Does every verb of the command have what all verbs are promised to have: --plan and --wait where it changes something,
-o, and a help text with an example that parses?"""

from collections.abc import Iterator

import click
import pytest
from test_documented_commands import calls_in, parse

from clusterd.cli.main import clusterctl, hoist_global_options

READS = {
    "list",
    "show",
    "status",
    "events",
    "explain",
    "export",
    "diff",
    "capacity",
    "what-if",
    "validate",
    "reports",
    "logs",
}
# What changes no record of a cluster, with the reason.
CHANGES_NOTHING = {
    "wait": "it only looks, and has its own --timeout",
    "console": "it opens a page",
    "plan apply": "it carries out what was planned before",
    "group verify": "it moves there and back, and tells of each move",
    "resource-type new": "it writes files here",
    "resource-type test": "it tries a plug-in here",
    "vm console": "it opens a terminal",
    "vm reset": "it tells QEMU, at once",
    "vm speed": "it tells QEMU, at once",
    "vm screenshot": "it writes a picture here",
}


def verbs(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    if not isinstance(command, click.Group):
        yield path, command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        assert found is not None
        yield from verbs(found, (*path, name))


VERBS = dict(verbs(clusterctl))
PATHS = [pytest.param(path, id=" ".join(path)) for path in VERBS]


def options(path: tuple[str, ...]) -> set[str]:
    return {
        name
        for each in VERBS[path].params
        if isinstance(each, click.Option)
        for name in (*each.opts, *each.secondary_opts)
    }


def is_mutating(path: tuple[str, ...]) -> bool:
    """Labs are not the cluster: what is done to one cannot be planned."""
    return not (path[0] == "lab" or path[-1] in READS or " ".join(path) in CHANGES_NOTHING)


@pytest.mark.parametrize("path", PATHS)
def test_what_changes_something_can_be_planned_and_waited_for(path: tuple[str, ...]) -> None:
    promised = {"--plan", "--wait", "--no-wait", "--timeout"}
    assert promised <= options(path) if is_mutating(path) else "--plan" not in options(path)


@pytest.mark.parametrize("path", PATHS)
def test_help_has_an_example_that_parses(path: tuple[str, ...]) -> None:
    lines = [line.strip() for line in (VERBS[path].help or "").replace("\\\n", " ").splitlines()]
    # Behind three spaces stands what the example is for.
    examples = [line.partition("   ")[0] for line in lines if line.startswith("clusterctl ")]
    assert examples, f"{' '.join(path)} --help shows no example"
    for words in (words for line in examples for words in calls_in(line)):
        parse(words)


@pytest.mark.parametrize("path", PATHS)
def test_the_form_of_the_output_may_be_said_behind_any_verb(path: tuple[str, ...]) -> None:
    assert hoist_global_options([*path, "-o", "json"]) == ["--output", "json", *path]


def test_the_exemptions_are_verbs() -> None:
    assert set(CHANGES_NOTHING) <= {" ".join(path) for path in VERBS}
