"""Every test that the track record names is there."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| (?P<number>[A-Z]\d+[a-z]?\+*) \|.*\| (?P<held_by>[^|]*) \| (?P<red_at>[^|]*) \|$")
TEST = re.compile(r"`(tests/[^`]+)`")


def rows() -> list[tuple[str, str, str]]:
    """Number, tests and commit of every row; the heads of the tables are no rows."""
    lines = (ROOT / "docs" / "TRACK-RECORD.md").read_text(encoding="utf-8").splitlines()
    table = [line for line in lines if line.startswith("|") and not line.startswith(("| # ", "|---"))]
    found = [ROW.match(line) for line in table]
    unreadable = [line for line, match in zip(table, found, strict=True) if match is None]
    assert not unreadable, f"not of the form | number | seen | cause | `tests/…` | commit |: {unreadable}"
    return [(match["number"], match["held_by"], match["red_at"].strip("` ")) for match in found if match]


def missing_part(reference: str) -> str | None:
    """What of `tests/file.py::Class::test` or `tests/scenarios/name.txt` is not there, or None."""
    path, *names = reference.split("::")
    if not (ROOT / path).is_file():
        return path
    if not names:
        return None
    body = ast.parse((ROOT / path).read_text(encoding="utf-8")).body
    for name in names:
        plain = name.split("[")[0]
        inside = [each for each in body if getattr(each, "name", None) == plain]
        if not inside:
            return name
        body = getattr(inside[0], "body", [])
    return None


@pytest.mark.parametrize(("number", "held_by", "red_at"), rows() or [pytest.param("", "", "", id="no rows yet")])
def test_every_row_names_tests_that_exist_and_a_commit(number: str, held_by: str, red_at: str) -> None:
    if not number:
        return
    references = TEST.findall(held_by)
    assert references, f"{number} names no test"
    assert {each: missing_part(each) for each in references} == dict.fromkeys(references)
    assert re.fullmatch(r"[0-9a-f]{7,40}", red_at), f"{number}: {red_at!r} is no commit"


def test_a_test_that_is_gone_is_found() -> None:
    assert missing_part("tests/contracts/test_track_record.py::test_gone") == "test_gone"
    assert missing_part("tests/contracts/gone.py") == "tests/contracts/gone.py"
    assert missing_part("tests/contracts/test_track_record.py::rows") is None
