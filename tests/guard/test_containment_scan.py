"""Who shares a look at the machine: only those who asked before it began."""

import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

from clusterd.adapters.containment_scan import SharedLook


def test_a_look_is_as_new_as_the_question() -> None:
    shared = SharedLook()
    for _ in range(5):
        with subprocess.Popen(["sleep", "60"]) as child:
            try:
                assert child.pid in shared.look().processes
            finally:
                child.kill()
        assert child.pid not in shared.look().processes


def test_those_who_wait_together_share_a_look() -> None:
    shared = SharedLook()
    count = 32
    at_once = threading.Barrier(count)

    def look() -> int:
        at_once.wait()
        return id(kept.setdefault(seen := shared.look(), seen))

    kept: dict[object, object] = {}
    with ThreadPoolExecutor(count) as threads:
        looks = {each.result() for each in [threads.submit(look) for _ in range(count)]}
    assert 1 <= len(looks) < count


def test_descent_and_tags() -> None:
    script = "sleep 60 & sleep 60"
    with subprocess.Popen(["sh", "-c", script], env={"PATH": "/usr/bin:/bin", "CLUSTERD_NODE_TAG": "trial/x"}) as child:
        try:
            seen = SharedLook().look()
            while len(seen.tagged("trial/x")) < 3:
                seen = SharedLook().look()
            assert child.pid in seen.tagged("trial/")
            assert seen.tagged("trial/xy") == []
            assert sorted(each.pid for each in seen.with_descendants([child.pid])) == sorted(seen.tagged("trial/x"))
        finally:
            for pid in seen.tagged("trial/x"):
                subprocess.run(["kill", "-9", str(pid)], check=False)
