"""What does a node say of itself when the process that looks at its machine misbehaves?"""

import sys
import time

import pytest

from clusterd.runtime.probing import run_probe
from clusterd.validation import MachineFacts

PYTHON = (sys.executable, "-S", "-c")


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ((*PYTHON, "import sys; print('first'); sys.exit('the disk is gone')"), "ended with 1: the disk is gone"),
        ((*PYTHON, "import os; os.kill(os.getpid(), 9)"), "ended with -9: no word"),
        ((*PYTHON, "print('nonsense')"), "said what is no answer"),
        (("/none/probe",), "could not be started"),
    ],
    ids=["it fails", "it is killed", "nonsense", "it is not there"],
)
def test_trouble_in_its_own_words(command: tuple[str, ...], words: str) -> None:
    facts, trouble = run_probe(command)
    assert words in trouble
    assert facts == MachineFacts()


def test_one_that_hangs_is_given_up() -> None:
    began = time.monotonic()
    _, trouble = run_probe((*PYTHON, "import time; time.sleep(60)"), within_s=0.2)
    assert "did not end within 0.2 s" in trouble
    assert time.monotonic() - began < 10


def test_what_it_says_is_taken() -> None:
    facts, trouble = run_probe((*PYTHON, """print('{"kernel": "6.1", "from_the_future": 1}')"""))
    assert (facts.kernel, trouble) == ("6.1", "")
