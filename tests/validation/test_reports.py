"""What do all tests say together, which are made, and what does the page show?"""

import json
import re

import pytest
from told_by_nodes import well, with_machine

from clusterd.validation import (
    BadChoice,
    Group,
    OutcomeClass,
    Situation,
    choose,
    decode,
    encode,
    html_of,
    judge,
    outcome_class,
    report_view,
)
from clusterd.validation.run import TESTS

ALL = frozenset(each.name for each in TESTS)
WARNED = with_machine(well(), 2, kernel="6.2")
FAILED = with_machine(well(), 2, architecture="riscv64")


@pytest.mark.parametrize(
    ("situation", "chosen", "expected"),
    [
        (well(), ALL, OutcomeClass.APPROVED),
        (WARNED, ALL, OutcomeClass.CONDITIONALLY_APPROVED),
        (FAILED, ALL, OutcomeClass.NOT_APPROVED),
        (well(), ALL - {"watchdog"}, OutcomeClass.SKIPPED_SOME),
        (WARNED, ALL - {"watchdog"}, OutcomeClass.SKIPPED_SOME),
        (FAILED, ALL - {"watchdog"}, OutcomeClass.NOT_APPROVED),
    ],
    ids=["well", "a warning", "a failure", "one skipped", "skipped and a warning", "skipped and a failure"],
)
def test_the_class_of_a_report(situation: Situation, chosen: frozenset[str], expected: OutcomeClass) -> None:
    assert outcome_class(judge(situation, chosen)) is expected


def test_choosing_by_test_and_by_category() -> None:
    assert choose() == ALL
    assert choose(["watchdog"]) == {"watchdog"}
    assert choose(["Network"], ["clock-kept"]) == {each.name for each in TESTS if each.category == "network"} - {
        "clock-kept"
    }
    assert choose(skip=["network"]).isdisjoint(choose(["network"]))
    with pytest.raises(BadChoice, match="did you mean network"):
        choose(["netwrok"])


def test_the_page_needs_nothing_from_elsewhere_and_obeys_nothing_from_the_cluster() -> None:
    evil = '<script>alert("x")</script>'
    situation = well(name=evil, groups=(Group(evil, "failed", because=evil),))
    page = html_of(report_view(situation, judge(situation, ALL), began="b", ended="e"))
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert not re.search(r"(src|href)=(?!\"#)|@import|url\(", page)
    assert "not-approved" in page


def test_the_report_is_the_same_for_programs() -> None:
    results = judge(FAILED, ALL)
    report = json.loads(json.dumps(report_view(FAILED, results, began="b", ended="e")))
    assert report["outcome"] == "not-approved"
    system = next(each for each in report["summary"] if each["category"] == "system-configuration")
    assert system["verdict"] == "failure"
    assert sum(system["counts"].values()) == sum(each.test.category == "system-configuration" for each in results)


def test_answers_travel_and_unknown_fields_are_ignored() -> None:
    told = well().answers["n1"]
    assert decode(encode(told)) == told
    newer = json.loads(encode(told)) | {"from_the_future": 1}
    assert decode(json.dumps(newer).encode()) == told
    with pytest.raises(ValueError):
        decode(b"nonsense")
