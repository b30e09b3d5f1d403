"""Do the commands that the README and the manual tell people to type exist, with these options and arguments?"""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click
import pytest
from sources import ROOT

from clusterd.cli.main import clusterctl, hoist_global_options

MANUAL = ROOT / "docs" / "operations"
PAGES = (ROOT / "README.md", *sorted(MANUAL.glob("*.md")))
_BETWEEN_COMMANDS = {"|", "||", "&&", ";", "&", "do", "then", "done", "if", "for", "while", "in", "!", "else", "fi"}
_REDIRECTION = re.compile(r"^\d?>+")


class Shown(NamedTuple):
    page: Path
    line: int
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line} clusterctl {' '.join(self.words)}"


def commands_of(page: Path) -> Iterator[Shown]:
    """What stands behind `clusterctl` in code blocks, and between backticks."""
    is_code = False
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        if line.startswith("```"):
            is_code = not is_code
            continue
        texts = _typed(line) if is_code else re.findall(r"`(clusterctl [^`]+)`", line)
        for text in texts:
            for words in calls_in(text):
                yield Shown(page, number, words)


def _typed(line: str) -> list[str]:
    """A line of a code block that somebody types: behind the prompt, or of a script. The rest is output."""
    is_typed = re.match(r"^(\$ )?\s*(for .*;|until .*;|if .*;)?\s*clusterctl ", line)
    return [line.removeprefix("$ ")] if is_typed else []


def calls_in(text: str) -> Iterator[tuple[str, ...]]:
    """The words of every call of clusterctl in a line of shell."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars=";&|")
    lexer.whitespace_split = True
    call: list[str] | None = None
    for word in lexer:
        if word in _BETWEEN_COMMANDS or _REDIRECTION.match(word):
            if call is not None:
                yield tuple(call)
            call = None
        elif word == "clusterctl":
            call = []
        elif call is not None:
            call.append(word)
    if call is not None:
        yield tuple(call)


def parse(words: tuple[str, ...]) -> None:
    """As far as click gets without carrying anything out. Raises click.UsageError."""
    command: click.Command = clusterctl
    name, left, parent = "clusterctl", hoist_global_options(words), None
    while True:
        context = command.make_context(name, left, parent=parent)
        if not isinstance(command, click.Group):
            return
        found, deeper, left = command.resolve_command(context, [*context._protected_args, *context.args])
        assert found is not None and deeper is not None
        command, name, parent = deeper, found, context


SHOWN = [each for page in PAGES for each in commands_of(page)]


@pytest.mark.parametrize("shown", SHOWN, ids=str)
def test_the_command_line_parses(shown: Shown) -> None:
    try:
        parse(shown.words)
    except click.exceptions.Exit:
        pass  # --help
    except click.UsageError as error:
        pytest.fail(f"{shown}: {error.format_message()}")


@pytest.mark.parametrize(
    "words", ["node emptied n1", "drain n1", "node drain n1 --to n2", "group move", "lab kill n1 --what disk"]
)
def test_a_command_line_that_does_not_exist_is_found(words: str) -> None:
    with pytest.raises(click.UsageError):
        parse(tuple(words.split()))


def test_every_call_in_a_line_is_looked_at() -> None:
    line = (
        "$ for n in n1 n2; do clusterctl node drain $n && clusterctl wait --for 'node n1 up' > /dev/null; done  # both"
    )
    assert list(calls_in(line)) == [("node", "drain", "$n"), ("wait", "--for", "node n1 up")]


def test_every_page_of_the_manual_is_in_its_index() -> None:
    index = (MANUAL / "README.md").read_text(encoding="utf-8")
    assert [
        page.name
        for page in PAGES
        if page.parent == MANUAL and page.name != "README.md" and f"({page.name}" not in index
    ] == []
