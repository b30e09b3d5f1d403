"""Which tests are made, and what do they say together? Pure."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from clusterd.validation import cluster, guests, inventory, network, storage, system
from clusterd.validation.situation import Situation
from clusterd.validation.verdicts import Category, OutcomeClass, Result, Test, Verdict, worst

TESTS: tuple[Test, ...] = (
    *inventory.TESTS,
    *system.TESTS,
    *network.TESTS,
    *storage.TESTS,
    *cluster.TESTS,
    *guests.TESTS,
)


class BadChoice(Exception):
    """There is no category and no test of that name. The message names the nearest."""


def choose(only: Iterable[str] = (), skip: Iterable[str] = ()) -> frozenset[str]:
    """Names of the tests to make. Raises BadChoice."""
    wanted = _named(only) or {each.name for each in TESTS}
    return frozenset(wanted - _named(skip))


def judge(situation: Situation, chosen: frozenset[str]) -> list[Result]:
    """Every test in order; those that were not chosen are there as skipped."""
    found = []
    for test in TESTS:
        if test.name not in chosen:
            found.append(Result(test, Verdict.SKIPPED))
            continue
        findings = tuple(test.judge(situation))
        found.append(Result(test, worst([each.verdict for each in findings]), findings))
    return found


def outcome_class(results: Sequence[Result]) -> OutcomeClass:
    """A failure outweighs a skipped test, and that a warning: what was not looked at cannot be approved."""
    verdicts = {each.verdict for each in results}
    if Verdict.FAILURE in verdicts:
        return OutcomeClass.NOT_APPROVED
    if Verdict.SKIPPED in verdicts:
        return OutcomeClass.SKIPPED_SOME
    return OutcomeClass.CONDITIONALLY_APPROVED if Verdict.WARNING in verdicts else OutcomeClass.APPROVED


def report_view(situation: Situation, results: Sequence[Result], *, began: str, ended: str) -> dict[str, Any]:
    """The content of a report, for programs; the page for people is made of the same."""
    return {
        "cluster": situation.cluster.name,
        "asked": situation.cluster.asked,
        "began": began,
        "ended": ended,
        "nodes": [each.name for each in situation.cluster.nodes],
        "outcome": outcome_class(results).value,
        "summary": [_summary(category, results) for category in Category],
        "tests": [_result_view(each) for each in results],
    }


def _summary(category: Category, results: Sequence[Result]) -> dict[str, Any]:
    verdicts = [each.verdict for each in results if each.test.category is category]
    counts: Mapping[str, int] = {verdict.value: verdicts.count(verdict) for verdict in Verdict}
    return {"category": category.value, "verdict": worst(verdicts).value, "counts": counts}


def _result_view(result: Result) -> dict[str, Any]:
    return {
        "name": result.test.name,
        "category": result.test.category.value,
        "title": result.test.title,
        "says": result.test.says,
        "verdict": result.verdict.value,
        "findings": [
            {"verdict": each.verdict.value, "about": each.about, "saw": each.saw, "advice": each.advice}
            for each in result.findings
        ],
    }


def _named(names: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for name in names:
        word = name.strip().lower()
        tests = {each.name for each in TESTS if word in (each.name, each.category.value)}
        if not tests:
            known = [*Category, *(each.name for each in TESTS)]
            near = difflib.get_close_matches(word, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"categories are {', '.join(Category)}"
            raise BadChoice(f"there is no category or test {name!r}: {hint}")
        found |= tests
    return found
