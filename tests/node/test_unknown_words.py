"""A cluster in which a newer version has written: every word that this one does not know, in every record, breaks nobody."""

from dataclasses import fields, is_dataclass, replace
from enum import StrEnum
from typing import Any

import pytest

from clusterd.model import codec, keys
from clusterd.model.drains import DrainRecord
from clusterd.model.ids import NodeId
from clusterd.model.records import Record, RuleRecord
from clusterd.model.states import DrainState, RuleKind
from clusterd.model.words import word_of
from clusterd.sim import SimCluster, SimSettings

WORD = "from-the-future"


def futures(record: Any) -> list[Any]:
    """The record once for each word in it, with that word unknown."""
    found = []
    for each in fields(record):
        value = getattr(record, each.name)
        if isinstance(value, StrEnum):
            found.append(replace(record, **{each.name: word_of(type(value), WORD)}))
        elif is_dataclass(value) and not isinstance(value, type):
            found += [replace(record, **{each.name: inner}) for inner in futures(value)]
        elif isinstance(value, tuple) and value and is_dataclass(value[0]):
            found += [replace(record, **{each.name: (inner, *value[1:])}) for inner in futures(value[0])]
    return found


def _cluster() -> SimCluster:
    cluster = SimCluster(SimSettings(seed=3))
    cluster.start()
    cluster.run_for(3000)
    cluster.add_group("web", {"data": "", "server": "[data]"}, preferred=("n1",))
    cluster.add_group("mail", {"post": ""}, preferred=("n2",))
    assert cluster.run_until(lambda: cluster.is_online("web") and cluster.is_online("mail"))
    return cluster


def _written() -> list[Any]:
    view = _cluster().view()
    kinds = (*keys.RECORD_OF_PREFIX.values(),)
    found: list[Any] = []
    for kind in kinds:
        for key, record in view.items(kind):
            if not key.startswith(keys.EVENT) and not {"mail", "post", "n2"} & set(key.split("/")):
                found += futures(record)
    rule = RuleRecord("apart", RuleKind.DIFFERENT_NODE, ("web", "other"))
    return [*found, *futures(rule), *futures(DrainRecord(NodeId("n1"), "drain1", DrainState.IN_PROGRESS))]


FUTURES = _written()


def _name(record: Record) -> str:
    words = str(record).split(WORD, 1)[0].rsplit("=", 1)[0].rsplit(", ", 1)[-1].rsplit("(", 1)[-1]
    return f"{type(record).__name__}.{words}"


@pytest.mark.parametrize("record", FUTURES, ids=_name)
def test_an_unknown_word_breaks_nobody(record: Any) -> None:
    assert codec.decode(type(record), codec.encode(record)) == record
    cluster = _cluster()
    cluster.commit(lambda draft: draft.put(record))
    cluster.run_for(4000)
    cluster.kill("n3")
    cluster.run_for(4000)
    cluster.start("n3")
    cluster.run_for(4000)
    assert not cluster.overlaps()
    assert cluster.is_online("mail"), "what it is not about goes on"
    digests = {each.node.replica.database.digest for each in cluster.machines.values() if each.node is not None}
    assert len(digests) == 1


def test_there_are_words() -> None:
    assert len(FUTURES) >= 10
