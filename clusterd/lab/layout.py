"""Where does a lab keep its things, and how is a running one found? I/O.

    <root>/               private to the user; $CLUSTERD_LAB_ROOT, else in $XDG_RUNTIME_DIR, else in /tmp
      NAME.lock           held by the watcher and the launcher for as long as either lives: until nothing of the lab runs
      NAME.log            what the launcher itself has to say
      NAME/               the lab's folder, or a link to the one that `--dir` named
        lab.json          LabRecord: what others need to reach the lab
        token             what its API asks for
        machines/         what `vm create` made for it
        n1/               node.toml, certificate, data/, logs of its processes

Sockets lie beside lab.json where their paths are short enough for the kernel, else in a short folder of their own.
"""

import os
import stat
import time
from pathlib import Path

import msgspec

from clusterd.lab.locks import ROOT_VARIABLE, lab_root, lock
from clusterd.lab.processes import start_ticks_of
from clusterd.model.errors import BadInput, NotFound, Refused
from clusterd.model.ids import name_problem

RECORD_NAME = "lab.json"
LOCK_WAIT_MAX_MS = 10_000
LOOK_AGAIN_S = 0.01
MACHINES_NAME, MACHINES_MARK = "machines", ".made-for-this-lab"
"""Where `vm create` puts machines of a lab, and what says that they go with it."""


class NodeEntry(msgspec.Struct, frozen=True):
    """One node of a lab: where it answers and where its things are."""

    name: str
    number: int
    api: str
    peer: str
    dir: str
    data_dir: str
    run_dir: str
    configuration: str

    @property
    def api_url(self) -> str:
        return f"http://{self.api}"


class LabRecord(msgspec.Struct, frozen=True):
    """lab.json. `pid` with `pid_start_ticks` is the launcher; the lab runs exactly while that process does."""

    name: str
    dir: str
    pid: int
    pid_start_ticks: int
    profile: str
    fence: bool
    token_file: str
    run_base: str
    nodes: tuple[NodeEntry, ...]
    schema: int = 1

    @property
    def control_socket(self) -> Path:
        return Path(self.run_base) / "control.sock"

    @property
    def fence_socket(self) -> Path:
        return Path(self.run_base) / "fence.sock"

    @property
    def is_running(self) -> bool:
        return start_ticks_of(self.pid) == self.pid_start_ticks

    def token(self) -> str:
        return Path(self.token_file).read_text(encoding="ascii").strip()

    def write(self) -> None:
        """Store it in the lab's folder in one step."""
        path = Path(self.dir) / RECORD_NAME
        half = path.with_name(RECORD_NAME + ".new")
        half.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=2))
        half.chmod(0o600)
        os.replace(half, path)


def make_private(folder: Path) -> None:
    """Make `folder` (mode 0700), or check that an existing one is ours and closed to others. Raises Refused."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise Refused(f"{folder} is not a folder of yours", hint=f"remove it, or set {ROOT_VARIABLE} to another one")
    if found.st_mode & 0o077:
        folder.chmod(0o700)


def check_name(name: str) -> None:
    """Raises BadInput for a name that cannot be a lab's; it becomes part of paths and certificates."""
    problem = name_problem(name)
    if not problem and len(name) > 40:
        problem = "a lab's name has at most 40 characters"
    if not problem and name.endswith((".lock", ".log")):
        problem = f"the file of that name belongs to lab {name.rpartition('.')[0]}"
    if problem:
        raise BadInput(f"{name!r} cannot name a lab: {problem}", hint="try a short word such as demo")


def find_lab(name: str) -> LabRecord:
    """The lab called `name`, running or not. Raises NotFound."""
    check_name(name)
    try:
        return msgspec.json.decode((lab_root() / name / RECORD_NAME).read_bytes(), type=LabRecord)
    except (FileNotFoundError, NotADirectoryError):
        raise NotFound(f"there is no lab {name}", hint=f"clusterctl --lab {name} lab up") from None
    except (msgspec.DecodeError, OSError) as error:
        raise NotFound(f"lab {name} cannot be read: {error}", hint=f"clusterctl --lab {name} lab up") from error


def all_labs() -> list[LabRecord]:
    """Every lab of this user that has a readable record, by name."""
    found = []
    for path in sorted(lab_root().glob(f"*/{RECORD_NAME}")):
        try:
            found.append(msgspec.json.decode(path.read_bytes(), type=LabRecord))
        except (msgspec.DecodeError, OSError):
            continue  # half-made or foreign: not a lab that anybody can use
    return found


def running_labs() -> list[LabRecord]:
    return [each for each in all_labs() if each.is_running]


def lock_when_over(name: str, *, within_ms: int) -> int | None:
    """The lock of a lab. Where its launcher has ended, what that left is still being ended: it is waited for. None: the lab
    runs, or that took too long."""
    until_ns = time.monotonic_ns() + within_ms * 1_000_000
    path = lab_root() / f"{name}.lock"
    while (held := lock(path)) is None:
        if time.monotonic_ns() > until_ns or any(each.name == name for each in running_labs()):
            return None
        time.sleep(LOOK_AGAIN_S)
    return held
