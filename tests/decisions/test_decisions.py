"""Every case in this folder: a snapshot, what is asked of it, and the answer (`--regenerate` writes it anew).

A file is a family. Lines before its first `case` hold for all of its cases; `snapshot`, `wishes` and `questions` say which
lines there are.
"""

import difflib
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.decisions.questions import Questions
from tests.decisions.snapshot import Snapshot
from tests.decisions.wishes import Wishes

FAMILIES = sorted(Path(__file__).parent.glob("*.txt"))
CASE = "case "
SEPARATOR = "----"


@dataclass
class Case:
    """Its title, its lines as they were written, and the answer that it must give."""

    title: str
    lines: list[str] = field(default_factory=list)
    expected: list[str] | None = None


@dataclass
class Family:
    head: list[str]
    cases: list[Case]

    @property
    def text(self) -> str:
        parts = ["\n".join(self.head).strip()]
        for case in self.cases:
            parts.append("\n".join([CASE + case.title, *case.lines, SEPARATOR, *(case.expected or ())]))
        return "\n\n".join(parts) + "\n"


def parse(text: str) -> Family:
    family = Family([], [])
    for line in text.splitlines():
        if line.startswith(CASE):
            family.cases.append(Case(line.removeprefix(CASE)))
        elif not family.cases:
            family.head.append(line)
        elif line == SEPARATOR:
            family.cases[-1].expected = []
        elif family.cases[-1].expected is not None:
            family.cases[-1].expected += [line] if line else []
        elif line:
            family.cases[-1].lines.append(line)
    return family


def answer(family: Family, case: Case) -> list[str]:
    snapshot = Snapshot()
    questions = Questions(snapshot)
    wishes = Wishes(snapshot, questions)
    found: list[str] = []
    for line in [*family.head, *case.lines]:
        if not line.strip() or line.startswith("#") or snapshot.tell(line):
            continue
        said = wishes.tell(line)
        found += questions.ask(line) if said is None else said
    return found


@pytest.mark.parametrize("path", FAMILIES, ids=lambda path: path.stem)
def test_family(path: Path, request: pytest.FixtureRequest) -> None:
    family = parse(path.read_text())
    found = [answer(family, case) for case in family.cases]
    if request.config.getoption("--regenerate"):
        for case, told in zip(family.cases, found, strict=True):
            case.expected = told
        path.write_text(family.text)
        return
    wrong = [(case, told) for case, told in zip(family.cases, found, strict=True) if case.expected != told]
    if wrong:
        pytest.fail("\n\n".join(_difference(path, case, told) for case, told in wrong), pytrace=False)


def _difference(path: Path, case: Case, told: list[str]) -> str:
    lines = difflib.unified_diff(case.expected or [], told, "expected", "now", lineterm="", n=2)
    again = f"pytest tests/decisions -k {path.stem} --regenerate"
    return f"{path.name}: {case.title} (review the diff of: {again})\n" + "\n".join(lines)


def test_titles_are_told_once() -> None:
    for path in FAMILIES:
        titles = [case.title for case in parse(path.read_text()).cases]
        assert len(titles) == len(set(titles)), path.name


def test_there_are_cases() -> None:
    assert sum(len(parse(path.read_text()).cases) for path in FAMILIES) >= 120
