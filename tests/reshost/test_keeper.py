"""What is refused does not run, also where the last descriptor of the machine is gone in the midst of a start."""

import errno
import os
import select
import socket

import pytest

from clusterd.adapters.containment_fork import Birth
from clusterd.adapters.containment_proc import ProcessSeen
from clusterd.reshost import keeper, spawner
from clusterd.reshost.spawn_messages import Order


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


@pytest.mark.parametrize("fails", ["pidfd_open", "pipe2"])
def test_what_the_spawner_refuses_does_not_run(monkeypatch: pytest.MonkeyPatch, fails: str) -> None:
    def none_left(*_: object) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    ours, theirs = socket.socketpair()
    beginner = spawner.Spawner(theirs, os.getpid())
    monkeypatch.setattr(spawner.os, fails, none_left)
    alive, held = os.pipe()
    beginner._start(7, Order("/bin/sleep", ["sleep", "5"], {}, None, None, None), held)
    try:
        assert b'"fork"' in ours.recv(256)
        assert select.select([alive], [], [], 2)[0]
        assert os.read(alive, 1) == b"", "nobody has its output any more"
    finally:
        for each in (ours, theirs):
            each.close()
        os.close(alive)
