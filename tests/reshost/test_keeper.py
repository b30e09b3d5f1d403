"""What is refused does not run: a keeper that cannot be looked at takes its process along."""

import errno
import os
import select

import pytest

from clusterd.adapters.containment_fork import Birth
from clusterd.adapters.containment_proc import ProcessSeen
from clusterd.reshost import keeper


@pytest.mark.parametrize("number", [errno.ENFILE, 0])
def test_a_keeper_that_cannot_be_looked_at_ends_with_its_process(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def unseen(pid: int) -> ProcessSeen | None:
        if number:
            raise OSError(number, os.strerror(number))
        return None

    monkeypatch.setattr(keeper, "process", unseen)
    alive, held = os.pipe()  # the read end is at its end once no process holds the other
    report, report_write = os.pipe()
    birth = Birth("/bin/sleep", ["sleep", "5"], {}, standard=(0, held, held))
    with pytest.raises(OSError, match=r"."):
        keeper.keep(birth, report_write)
    os.close(held)
    os.close(report_write)
    os.read(report, 64)
    try:
        assert select.select([alive], [], [], 2)[0]
        assert os.read(alive, 1) == b""
    finally:
        os.close(alive)
        os.close(report)
