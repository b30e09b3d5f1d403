"""What does a test say? Pure: the words of a report."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clusterd.validation.situation import Situation


class Verdict(StrEnum):
    PASS = "pass"
    WARNING = "warning"
    FAILURE = "failure"
    SKIPPED = "skipped"


class OutcomeClass(StrEnum):
    """`skipped-some`: what was tested is well, but not everything was tested."""

    APPROVED = "approved"
    CONDITIONALLY_APPROVED = "conditionally-approved"
    NOT_APPROVED = "not-approved"
    SKIPPED_SOME = "skipped-some"


class Category(StrEnum):
    INVENTORY = "inventory"
    SYSTEM = "system-configuration"
    NETWORK = "network"
    STORAGE = "storage"
    CLUSTER = "cluster-configuration"
    MACHINES = "virtual-machines"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was seen, about a node, a pair (`n1 → n2`), a group, or the cluster (empty)."""

    verdict: Verdict
    about: str
    saw: str
    advice: str = ""


Judge = Callable[["Situation"], Sequence[Finding]]


@dataclass(frozen=True, slots=True)
class Test:
    """One question. `judge` gives what it saw; nothing at all means that there was nothing to look at."""

    name: str
    category: Category
    title: str
    says: str
    judge: Judge


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one test: its worst finding counts."""

    test: Test
    verdict: Verdict
    findings: tuple[Finding, ...] = ()


_ORDER = (Verdict.SKIPPED, Verdict.PASS, Verdict.WARNING, Verdict.FAILURE)


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """The one that counts. Of nothing it is a pass."""
    return max(verdicts, key=_ORDER.index, default=Verdict.PASS)


def passed(about: str, saw: str) -> Finding:
    return Finding(Verdict.PASS, about, saw)


def warned(about: str, saw: str, advice: str) -> Finding:
    return Finding(Verdict.WARNING, about, saw, advice)


def failed(about: str, saw: str, advice: str) -> Finding:
    return Finding(Verdict.FAILURE, about, saw, advice)
