"""What code goes by is a value: texts of records are written once and only shown. Nobody compares, splits or searches them.

Whoever improves a sentence must not change what is done. Two texts may be compared with each other (is that news?), and a
text with nothing (is there one?).
"""

import ast
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from clusterd.model import records
from clusterd.model.keys import RECORD_OF_PREFIX
from tests.contracts.sources import ROOT, python_files

TEXTS = frozenset(
    {
        "because", "brief", "cause", "concern", "doubt", "embedded_failure", "evidence", "failed_over_because",
        "left_alone", "message", "reason", "stop_trouble", "text", "why",
    }
)  # fmt: skip
TAKES_APART = frozenset(
    {
        "count", "endswith", "find", "index", "partition", "removeprefix", "removesuffix", "replace", "rfind", "rindex",
        "rpartition", "rsplit", "split", "startswith",
    }
)  # fmt: skip
PARSES = ("clusterd/model/dependencies.py", "clusterd/model/manifest/")
"""The `text` of these is a token of what somebody wrote, which they are there to take apart."""


def sources() -> list[Path]:
    found = [each for each in python_files() if each.is_relative_to(ROOT / "clusterd")]
    return [each for each in found if not str(each.relative_to(ROOT)).startswith(PARSES)]


def offences(source: str) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Compare(left, ops, comparators):
                sides = [left, *comparators]
                for first, op, second in zip(sides, ops, comparators, strict=False):
                    if _is_steered_by(first, op, second):
                        yield node.lineno, ast.unparse(node)
            case ast.Call(func=ast.Attribute(value=value, attr=verb)) if verb in TAKES_APART and _is_text(value):
                yield node.lineno, ast.unparse(node)
            case ast.Call(func=ast.Attribute(value=ast.Name("re")), args=args) if any(map(_is_text, args)):
                yield node.lineno, ast.unparse(node)
            case ast.Subscript(value=value, slice=at) if _is_text(value) and not isinstance(at, ast.Slice):
                yield node.lineno, ast.unparse(node)
            case ast.Match(subject=subject) if _is_text(subject):
                yield node.lineno, ast.unparse(subject)


def _is_steered_by(first: ast.expr, op: ast.cmpop, second: ast.expr) -> bool:
    if isinstance(op, ast.In | ast.NotIn):
        return _is_text(second) or (_is_text(first) and isinstance(second, ast.Tuple | ast.Set | ast.List))
    return any(_is_text(one) and _is_words(other) for one, other in ((first, second), (second, first)))


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and node.attr in TEXTS


def _is_words(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str) and bool(node.value)
    )


def test_no_text_of_a_record_steers_code() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {what}"
        for path in sources()
        for line, what in offences(path.read_text(encoding="utf-8"))
    ]
    assert not found, "put what code goes by into a field of its own (an enum):\n" + "\n".join(found)


@pytest.mark.parametrize(
    "source",
    [
        'if decision.text == "it waits": pass',
        'if "cancelled" in assignment.because.text: pass',
        'if each.reason in ("a", "b"): pass',
        "name = held.cause.partition(' (')[0]",
        "if report.evidence.startswith('pid'): pass",
        "found = re.search('x', step.text)",
        "match held.cause:\n    case 'x': pass",
        'if f"{x}" != step.text: pass',
        "first = decision.text[0]",
    ],
)
def test_it_is_seen(source: str) -> None:
    assert list(offences(source))


@pytest.mark.parametrize(
    "source",
    [
        "if was.doubt != now.doubt: pass",
        'if report.cause == "": pass',
        "if report.cause: pass",
        "if held.next_action is NextAction.RETRY: pass",
        'text = f"{each.cause}; more"',
    ],
)
def test_it_is_let_be(source: str) -> None:
    assert not list(offences(source))


def test_the_texts_are_those_of_records() -> None:
    """A field of a record that is told to people is one of them, or a name, an id, a word, or what somebody gave."""
    named = {each.name for kind in RECORD_OF_PREFIX.values() for each in fields(kind)}
    named |= {each.name for each in fields(records.ResourceReport)} | {each.name for each in fields(records.Decision)}
    assert {"because", "cause", "concern", "doubt", "embedded_failure", "evidence", "message", "text"} <= named & TEXTS
