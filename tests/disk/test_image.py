"""What only an image has: the lease file, its locks, and how honest its guarantee is."""

import fcntl
import os
import struct
from pathlib import Path

import pytest

from resource_types.physical_disk.back_end import Lost, PathLost, Refused
from resource_types.physical_disk.image import Image
from resource_types.physical_disk.keys import key_of
from resource_types.physical_disk.lease import BLOCK_BYTES, Damaged, Lease, decode, encode
from tests.disk.storages import ImageStorage

INTERVAL_MS = 1000


def owner(storage: ImageStorage, node: str, generation: int, cluster: str = "c") -> Image:
    disk = storage.disk(node)
    assert isinstance(disk, Image)
    disk.arbitrate(key_of(cluster, node, generation), INTERVAL_MS, lambda words: None)
    return disk


def lease(storage: ImageStorage) -> Lease:
    return decode(Path(f"{storage.path}.lease").read_bytes())


def test_lease_codec() -> None:
    for each in (Lease(), Lease(2**64 - 1, "node-1", 7), Lease(1, "ä" * 60, 2**40)):
        assert len(encode(each)) == BLOCK_BYTES
        assert decode(encode(each)) == each
    assert decode(b"") == decode(bytes(BLOCK_BYTES)) == Lease()


def test_every_damaged_byte_is_seen() -> None:
    whole = encode(Lease(1, "n1", 1))
    for at in range(len(whole)):
        with pytest.raises(Damaged):
            decode(whole[:at] + bytes((whole[at] ^ 1,)) + whole[at + 1 :])
    with pytest.raises(Damaged):
        decode(whole[:100])


def test_counter_rises_with_every_defence(tmp_path: Path) -> None:
    storage = ImageStorage(tmp_path)
    disk = owner(storage, "n1", 1)
    before = lease(storage)
    disk.defend()
    disk.defend()
    assert lease(storage) == before._replace(counter=before.counter + 2)
    storage.close()


def test_damaged_lease_is_refused_not_overwritten(tmp_path: Path) -> None:
    storage = ImageStorage(tmp_path)
    Path(f"{storage.path}.lease").write_bytes(b"garbage")
    with pytest.raises(PathLost, match="damaged"):
        owner(storage, "n1", 1)
    assert Path(f"{storage.path}.lease").read_bytes() == b"garbage"
    storage.close()


def test_frozen_holder_of_another_cluster_keeps_it_by_its_lock(tmp_path: Path) -> None:
    """It counts no more, but its process is there, and nobody proved that it is not."""
    storage = ImageStorage(tmp_path)
    owner(storage, "m1", 1, cluster="other")
    with pytest.raises(Refused, match="still holds its lock"):
        owner(storage, "n1", 2)
    storage.close()


def test_holder_that_froze_within_its_renewal_is_passed_over_with_evidence(tmp_path: Path) -> None:
    storage = ImageStorage(tmp_path)
    old = owner(storage, "n1", 1)
    frozen = os.open(f"{storage.path}.lease", os.O_RDWR)
    fcntl.fcntl(frozen, 37, struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 1, 0))
    began_ms = storage.clock.ms
    new = owner(storage, "n2", 2)
    assert storage.clock.ms - began_ms >= 2 * INTERVAL_MS
    os.close(frozen)
    with pytest.raises(Lost):
        old.defend()
    new.defend()
    storage.close()


def test_late_renewal_of_the_old_owner_is_overwritten(tmp_path: Path) -> None:
    """It had compared before it froze, and writes its lease after the new owner's."""
    storage = ImageStorage(tmp_path)
    old = owner(storage, "n1", 1)
    stale = Path(f"{storage.path}.lease").read_bytes()
    new = owner(storage, "n2", 2)
    Path(f"{storage.path}.lease").write_bytes(stale)
    new.write(0, b"B" * 512)
    new.defend()
    assert lease(storage).key == key_of("c", "n2", 2).value
    with pytest.raises(Lost):
        old.write(0, b"A" * 512)
    assert new.read(0, 512) == b"B" * 512
    storage.close()


def test_image_that_is_not_there(tmp_path: Path) -> None:
    storage = ImageStorage(tmp_path)
    storage.path.unlink()
    with pytest.raises(PathLost, match="No such file"):
        storage.disk("n1")


def test_image_that_became_shorter(tmp_path: Path) -> None:
    storage = ImageStorage(tmp_path)
    disk = owner(storage, "n1", 1)
    os.truncate(storage.path, 4096)
    with pytest.raises(Exception, match="became shorter"):
        disk.read(8192, 512)
    storage.close()
