"""Can each disk that nobody uses be taken over, really? I/O: goes through a trial of arbitration, node after node.

The first possible owner claims the disk; the next one challenges it, sees the defence, takes it over; the first one's late
write must be refused; and so on, until the first one has it back. Only the resource hosts touch disks. A trial's claims have
generation 0, which every owner ends at once, so a group that is brought online meanwhile wins; the trial then gives up.
Before each step the database is asked whether the disk is still nobody's. When this node dies, what is left of the trial
takes itself away.
"""

import asyncio
import json
import secrets
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from clusterd.api.disk_use import why_not_idle
from clusterd.api.port import ClusterPort
from clusterd.api.seen_disks import DISK_TYPE
from clusterd.model.errors import ClusterError
from clusterd.model.ids import NodeId
from clusterd.model.records import ResourceRecord
from clusterd.validation import Disk, DiskTrial, TrialOutcome

QUESTION = "trial"
AT_ONCE_MAX = 8
OWNERS_MAX = 64
NUMBERS = range(2, 256)
"""1 is that of `end-claims`."""
TRIAL_WITHIN_S = 20.0
TRIALS_WITHIN_S = 40.0
STEP_WITHIN_MS = 9_000
RELEASE_WITHIN_MS = 3_000
READ_WITHIN_MS = 3_000


async def disk_trials(port: ClusterPort, disks: Sequence[Disk]) -> dict[str, DiskTrial]:
    """By resource. Each ends within its time, whatever storage and nodes do."""
    try:
        await port.linearizable(READ_WITHIN_MS)
    except ClusterError as error:
        return {each.resource: DiskTrial(TrialOutcome.NOT_TRIED, error.message) for each in disks}
    gate = asyncio.Semaphore(AT_ONCE_MAX)
    until_s = asyncio.get_running_loop().time() + TRIALS_WITHIN_S

    async def tried(disk: Disk) -> DiskTrial:
        async with gate:
            if asyncio.get_running_loop().time() > until_s - TRIAL_WITHIN_S:
                return DiskTrial(TrialOutcome.NOT_TRIED, "the disks before it took too long")
            return await _tried(port, disk)

    return {disk.resource: trial for disk, trial in zip(disks, await asyncio.gather(*map(tried, disks)), strict=True)}


async def _tried(port: ClusterPort, disk: Disk) -> DiskTrial:
    record = port.view().resource(disk.resource)
    if record is None:
        return DiskTrial(TrialOutcome.NOT_TRIED, "it was deleted meanwhile")
    if use := _use(port, record):
        return DiskTrial(TrialOutcome.IN_USE, use)
    trial = _Trial(port, record, disk.possible_owners)
    try:
        async with asyncio.timeout(TRIAL_WITHIN_S):
            await trial.run()
        ended = _Ended(TrialOutcome.PASSED, trial.says)
    except _Ended as error:
        ended = error
    except TimeoutError:
        ended = _Ended(TrialOutcome.BROKEN, f"the trial did not end within {TRIAL_WITHIN_S:g} s, at: {trial.at}")
    finally:
        await asyncio.shield(trial.release_all())
    is_storage = record.private.get("image") is None
    return DiskTrial(ended.outcome, ended.says, tuple(trial.steps), is_storage)


def _use(port: ClusterPort, record: ResourceRecord) -> str:
    return why_not_idle(port.view(), record, is_quorate=port.status().is_quorate)


class _Player(NamedTuple):
    """One claim of the trial, and whose it is."""

    node: NodeId
    number: int


class _Ended(Exception):
    """The trial goes no further."""

    def __init__(self, outcome: TrialOutcome, says: str) -> None:
        super().__init__(says)
        self.outcome, self.says = outcome, says


