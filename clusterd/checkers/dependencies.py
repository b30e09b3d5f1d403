"""Did anything run without what it depends on? Pure.

The promise is about what owners order, not about accidents: a provider that dies takes its dependents down a moment
later, so a dependent may outlive its provider by the time that noticing and stopping take. What must never be is a
dependent that is *told to start* while no provider of one of its terms runs.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

from clusterd.model.dependencies import parse_dependency
from clusterd.model.ids import key_of
from clusterd.model.records import ResourceRecord


class Lived(Protocol):
    """One life of one workload."""

    resource: str
    node: str
    asked_us: int
    started_us: int
    ended_us: int | None
    stop_asked_us: int | None


def dependency_breaches(runs: Sequence[Lived], resources: Iterable[ResourceRecord], *, grace_us: int = 0) -> list[str]:
    """Every start of a dependent for which a term had no provider online on its node within `grace_us` before."""
    by_name: dict[str, list[Lived]] = {}
    for run in runs:
        by_name.setdefault(key_of(run.resource), []).append(run)
    found = []
    for resource in resources:
        terms = parse_dependency(resource.depends_on).terms
        for run in by_name.get(key_of(resource.name), ()):
            for term in terms:
                providers = [each for name in term for each in by_name.get(key_of(name), ())]
                if not any(_was_up(each, run, grace_us) for each in providers):
                    found.append(
                        f"{resource.name} started on {run.node} (asked at {run.asked_us} us) without {' or '.join(term)}"
                    )
    return found


def stop_breaches(runs: Sequence[Lived], resources: Iterable[ResourceRecord], *, grace_us: int = 0) -> list[str]:
    """Every provider that was told to stop while a dependent ran that had no other provider of that term.

    Another provider counts for `grace_us` after its end: until then its owner may not have heard of it.
    """
    by_name: dict[str, list[Lived]] = {}
    for run in runs:
        by_name.setdefault(key_of(run.resource), []).append(run)
    found = []
    for resource in resources:
        for term in parse_dependency(resource.depends_on).terms:
            providers = [each for name in term for each in by_name.get(key_of(name), ())]
            for provider in providers:
                at_us = provider.stop_asked_us
                others = [
                    each
                    for each in providers
                    if each is not provider and _runs_at(each, provider.node, at_us, grace_us)
                ]
                for run in by_name.get(key_of(resource.name), ()):
                    if _runs_at(run, provider.node, at_us) and not others:
                        found.append(f"{provider.resource} was told to stop at {at_us} us while {run.resource} ran")
    return found


def _runs_at(run: Lived, node: str, at_us: int | None, grace_us: int = 0) -> bool:
    is_begun = at_us is not None and run.node == node and run.started_us <= at_us
    return is_begun and at_us is not None and (run.ended_us is None or run.ended_us + grace_us > at_us)


def _was_up(provider: Lived, dependent: Lived, grace_us: int) -> bool:
    return (
        provider.node == dependent.node
        and provider.started_us <= dependent.asked_us
        and (provider.ended_us is None or provider.ended_us + grace_us > dependent.asked_us)
    )
