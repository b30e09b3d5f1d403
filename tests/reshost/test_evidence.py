"""What is said of processes that do not end, about real ones."""

import os
import socket
import subprocess

from clusterd.reshost.evidence import PROCESSES_NAMED_MAX, describe, left_words, listening_ports


def test_a_process_is_named_with_its_start_and_what_it_holds() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert port in listening_ports(os.getpid())
        text = describe(os.getpid())
    assert text.startswith(f"pid {os.getpid()} (")
    assert "alive since 20" in text
    assert "listens on tcp" in text


def test_the_text_stays_the_same_as_long_as_nothing_changes() -> None:
    child = subprocess.Popen(["sleep", "100"])
    try:
        assert describe(child.pid).split(", waits")[0] == describe(child.pid).split(", waits")[0]
        child.send_signal(19)
        os.waitpid(child.pid, os.WUNTRACED)
        assert "stopped by a signal" in describe(child.pid)
    finally:
        child.kill()
        child.wait()
    assert describe(child.pid) == f"pid {child.pid}, which ended meanwhile"


def test_only_some_of_many_are_named() -> None:
    words = left_words("web", [os.getpid()] * (PROCESSES_NAMED_MAX + 3))
    assert words.count("pid ") == PROCESSES_NAMED_MAX
    assert "and 3 more" in words
