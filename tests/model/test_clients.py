"""Which commands are clients of another daemon, however they are written?"""

import pytest

from clusterd.model.clients import client_note


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (["docker", "run", "--rm", "web"], "docker"),
        (["/usr/bin/docker", "start", "-a", "web"], "docker"),
        (["systemd-run", "--scope", "server"], "systemd-run"),
        (["env", "A=b", "docker", "run", "x"], "docker"),
        (["sudo", "-E", "nice", "docker", "run", "x"], "docker"),
        (["sh", "-c", "cd /srv && exec docker run x"], "docker"),
        (["bash", "-e", "-c", "A=1 kubectl apply -f x; sleep 9"], "kubectl"),
        (["sh", "-c", "(ssh far server) &"], "ssh"),
        (["systemctl", "start", "web"], "systemctl"),
    ],
)
def test_a_client_is_told(command: list[str], name: str) -> None:
    found = client_note({"command": command}, "web")
    assert len(found) == 1 and found[0].startswith(f"web starts {name}, and only that client is watched")


@pytest.mark.parametrize(
    "private",
    [
        {},
        {"command": []},
        {"command": "docker run"},
        {"command": [1]},
        {"command": ["server", "docker"]},
        {"command": ["sh", "-c"]},
        {"command": ["sh", "-c", "echo 'docker run"]},
        {"command": ["sh", "-c", "server --name docker"]},
        {"command": ["sh", "/srv/docker"]},
        {"command": ["env"]},
        {"unit": "docker"},
        None,
    ],
)
def test_everything_else_is_not(private: object) -> None:
    assert client_note(private, "web") == []
