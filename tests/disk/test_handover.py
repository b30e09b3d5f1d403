"""A disk is let go while somebody writes, taken up again, and compared: what a live migration asks of a session."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clusterd.resource_api import ResourceFailed
from resource_types.physical_disk.back_end import PathLost, Refused
from resource_types.physical_disk.handover import expect_same_disk, seen_by
from resource_types.physical_disk.image import Image
from resource_types.physical_disk.keys import key_of
from resource_types.physical_disk.nbd import EPERM, IoRefused
from resource_types.physical_disk.session import BootClock, Session

A, B = b"A" * 512, b"B" * 512
INTERVAL_MS = 100


class SlowImage(Image):
    """An image whose storage takes a write in and does not end it before it may."""

    def __init__(self, path: Path, node: str) -> None:
        super().__init__(str(path), node, BootClock())
        self.has_begun, self.may_end = threading.Event(), threading.Event()
        self.may_end.set()

    def write(self, offset: int, data: bytes) -> None:
        self.has_begun.set()
        assert self.may_end.wait(10)
        super().write(offset, data)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "image"
    path.write_bytes(bytes(1 << 16))
    return path


@pytest.fixture
def disk(image: Path) -> Iterator[SlowImage]:
    found = SlowImage(image, "n1")
    found.open()
    yield found
    found.may_end.set()
    found.close()


def session_on(disk: Image, node: str = "n1", generation: int = 1) -> Session:
    return Session(disk, key_of("c", node, generation), INTERVAL_MS, BootClock())


def no_words(words: str) -> None:
    raise AssertionError(words)


def in_thread(work: Any) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def test_release_waits_for_what_is_under_way(disk: SlowImage, image: Path) -> None:
    session = session_on(disk)
    session.answer("arbitrate", no_words)
    disk.may_end.clear()
    writing = in_thread(lambda: session.write(0, A))
    assert disk.has_begun.wait(5)
    releasing = in_thread(lambda: session.answer("release", no_words))
    until_refused(session)
    assert disk.status()["holder"] is not None, "it is held as long as something of ours may still arrive"
    disk.may_end.set()
    for each in (writing, releasing):
        each.join(5)
        assert not each.is_alive()
    assert disk.status()["holder"] is None
    assert image.read_bytes()[:512] == A
    session.close()


def test_storage_that_does_not_end_a_write_keeps_the_disk_here(disk: SlowImage, image: Path) -> None:
    session = session_on(disk)
    session.answer("arbitrate", no_words)
    disk.may_end.clear()
    writing = in_thread(lambda: session.write(0, A))
    assert disk.has_begun.wait(5)
    with pytest.raises(PathLost, match="was not released"):
        session.answer("release", no_words)
    assert disk.status()["holder"] is not None
    disk.may_end.set()
    writing.join(5)
    session.write(512, B)
    assert image.read_bytes()[:1024] == A + B
    session.close()


def test_taken_up_again_only_where_nobody_has_it(disk: SlowImage, image: Path) -> None:
    """Nobody is challenged: who took it since may have written, and what stood still here knows nothing of that."""
    session = session_on(disk)
    session.answer("arbitrate", no_words)
    session.answer("release", no_words)
    assert session.answer("resume", no_words)["standing"] == "held"
    session.answer("release", no_words)
    other = Image(str(image), "n2", BootClock())
    other.open()
    other.arbitrate(key_of("c", "n2", 1), INTERVAL_MS, no_words)
    began = time.monotonic()
    with pytest.raises(Refused):
        session.answer("resume", no_words)
    assert time.monotonic() - began < INTERVAL_MS / 1000
    other.write(0, B)
    with pytest.raises(IoRefused):
        session.write(0, A)
    other.close()
    session.close()


def until_refused(session: Session) -> None:
    until = time.monotonic() + 5
    while time.monotonic() < until:
        try:
            session.read(0, 512)
        except IoRefused as refused:
            assert refused.number == EPERM
            return
    raise AssertionError("it serves on")


STATUS = {"key": "0x01", "holder": "0x01", "size_bytes": 512, "ids": ["naa.1"]}


@pytest.mark.parametrize(
    ("name", "there", "words"),
    [
        ("the same", {}, ""),
        ("held by nobody there", {"holder": None}, "held by nobody"),
        ("held by somebody else there", {"holder": "0x02"}, "held by 0x02"),
        ("of another size", {"size_bytes": 1024}, "another size_bytes"),
        ("another device", {"ids": ["naa.2"]}, "another ids"),
    ],
)
def test_both_ends_see_the_same_disk(name: str, there: dict[str, Any], words: str) -> None:
    prepared = seen_by({**STATUS, "standing": "standby", **there}, "n2")
    if not words:
        expect_same_disk(prepared, STATUS, "unit 1")
        return
    with pytest.raises(ResourceFailed, match=words):
        expect_same_disk(prepared, STATUS, "unit 1")


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", "1", json.dumps({"node": "n2", "holder": "0x01"})])
def test_what_cannot_be_read_hands_nothing_over(text: str) -> None:
    with pytest.raises(ResourceFailed, match="cannot be read"):
        expect_same_disk(text, STATUS, "unit 1")
