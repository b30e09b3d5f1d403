"""Sessions as processes: frozen, killed, contending, with a target that restarts. The same cases on each back end."""

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from resource_types.physical_disk.session_link import SessionFailed, SessionSilent
from tests.disk.sessions import SessionProcess, error_of_reply, silent, write_without_waiting
from tests.disk.tgt import Tgt

Start = Callable[..., SessionProcess]
A, B = b"A" * 4096, b"B" * 4096


class Disks:
    """Starts sessions on one disk, and ends them after the test."""

    def __init__(self, kind: str, folder: Path, where: Callable[[str], dict[str, Any]]) -> None:
        self.kind, self._folder, self._where = kind, folder, where
        self._sessions: list[SessionProcess] = []

    def session(self, node: str, generation: int, interval_ms: int = 300) -> SessionProcess:
        found = SessionProcess(self._folder, node, generation, self.kind, self._where(node), interval_ms)
        self._sessions.append(found)
        return found.ready()

    def owner(self, node: str, generation: int, interval_ms: int = 300) -> SessionProcess:
        session = self.session(node, generation, interval_ms)
        assert session.ask("arbitrate")["standing"] == "held"
        return session

    def end(self) -> None:
        for each in self._sessions:
            each.end()


def on_unit(tgt: Tgt, unit: str) -> Callable[[str], dict[str, Any]]:
    def where(node: str) -> dict[str, Any]:
        initiator = f"iqn.2026-01.test.clusterd:{node}"
        return {"portal": tgt.portal, "target": unit, "unit": 1, "initiator": initiator, "session": "d"}

    return where


@pytest.fixture(params=["iscsi", "image"])
def disks(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disks]:
    if request.param == "image":
        path = tmp_path / "image"
        path.write_bytes(b"")
        os.truncate(path, 1 << 20)
        found = Disks("image", tmp_path, lambda node: {"path": str(path)})
    else:
        tgt: Tgt = request.getfixturevalue("tgt")
        found = Disks("iscsi", tmp_path, on_unit(tgt, tgt.new_unit()))
    yield found
    found.end()


@pytest.fixture
def iscsi_disks(tgt: Tgt, tmp_path: Path) -> Iterator[Disks]:
    found = Disks("iscsi", tmp_path, on_unit(tgt, tgt.new_unit()))
    yield found
    found.end()


def test_nothing_is_served_before_it_is_claimed(disks: Disks) -> None:
    session = disks.session("n1", 1)
    assert session.ask("status")["standing"] == "standby"
    client = session.nbd()
    assert client.ask(0, 0, 512)[0] == client.ask(1, 0, 512, b"x" * 512)[0] == 1
    assert session.ask("arbitrate")["standing"] == "held"
    assert client.ask(1, 0, 4096, A) == (0, b"")
    assert client.ask(0, 0, 4096) == (0, A)
    assert session.ask("check")["standing"] == "held"
    assert session.ask("arbitrate")["standing"] == "held", "twice is once"
    assert session.ask("release")["standing"] == "released"
    assert client.ask(1, 0, 4096, B)[0] == 1
    client.socket.close()


def test_frozen_owner_thaws_and_writes(disks: Disks) -> None:
    """The fence that also covers a frozen machine: what it had in hand when it froze does not reach the disk."""
    old = disks.owner("n1", 1)
    client = old.nbd()
    assert client.ask(1, 0, 4096, A) == (0, b"")
    old.freeze()
    write_without_waiting(client, 0, A)
    new = disks.owner("n2", 2)
    ours = new.nbd()
    assert ours.ask(1, 0, 4096, B) == (0, b"")
    assert silent(client)
    old.thaw()
    assert error_of_reply(client) != 0
    assert ours.ask(0, 0, 4096) == (0, B)
    assert "generation 2" in old.until_lost() or "preempted" in old.until_lost()
    assert client.ask(1, 0, 4096, A)[0] != 0
    assert ours.ask(0, 0, 4096) == (0, B)
    (preempted,) = new.ask("status")["preempted"]
    assert preempted["generation"] == 1
    assert new.ask("check")["standing"] == "held"
    for each in (client, ours):
        each.socket.close()


