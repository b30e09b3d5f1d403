"""Was this very request answered before, and what was its answer? Pure.

The answer is stored in the transaction that makes the change, under the id that the caller gave, and the transaction
compares that there is none yet. So a request takes effect once, whichever node is asked again and whatever happened in
between, and its repetition gets the first answer. The same id with something else in it is another request: it is refused.

Bounds: the oldest answers go when there are more than `KEPT_MAX`, or more than `BYTES_MAX` altogether; of a long answer the
beginning is kept.
"""

import json
import zlib
from collections.abc import Mapping
from typing import Any

from clusterd.api.plans import ChangeAsked
from clusterd.database import DatabaseView, Draft
from clusterd.model import keys
from clusterd.model.errors import Conflict
from clusterd.model.records import RequestRecord

KEPT_MAX = 4096
BYTES_MAX = 2 * 1024 * 1024
ANSWER_BYTES_MAX = 8 * 1024
ITEMS_OF_A_LONG_ANSWER = 100
LOOK_EVERY = 64


def first_answer(view: DatabaseView, change: ChangeAsked) -> dict[str, Any] | None:
    """What this request was answered, with the revision of its change; None when it was not yet. Raises Conflict."""
    key = keys.request(change.request_id)
    found = view.get(RequestRecord, key)
    if found is None:
        return None
    refuse_other_digest(change, found.digest)
    answer: dict[str, Any] = json.loads(zlib.decompress(found.answer))
    return {**answer, "revision": view.revision_of(key), "repeated": True}


def refuse_other_digest(change: ChangeAsked, digest: str) -> None:
    """Raises Conflict when the id stands for another request already."""
    if digest != change.digest:
        raise Conflict(
            f"request id {change.request_id} was given to another request before: nothing was changed",
            key=keys.request(change.request_id),
            hint="give each request an id of its own, and repeat a request with the same id as it was",
        )


def remember(draft: Draft, view: DatabaseView, change: ChangeAsked, packed: bytes) -> None:
    """Store the answer with the change that it tells of. The oldest are forgotten."""
    draft.replace(RequestRecord(change.request_id, change.digest, packed))
    count = view.database.count_under(keys.REQUEST)
    if count >= KEPT_MAX or count % LOOK_EVERY == 0:
        for key in _superfluous(view):
            draft.drop(key)


def pack(answer: Mapping[str, Any]) -> bytes:
    """An answer as it is stored; of a long one the beginning."""
    packed = _compressed(answer)
    if len(packed) <= ANSWER_BYTES_MAX:
        return packed
    lists = {key: value for key, value in answer.items() if isinstance(value, list)}
    cut = {key: value[:ITEMS_OF_A_LONG_ANSWER] for key, value in lists.items()}
    longest = max(len(value) for value in lists.values())
    note = (
        f"this request was made before; of its first answer only {ITEMS_OF_A_LONG_ANSWER} of {longest} items are kept"
    )
    return _compressed({**answer, **cut, "notes": [note, *(each[:200] for each in cut.get("notes", ()))]})


def _compressed(answer: Mapping[str, Any]) -> bytes:
    return zlib.compress(json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace"), 1)


def _superfluous(view: DatabaseView) -> list[str]:
    """The oldest of what is over a bound, and some more so that this is seldom looked at."""
    items = [(key, item) for key in view.database.keys_under(keys.REQUEST) if (item := view.database.get(key))]
    items.sort(key=lambda each: each[1].revision)
    size = sum(len(item.value) for _, item in items)
    left, gone = len(items), list[str]()
    for key, item in items:
        if left <= KEPT_MAX - LOOK_EVERY and size <= BYTES_MAX:
            break
        gone.append(key)
        left, size = left - 1, size - len(item.value)
    return gone
