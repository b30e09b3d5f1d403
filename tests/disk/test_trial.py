"""Does a trial of arbitration find out what storage can do, harm nobody, and lose to every owner at once?"""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from resource_types.physical_disk.back_end import BackEnd, PathLost
from resource_types.physical_disk.iscsi_link import IscsiLink, Target
from resource_types.physical_disk.keys import key_of, shown, trial_key
from resource_types.physical_disk.lease import Lease
from resource_types.physical_disk.lease_file import LeaseFile
from resource_types.physical_disk.scsi_disk import ScsiDisk
from resource_types.physical_disk.trial_claim import GaveUp, TrialClaim, Unfit
from resource_types.physical_disk.trial_image import ImageTrial
from resource_types.physical_disk.trial_scsi import ScsiTrial
from tests.disk.pretend_target import Dials, PretendTarget
from tests.disk.storages import ImageStorage, IscsiStorage, PretendStorage, Storage
from tests.disk.tgt import Tgt

INTERVAL_MS = 1000
NUMBERS = (11, 22, 33)
KEYS = tuple(trial_key("c", each).value for each in NUMBERS)
FIRST, SECOND, _ = KEYS
CONTENT = bytes(range(256)) * 2


class Ground:
    """A storage, owners on it, and the claims of a trial."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.made: list[TrialClaim] = []

    def trial(self, key: int) -> TrialClaim:
        """Opened by node nX."""
        claim = self._make(key, f"n{KEYS.index(key) + 1}")
        self.made.append(claim)
        self.claims = claim.open().claims
        return claim

    def trial_of_others(self, key: int) -> TrialClaim:
        claim = self._make(key, "n9", (key,))
        self.made.append(claim)
        return claim

    def _make(self, key: int, node: str, of_trial: tuple[int, ...] = KEYS) -> TrialClaim:
        storage = self.storage
        if isinstance(storage, ImageStorage):
            path = str(storage.path)
            return ImageTrial(path, node, key, of_trial, LeaseFile(path, storage.clock))
        if isinstance(storage, IscsiStorage):
            target = Target(storage.tgt.portal, storage.unit, 1, f"iqn.2026-01.test.clusterd:{node}", "trial")
            return ScsiTrial(lambda: IscsiLink(target), key, of_trial)
        assert isinstance(storage, PretendStorage)
        return ScsiTrial(storage.target.connect, key, of_trial)

    def owner(self, node: str, generation: int, cluster: str = "c") -> BackEnd:
        disk = self.storage.disk(node)
        disk.arbitrate(key_of(cluster, node, generation), INTERVAL_MS, lambda _: None)
        return disk

    def last_block(self) -> bytes:
        disk = self.storage.disk("reader")
        return disk.read(disk.size_bytes - 512, 512)

    def holder(self) -> object:
        return self.storage.disk("looker").status()["holder"]


@pytest.fixture(params=["pretend", "pretend without compare-and-write", "iscsi", "image"])
def ground(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ground]:
    found: Storage
    if request.param == "image":
        found = ImageStorage(tmp_path)
    elif request.param == "iscsi":
        tgt: Tgt = request.getfixturevalue("tgt")
        found = IscsiStorage(tgt)
    else:
        found = PretendStorage()
        found.target.dials = Dials(compares=request.param == "pretend")
    disk = found.disk("n1")
    disk.arbitrate(key_of("c", "n1", 1), INTERVAL_MS, lambda _: None)
    disk.write(disk.size_bytes - 512, CONTENT)
    disk.release()
    made = Ground(found)
    yield made
    for each in made.made:
        each.close()
    found.close()


def challenged(ground: Ground) -> tuple[TrialClaim, TrialClaim]:
    first, second = ground.trial(FIRST), ground.trial(SECOND)
    first.claim()
    second.challenge(FIRST)
    return first, second


def handed_over(ground: Ground) -> tuple[TrialClaim, TrialClaim]:
    """The first claim was ended by the second one."""
    first, second = challenged(ground)
    first.defend(SECOND)
    second.take(FIRST)
    return first, second


def test_a_whole_trial_passes_and_leaves_nothing(ground: Ground) -> None:
    began_ms = ground.storage.clock.ms
    first, second = handed_over(ground)
    assert ground.claims == ()
    first.late_write(SECOND)
    second.write()
    for _ in range(2):
        first.release()
        second.release()
    status = ground.storage.disk("looker").status()
    assert (status["holder"], status["registrants"]) == (None, [])
    assert ground.last_block() == CONTENT
    assert ground.storage.clock.ms - began_ms < INTERVAL_MS, "nothing of it waits"


STEPS: list[tuple[str, Callable[[Ground], object]]] = [
    ("claimed", lambda ground: ground.trial(FIRST).claim()),
    ("challenged", challenged),
    ("taken", handed_over),
]


@pytest.mark.parametrize("is_dead", [True, False], ids=["its session died", "its session lives"])
@pytest.mark.parametrize("step", [row[1] for row in STEPS], ids=[row[0] for row in STEPS])
def test_an_owner_takes_it_from_any_step_without_a_wait(
    ground: Ground, step: Callable[[Ground], object], is_dead: bool
) -> None:
    """Whatever becomes of the trial in the middle: killed, or left alone by who made it."""
    step(ground)
    if is_dead:
        for each in ground.made:
            each.close()
    began_ms = ground.storage.clock.ms
    owner = ground.owner("n2", 1)
    assert ground.storage.clock.ms == began_ms
    assert owner.status()["registrants"] == [shown(key_of("c", "n2", 1).value)]
    owner.write(0, b"x" * 512)
    owner.defend()


def test_an_owner_that_comes_in_the_middle_is_left_alone_by_every_step(ground: Ground) -> None:
    first, second = handed_over(ground)
    owner = ground.owner("n2", 1)
    owner.write(owner.size_bytes - 512, b"new" + bytes(509))
    before = owner.status()["registrants"]
    for step in (
        first.claim,
        second.write,
        lambda: first.late_write(SECOND),
        lambda: first.challenge(SECOND),
        lambda: second.defend(FIRST),
        lambda: first.take(SECOND),
    ):
        with pytest.raises(GaveUp, match="generation 1 of this cluster"):
            step()
    for each in (first, second):
        each.release()
    assert owner.status()["registrants"] == before
    owner.write(0, b"x" * 512)
    owner.defend()
    assert ground.last_block()[:3] == b"new"


def test_a_claim_of_a_former_owner_or_a_stranger_is_not_touched(ground: Ground) -> None:
    for cluster in ("c", "other"):
        owner = ground.owner("m1", 3, cluster)
        claim = ground.trial(FIRST)
        assert ground.claims == (key_of(cluster, "m1", 3).value,)
        with pytest.raises(GaveUp):
            claim.claim()
        claim.release()
        assert owner.status()["registrants"] == [shown(key_of(cluster, "m1", 3).value)]
        owner.release()
        owner.close()


def test_the_claim_of_another_trial_is_not_touched(ground: Ground) -> None:
    ground.trial(FIRST).claim()
    trial = ground.trial_of_others(trial_key("c", 99).value)
    assert trial.open().claims == (FIRST,)
    with pytest.raises(GaveUp, match="a trial by this cluster's validate"):
        trial.claim()
    assert ground.holder() == shown(FIRST)


def test_two_trials_at_once_have_one_winner_at_most(ground: Ground) -> None:
    for _ in range(5):
        claims = [ground.trial(FIRST), ground.trial(SECOND)]
        start = threading.Barrier(2)
        won: list[TrialClaim] = []

        def contend(claim: TrialClaim, start: threading.Barrier = start, won: list[TrialClaim] = won) -> None:
            start.wait()
            try:
                claim.claim()
            except (GaveUp, Unfit):
                return
            won.append(claim)

        threads = [threading.Thread(target=contend, args=(each,)) for each in claims]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert len(won) <= 1
        for claim in claims:
            claim.release()
        assert ground.holder() is None


def test_an_owner_and_a_trial_at_once(ground: Ground) -> None:
    """Whatever the order, the owner has it, and the trial's steps end with it."""
    for round_ in range(5):
        claim = ground.trial(FIRST)
        start = threading.Barrier(2)
        disk = ground.storage.disk("n1")

        def contend(claim: TrialClaim = claim, start: threading.Barrier = start) -> None:
            start.wait()
            try:
                claim.claim()
                claim.write()
            except (GaveUp, Unfit):
                return

        thread = threading.Thread(target=contend)
        thread.start()
        start.wait()
        disk.arbitrate(key_of("c", "n1", round_ + 1), INTERVAL_MS, lambda _: None)
        disk.write(disk.size_bytes - 512, bytes([round_]) * 512)
        thread.join()
        with pytest.raises(GaveUp):
            claim.write()
        claim.release()
        disk.defend()
        assert ground.last_block() == bytes([round_]) * 512
        disk.release()


