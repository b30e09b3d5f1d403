"""What the node hears of a write that its disk refuses: full, or something else that passes, and that it was made."""

import errno
import os

import pytest

from clusterd.model.disk import DiskState
from clusterd.node.events import DiskRefused, DiskTook
from clusterd.runtime.daemon import disk_event


@pytest.mark.parametrize(
    ("number", "state", "name"),
    [
        (errno.ENOSPC, DiskState.FULL, "ENOSPC"),
        (errno.EDQUOT, DiskState.FULL, "EDQUOT"),
        (errno.EFBIG, DiskState.FULL, "EFBIG"),
        (errno.EMFILE, DiskState.REFUSES, "EMFILE"),
        (errno.ENFILE, DiskState.REFUSES, "ENFILE"),
    ],
)
def test_a_refused_write_has_its_name_and_advice(number: int, state: DiskState, name: str) -> None:
    event = disk_event(OSError(number, os.strerror(number)))
    assert isinstance(event, DiskRefused)
    assert event.state is state and name in event.text and event.hint


def test_a_write_that_was_made_after_all() -> None:
    assert disk_event(None) == DiskTook()
