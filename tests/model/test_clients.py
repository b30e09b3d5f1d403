"""Which commands are clients of another daemon, however they are written?"""

import pytest

from clusterd.model.clients import _BACKGROUND, _NEEDLESS, _OUTSIDE, client_note, clients


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
    assert len(found) == 1 and found[0].startswith(f"web starts {name}: only that client is watched and ended")
    assert "; instead: " in found[0]


@pytest.mark.parametrize(
    ("command", "names"),
    [
        (["nohup", "server"], ["nohup"]),
        (["setsid", "server"], ["setsid"]),
        (["setsid", "-f", "docker", "run", "x"], ["docker", "setsid"]),
        (["daemonize", "-p", "/run/x.pid", "/usr/sbin/x"], ["daemonize"]),
        (["start-stop-daemon", "--start", "--background", "--exec", "/x"], ["start-stop-daemon"]),
        (["start-stop-daemon", "--start", "--exec", "/x"], []),
        (["sh", "-c", "nohup server >/dev/null 2>&1 &"], ["nohup"]),
        (["nohup", "sh", "-c", "server"], ["nohup"]),
        (["screen", "-dmS", "web", "server"], ["screen"]),
        (["tmux", "new-session", "-d", "server"], ["tmux"]),
        (["podman", "run", "--replace", "web"], ["podman"]),
        (["ssh", "-N", "-L", "80:far:80", "far"], []),
    ],
)
def test_what_leaves_the_foreground(command: list[str], names: list[str]) -> None:
    assert [each.name for each in clients({"command": command})] == names


def test_what_forks_away_on_purpose_is_not_told() -> None:
    assert clients({"command": ["daemonize", "x"], "forking": True}) == []
    assert clients({"command": ["docker", "run", "-d", "x"], "forking": True}) != []


def test_every_one_has_something_to_use_instead() -> None:
    found = [
        each for name in sorted({*_OUTSIDE, *_BACKGROUND, *_NEEDLESS}) for each in clients({"command": [name, "-b"]})
    ]
    assert len(found) == len({*_OUTSIDE, *_BACKGROUND, *_NEEDLESS})
    assert all(each.because and each.instead for each in found)


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