# ---- storage that is not fit ----


@pytest.mark.parametrize("compares", [True, False])
def test_storage_that_lets_a_late_write_through_is_found_and_nothing_changes(compares: bool) -> None:
    storage = PretendStorage()
    storage.target.dials = Dials(refuses=False, compares=compares)
    storage.target.data[-512:] = CONTENT
    before = bytes(storage.target.data)
    first, _ = handed_over(Ground(storage))
    assert storage.target.written == [], "no holder writes before the storage has shown that it refuses"
    with pytest.raises(Unfit, match="a write arrived whose claim had been ended"):
        first.late_write(SECOND)
    assert storage.target.data == before
    assert set(storage.target.written) == {len(before) // 512 - 1}


def test_storage_that_refuses_is_sent_no_late_data() -> None:
    storage = PretendStorage()
    first, second = handed_over(Ground(storage))
    first.late_write(SECOND)
    assert storage.target.written == []
    second.write()
    assert storage.target.written == [len(storage.target.data) // 512 - 1]


def test_who_writes_without_a_claim_is_noticed_and_not_overwritten() -> None:
    storage = PretendStorage()
    first, second = handed_over(Ground(storage))
    first.late_write(SECOND)
    storage.target.meanwhile[0x89] = lambda: storage.target.data.__setitem__(slice(-512, None), b"z" * 512)
    with pytest.raises(GaveUp, match="somebody without a claim writes"):
        second.write()
    assert storage.target.data[-512:] == b"z" * 512


def test_an_owner_on_the_same_session_of_a_node_keeps_its_key() -> None:
    """Over a local device all that a node does is one session: an owner may have registered since we looked."""
    target = PretendTarget()
    link = target.connect()
    owner = ScsiDisk(lambda: link, PretendStorage().clock)
    owner.open()
    trial = ScsiTrial(lambda: link, FIRST, KEYS)
    trial.open()
    target.meanwhile[0x5F] = lambda: owner.arbitrate(key_of("c", "n1", 4), INTERVAL_MS, lambda _: None)
    with pytest.raises(GaveUp, match="something of this node has a claim there"):
        trial.claim()
    trial.release()
    assert target.keys == {link: key_of("c", "n1", 4).value} and target.holder is link


class Share(LeaseFile):
    """As one node sees it: it may keep what it read, and its locks may not be those of others."""

    keeps = False
    has_own_locks = False
    _kept = Lease()

    def read(self) -> Lease:
        if not self.keeps:
            self._kept = super().read()
        return self._kept

    def try_lock(self, byte: int) -> bool:
        return self.has_own_locks or super().try_lock(byte)


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[tuple[list[ImageTrial], list[Share]]]:
    """Two claims of a trial, and their ways to the share."""
    storage = ImageStorage(tmp_path)
    shares = [Share(str(storage.path), storage.clock) for _ in range(2)]
    claims = [
        ImageTrial(str(storage.path), f"n{key}", key, KEYS, share)
        for key, share in zip((FIRST, SECOND), shares, strict=True)
    ]
    for each in claims:
        each.open()
    claims[0].claim()
    yield claims, shares
    for each in claims:
        each.close()


def test_a_challenger_that_keeps_what_it_read_is_found(shared: tuple[list[ImageTrial], list[Share]]) -> None:
    (first, second), shares = shared
    second.challenge(FIRST)
    shares[1].keeps = True
    first.defend(SECOND)
    with pytest.raises(Unfit, match="that is not seen here"):
        second.take(FIRST)


def test_a_holder_that_keeps_what_it_read_is_found(shared: tuple[list[ImageTrial], list[Share]]) -> None:
    (first, second), shares = shared
    second.challenge(FIRST)
    first.defend(SECOND)
    shares[0].read()
    shares[0].keeps = True
    second.take(FIRST)
    with pytest.raises(Unfit, match="does not see that its lease was taken over"):
        first.late_write(SECOND)


def test_locks_that_stay_on_one_machine_are_found(shared: tuple[list[ImageTrial], list[Share]]) -> None:
    (_, second), shares = shared
    shares[1].has_own_locks = True
    with pytest.raises(Unfit, match="do not reach far"):
        second.challenge(FIRST)


def test_a_target_that_goes_away() -> None:
    storage = PretendStorage()
    first, second = handed_over(Ground(storage))
    storage.target.is_reachable = False
    with pytest.raises(PathLost):
        second.write()
    for claim in (first, second):
        with pytest.raises(PathLost):
            claim.release()
        claim.close()


def test_a_claim_of_a_trial_that_appears_beside_an_owner_is_ended_by_its_next_look() -> None:
    storage = PretendStorage()
    owner = Ground(storage).owner("n1", 1)
    storage.target.keys[storage.target.connect()] = FIRST
    owner.defend()
    assert list(storage.target.keys.values()) == [key_of("c", "n1", 1).value]