def test_owner_that_was_preempted_is_told_within_an_interval(disks: Disks) -> None:
    old = disks.owner("n1", 1)
    disks.owner("n2", 2)
    assert "generation 2" in old.until_lost()
    assert old.ask("status")["standing"] == "lost"
    for verb in ("check", "arbitrate"):
        with pytest.raises(SessionFailed) as failure:
            old.ask(verb)
        assert failure.value.kind == "Lost"


def test_contenders_at_once(disks: Disks) -> None:
    sessions = [disks.session(f"n{number}", 7) for number in (1, 2, 3)]
    outcomes: list[str] = []

    def contend(session: SessionProcess) -> None:
        try:
            outcomes.append(session.ask("arbitrate")["standing"])
        except SessionFailed as error:
            outcomes.append(error.kind)

    threads = [threading.Thread(target=contend, args=(each,)) for each in sessions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["Refused", "Refused", "held"]
    (winner,) = [each for each in sessions if each.ask("status")["standing"] == "held"]
    assert winner.ask("check")["standing"] == "held"
    assert len(winner.ask("status")["registrants"]) == 1


def test_killed_session_leaves_a_claim_that_evidence_ends(disks: Disks) -> None:
    old = disks.owner("n1", 1)
    client = old.nbd()
    assert client.ask(1, 0, 4096, A) == (0, b"")
    client.socket.close()
    old.end()
    with pytest.raises(SessionSilent):
        old.ask("ping")
    new = disks.owner("n2", 2)
    client = new.nbd()
    assert client.ask(0, 0, 4096) == (0, A)
    client.socket.close()


def test_stranger_asks_on_the_control_socket(disks: Disks) -> None:
    session = disks.session("n1", 1)
    with pytest.raises(SessionFailed, match="does not know the verb"):
        session.ask("format-everything")
    for words in (b"garbage\n", b"[]\n", b"{}\n", b"\xff\xfe\n"):
        with socket.socket(socket.AF_UNIX) as link:
            link.connect(str(session.folder / "control"))
            link.sendall(words)
            assert b"Refused" in link.recv(4096)
    with socket.socket(socket.AF_UNIX) as link:
        link.connect(str(session.folder / "control"))
        with contextlib.suppress(OSError):
            link.sendall(b"x" * 100_000)
            assert link.recv(4096) == b""
    assert session.ask("ping") == {"standing": "standby"}


# ---- with a target that can go ----


def test_target_restart_is_ridden_out(iscsi_disks: Disks, tgt: Tgt) -> None:
    owner = iscsi_disks.owner("n1", 1, interval_ms=2000)
    client = owner.nbd()
    assert client.ask(1, 0, 4096, A) == (0, b"")
    tgt.restart()
    assert client.ask(1, 4096, 4096, B) == (0, b"")
    assert owner.ask("check")["standing"] == "held"
    assert len(owner.ask("status")["registrants"]) == 1
    assert client.ask(0, 0, 8192) == (0, A + B)
    client.socket.close()


def test_target_that_stays_away_is_a_lost_disk(iscsi_disks: Disks, tgt: Tgt) -> None:
    owner = iscsi_disks.owner("n1", 1)
    tgt.kill()
    try:
        with pytest.raises(SessionFailed) as failure:
            owner.ask("check")
        assert failure.value.kind == "PathLost"
        assert "does not answer" in owner.until_lost()
    finally:
        tgt.start()


def test_target_that_is_not_there(tmp_path: Path, tgt: Tgt) -> None:
    where = {**on_unit(tgt, "iqn.no-such")("n1")}
    for changed, words in (({}, "no session with"), ({"portal": "127.0.0.1:9"}, "nobody answers at 127.0.0.1:9")):
        session = SessionProcess(tmp_path, f"n{len(changed)}", 1, "iscsi", {**where, **changed})
        assert session.process.wait(20) == 1
        assert words in session.words()
        session.end()