class _Trial:
    """Of one disk. `steps` are what was done so far, `at` is what is done now."""

    def __init__(self, port: ClusterPort, record: ResourceRecord, owners: Sequence[str]) -> None:
        self._port, self._record = port, record
        nodes = [NodeId(each) for each in owners[:OWNERS_MAX]]
        round_trip = [*nodes, nodes[0]] if len(nodes) > 1 else nodes
        numbers = secrets.SystemRandom().sample(NUMBERS, len(round_trip) + 1)
        self._players = [_Player(*each) for each in zip(round_trip, numbers, strict=False)]
        self._numbers = numbers
        self._id = secrets.token_hex(8)
        self._opened: list[_Player] = []
        self.steps: list[tuple[str, str]] = []
        self.says = "there is no possible owner"
        self.at = "opening it"

    async def run(self) -> None:
        """Raises _Ended when it does not go through."""
        if not self._players:
            return
        await self._open_all()
        first = self._players[0]
        claimed = await self._step(first, "claim")
        self.steps.append((first.node, f"claimed in {claimed}"))
        for holder, taker in pairwise(self._players):
            await self._hand_over(holder, taker)
        await self._expect_nothing_left()
        self.says = "claimed and released"

    async def _hand_over(self, holder: _Player, taker: _Player) -> None:
        await self._step(taker, "challenge", holder)
        defended = await self._step(holder, "defend", taker)
        taken = await self._step(taker, "take", holder)
        refused = await self._step(holder, "late-write", taker)
        wrote = await self._step(taker, "write")
        await self._step(holder, "release")
        words = f"defended in {defended}, taken over in {taken}, late write refused in {refused}, own write in {wrote}"
        self.steps.append((f"{holder.node} → {taker.node}", words))

    async def _expect_nothing_left(self) -> None:
        last = self._players[-1]
        await self._step(last, "release")
        await self._open(_Player(last.node, self._numbers[-1]), is_over=True)

    async def _open_all(self) -> None:
        """On every node at once. That somebody has it says more than that it is not reached from somewhere."""
        opened = await asyncio.gather(*(self._open(each) for each in self._players), return_exceptions=True)
        troubles = [each for each in opened if isinstance(each, BaseException)]
        ends = [each for each in troubles if isinstance(each, _Ended)]
        for each in sorted(ends, key=lambda end: end.outcome is TrialOutcome.NOT_TRIED) or troubles:
            raise each

    async def _open(self, player: _Player, *, is_over: bool = False) -> None:
        self._opened.append(player)
        answer = await self._ask(player, "open", None)
        if user := answer.get("user"):
            raise _Ended(TrialOutcome.IN_USE, f"on {player.node} {user}")
        if claims := answer.get("claims"):
            said = ", ".join(str(each) for each in claims)
            if is_over:
                raise _Ended(TrialOutcome.BROKEN, f"claims are left after their release: {said}")
            raise _Ended(TrialOutcome.CLAIMED, f"nobody uses it, and it is claimed by {said}")

    async def _step(self, player: _Player, verb: str, other: _Player | None = None) -> str:
        """How long it took. Raises _Ended."""
        if verb != "release" and (use := _use(self._port, self._record)):
            raise _Ended(TrialOutcome.GAVE_UP, use)
        answer = await self._ask(player, verb, other)
        return f"{answer['took_us'] / 1000:.1f} ms"

    async def _ask(self, player: _Player, verb: str, other: _Player | None) -> dict[str, Any]:
        self.at = f"{verb} on {player.node}"
        try:
            said = await self._port.ask_type(
                player.node, DISK_TYPE, QUESTION, self._question(player, verb, other), STEP_WITHIN_MS, self._record.name
            )
            answer = json.loads(said)
            if "done" in answer:
                return {**answer["done"], "took_us": int(answer["took_us"])}
        except (ClusterError, ValueError, KeyError, TypeError) as error:
            outcome = TrialOutcome.NOT_TRIED if verb == "open" else TrialOutcome.BROKEN
            raise _Ended(outcome, f"{self.at}: {error}") from error
        raise _ended(answer, player, verb, self.at)

    def _question(self, player: _Player, verb: str, other: _Player | None) -> bytes:
        return json.dumps(
            {
                "verb": verb,
                "trial": self._id,
                "cluster": self._port.view().cluster().id,
                "node": player.node,
                "disk": self._record.name,
                "properties": self._record.private,
                "numbers": self._numbers,
                "number": player.number,
                "other": other.number if other else 0,
            }
        ).encode()

    async def release_all(self) -> None:
        """What is not reached takes its claim away by itself."""
        await asyncio.gather(*(self._release(each) for each in self._opened))

    async def _release(self, player: _Player) -> None:
        body = self._question(player, "release", None)
        try:
            await self._port.ask_type(player.node, DISK_TYPE, QUESTION, body, RELEASE_WITHIN_MS, self._record.name)
        except ClusterError:
            return


def _ended(answer: Mapping[str, Any], player: _Player, verb: str, at: str) -> _Ended:
    if "gave_up" in answer:
        return _Ended(TrialOutcome.GAVE_UP, f"{at}: {answer['gave_up']}")
    if "unfit" in answer:
        return _Ended(TrialOutcome.UNFIT, f"{at}: {answer['unfit']}")
    outcome = TrialOutcome.NOT_TRIED if verb == "open" else TrialOutcome.BROKEN
    return _Ended(outcome, f"{at}: {answer.get('trouble', 'its answer is none')}")
