"""What does one node do in a trial of arbitration, step by step? Pure: the interface and its words.

A trial asks whether a takeover of this disk would work, with claims of generation 0 (`keys.trial_key`), which every owner
ends at once and without a wait. It is made only of a disk without any claim, and gives up as soon as somebody else has one:

1. the first node claims it            4. the second one takes it, ending exactly the claim of the first
2. the second one challenges it        5. the first one writes late, and is refused
3. the first one defends it            6. the second one writes what is there already, and it arrives

Nothing is ever written but bytes that were read just before; and by a holder only after step 5 has shown that the storage
would refuse it too, had an owner come meanwhile.
"""

from collections.abc import Collection
from typing import NamedTuple, Protocol

from resource_types.physical_disk.keys import View, parse, words


class GaveUp(Exception):
    """Somebody else claims the disk, and wins. The message says who."""


class Unfit(Exception):
    """The storage did not do what a takeover needs. The message says what it did."""


class Seen(NamedTuple):
    """The disk as it was opened. `claims` are all keys on it."""

    size_bytes: int
    ids: list[str]
    claims: tuple[int, ...]


class TrialClaim(Protocol):
    """One node's way to one disk, with one key. Methods raise GaveUp, Unfit, PathLost, IoFailed."""

    def open(self) -> Seen:
        """Nothing is claimed yet."""

    def claim(self) -> None:
        """Of a disk that has no claim."""

    def challenge(self, holder: int) -> None:
        """As somebody would who knows nothing of the holder."""

    def defend(self, challenger: int) -> None: ...

    def take(self, holder: int) -> None:
        """Make sure that the holder's defence was seen here, then end its claim and none but that."""

    def late_write(self, holder: int) -> None:
        """Ours was ended by `holder`. Returns when a write of ours is refused, and is Unfit when it is not."""

    def write(self) -> None:
        """Write the last block back as it is."""

    def release(self) -> None:
        """Take away whatever of ours is there still, and nothing else. May be repeated."""

    def close(self) -> None:
        """Never raises."""


def expect(view: View, *, holder: int | None, registered: Collection[int], of_trial: Collection[int]) -> None:
    """Raises GaveUp for a claim that is none of this trial, Unfit for one of it that should not be there, or is not."""
    keys = {*view.registered, *(() if view.holder is None else (view.holder,))}
    strangers = sorted(keys.difference(of_trial), key=lambda key: -parse(key).generation)
    if strangers:
        raise GaveUp(f"somebody claims it: {words(strangers[0], parse(min(of_trial)))}")
    if holder is not None and view == View(None, ()):
        raise Unfit("no claim is seen where there is one: it is another disk, or claims do not last there")
    if (view.holder, set(view.registered)) != (holder, set(registered)):
        raise Unfit(
            f"{_names(view.registered)} registered and {_name(view.holder)} holding it, where {_names(registered)} "
            f"registered and {_name(holder)} holding it were expected"
        )


def _names(keys: Collection[int]) -> str:
    return ", ".join(_name(each) for each in sorted(keys)) or "nobody"


def _name(key: int | None) -> str:
    return "nobody" if key is None else f"claim {parse(key).node}"
