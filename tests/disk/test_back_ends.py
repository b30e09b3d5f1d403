"""What every back end does, on each of them: claim, defend, challenge, preempt, and what the old owner can do afterwards."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from resource_types.physical_disk.back_end import BackEnd, Lost, PathLost, Refused
from resource_types.physical_disk.keys import key_of, shown
from tests.disk.storages import ImageStorage, IscsiStorage, PretendStorage, Storage
from tests.disk.tgt import Tgt

INTERVAL_MS = 1000
A, B = b"A" * 4096, b"B" * 4096
told: list[str] = []


@pytest.fixture(params=["pretend", "iscsi", "image"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Storage]:
    found: Storage
    if request.param == "pretend":
        found = PretendStorage()
    elif request.param == "image":
        found = ImageStorage(tmp_path)
    else:
        tgt: Tgt = request.getfixturevalue("tgt")
        found = IscsiStorage(tgt)
    told.clear()
    yield found
    found.close()


def claim(disk: BackEnd, node: str, generation: int, cluster: str = "c") -> list[str]:
    """Returns the keys that were preempted."""
    done = disk.arbitrate(key_of(cluster, node, generation), INTERVAL_MS, told.append)
    return [shown(each.key) for each in done]


def key(node: str, generation: int) -> str:
    return shown(key_of("c", node, generation).value)


# ---- alone ----


def test_claim_use_release(storage: Storage) -> None:
    disk = storage.disk("n1")
    assert claim(disk, "n1", 1) == []
    disk.write(8192, A)
    disk.flush()
    assert disk.read(8192, 4096) == A
    disk.defend()
    assert disk.status()["holder"] == key("n1", 1)
    assert disk.status()["registrants"] == [key("n1", 1)]
    disk.release()
    assert disk.status()["holder"] is None
    assert disk.status()["registrants"] == []


def test_part_of_a_block(storage: Storage) -> None:
    disk = storage.disk("n1")
    claim(disk, "n1", 1)
    disk.write(0, A)
    disk.write(510, b"xyz")
    assert disk.read(508, 7) == b"AAxyzAA"
    assert disk.read(0, 4096).count(b"A") == 4093


def test_end_of_the_disk(storage: Storage) -> None:
    disk = storage.disk("n1")
    claim(disk, "n1", 1)
    disk.write(disk.size_bytes - 4096, B)
    assert disk.read(disk.size_bytes - 4096, 4096) == B


def test_trim_leaves_the_rest(storage: Storage) -> None:
    disk = storage.disk("n1")
    claim(disk, "n1", 1)
    disk.write(0, A * 3)
    disk.trim(4096, 4096)
    assert disk.read(0, 4096) == disk.read(8192, 4096) == A
    assert disk.read(4096, 4096) in (A, bytes(4096))


def test_next_owner_after_release(storage: Storage) -> None:
    first, second = storage.disk("n1"), storage.disk("n2")
    claim(first, "n1", 1)
    first.write(0, A)
    first.release()
    assert claim(second, "n2", 2) == []
    assert second.read(0, 4096) == A


def test_same_run_again(storage: Storage) -> None:
    """Its session died; the next one of the same node and generation has the same key."""
    first = storage.disk("n1")
    claim(first, "n1", 1)
    second = storage.disk("n1")
    assert claim(second, "n1", 1) == []
    second.write(0, A)
    second.defend()
    assert second.status()["registrants"] == [key("n1", 1)]


# ---- with evidence: a higher generation ----


def test_higher_generation_takes_over_at_once(storage: Storage) -> None:
    first, second = storage.disk("n1"), storage.disk("n2")
    claim(first, "n1", 1)
    first.write(0, A)
    began_ms = storage.clock.ms
    assert claim(second, "n2", 2) == [key("n1", 1)]
    assert storage.clock.ms == began_ms, "it waited"
    assert second.read(0, 4096) == A
    second.write(0, B)
    with pytest.raises(Lost):
        first.write(0, A)
    with pytest.raises(Lost):
        first.defend()
    assert second.read(0, 4096) == B
    second.defend()


def test_frozen_owner_that_thaws_long_after_the_next_one_left(storage: Storage) -> None:
    first, second = storage.disk("n1"), storage.disk("n2")
    claim(first, "n1", 1)
    claim(second, "n2", 2)
    second.write(0, B)
    second.release()
    storage.clock.ms += 3 * INTERVAL_MS
    with pytest.raises(Lost):
        first.defend()
    assert second.read(0, 4096) == B


def test_lower_generation_is_refused(storage: Storage) -> None:
    first, second = storage.disk("n1"), storage.disk("n2")
    claim(first, "n1", 7)
    with pytest.raises(Refused, match="generation 7 of this cluster, is newer than our generation 6"):
        claim(second, "n2", 6)
    first.defend()
    first.write(0, A)
    assert first.status()["registrants"] == [key("n1", 7)]


def test_three_owners_in_turn(storage: Storage) -> None:
    disks = [storage.disk(f"n{number}") for number in (1, 2, 3)]
    for number, disk in enumerate(disks, 1):
        claim(disk, f"n{number}", number)
        disk.write(0, bytes([number]) * 512)
    for disk in disks[:2]:
        with pytest.raises(Lost):
            disk.write(0, B)
    assert disks[2].read(0, 512) == b"\3" * 512
    disks[2].defend()


# ---- without evidence: a challenge ----


def test_holder_that_defends_keeps_it_from_another_cluster(storage: Storage) -> None:
    first, second = storage.disk("n1"), storage.disk("m1")
    claim(first, "n1", 1)
    storage.clock.on_pause = first.defend
    with pytest.raises(Refused, match=r"no key of this cluster.*and its holder"):
        claim(second, "m1", 9, cluster="other")
    assert told, "the wait was not told"
    first.write(0, A)
    assert first.status()["registrants"] == [key("n1", 1)]


def test_holder_that_does_not_defend_loses_it_after_two_intervals(storage: Storage) -> None:
    first, second = storage.disk("n1"), storage.disk("m1")
    claim(first, "n1", 1)
    first.write(0, A)
    first.close()
    began_ms = storage.clock.ms
    assert claim(second, "m1", 1, cluster="other") == [key("n1", 1)]
    assert 2 * INTERVAL_MS <= storage.clock.ms - began_ms <= 3 * INTERVAL_MS
    second.write(0, B)
    with pytest.raises((Lost, PathLost)):
        first.defend()
        first.write(0, A)
    assert second.read(0, 4096) == B


def test_two_with_one_generation_at_once(storage: Storage) -> None:
    """It cannot be by the cluster's rules; if it is, one of them has it."""
    for _ in range(5):
        disks = [storage.disk("n1"), storage.disk("n2")]
        winners: list[BackEnd] = []
        start = threading.Barrier(2)

        def contend(
            disk: BackEnd, node: str, winners: list[BackEnd] = winners, start: threading.Barrier = start
        ) -> None:
            start.wait()
            try:
                claim(disk, node, 5)
            except Refused:
                return
            winners.append(disk)

        storage.clock.on_pause = lambda winners=winners: [each.defend() for each in winners] and None  # type: ignore[misc]
        threads = [threading.Thread(target=contend, args=pair) for pair in zip(disks, ("n1", "n2"), strict=True)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(winners) == 1
        winners[0].defend()
        winners[0].write(0, A)
        winners[0].release()


def test_two_generations_at_once(storage: Storage) -> None:
    """Whatever the order, the newer one has it in the end, and the older one knows."""
    for round_ in range(5):
        older, newer = storage.disk("n1"), storage.disk("n2")
        generation = 10 * round_ + 5
        start = threading.Barrier(2)
        refused: list[str] = []

        def contend(
            disk: BackEnd,
            node: str,
            number: int,
            start: threading.Barrier = start,
            refused: list[str] = refused,
        ) -> None:
            start.wait()
            try:
                claim(disk, node, number)
            except Refused:
                refused.append(node)

        threads = [
            threading.Thread(target=contend, args=(older, "n1", generation)),
            threading.Thread(target=contend, args=(newer, "n2", generation + 1)),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert "n2" not in refused
        newer.defend()
        newer.write(0, B)
        with pytest.raises(Lost):
            older.write(0, A) if "n1" not in refused else refuse()
        assert newer.read(0, 4096) == B


def refuse() -> None:
    raise Lost("it was refused from the start")


# ---- a target that restarts ----


def test_target_that_forgot_is_told_again(storage: Storage) -> None:
    if not storage.forgets:
        pytest.skip("an image has no target")
    disk = storage.disk("n1")
    claim(disk, "n1", 1)
    disk.write(0, A)
    storage.restart()
    disk.write(4096, B)
    assert disk.status()["holder"] == key("n1", 1)
    storage.restart()
    disk.defend()
    assert disk.status()["registrants"] == [key("n1", 1)]
    assert disk.read(0, 8192) == A + B


def test_frozen_owner_does_not_use_a_restart_to_come_back(storage: Storage) -> None:
    if not storage.forgets:
        pytest.skip("an image has no target")
    first, second = storage.disk("n1"), storage.disk("n2")
    claim(first, "n1", 1)
    claim(second, "n2", 2)
    second.write(0, B)
    storage.clock.ms += 3 * INTERVAL_MS
    storage.restart()
    with pytest.raises(Lost):
        first.write(0, A)
    with pytest.raises(Lost):
        first.defend()
    assert first.read(0, 4096) == B


def test_older_owner_that_was_quicker_after_a_restart_loses_again(storage: Storage) -> None:
    if not storage.forgets:
        pytest.skip("an image has no target")
    older, newer = storage.disk("n1"), storage.disk("n2")
    claim(newer, "n2", 2)
    storage.restart()
    claim(older, "n1", 1)
    newer.defend()
    newer.write(0, B)
    with pytest.raises(Lost):
        older.write(0, A)
    assert newer.read(0, 4096) == B
