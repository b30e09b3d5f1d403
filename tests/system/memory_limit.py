"""A limit for the memory that one process may have: the kernel kills it when it takes more. Needs root."""

from pathlib import Path

_V1 = Path("/sys/fs/cgroup/memory")
_V2 = Path("/sys/fs/cgroup")


class NoLimit(Exception):
    """This machine cannot do that; says why."""


class MemoryLimit:
    """As a context: the limit is there for `pid`, and gone afterwards."""

    def __init__(self, pid: int, size_mib: int) -> None:
        self._pid, self._size = pid, size_mib << 20
        self._made: Path | None = None

    def __enter__(self) -> "MemoryLimit":
        try:
            if (_V1 / "memory.limit_in_bytes").exists():
                self._limit_v1()
            else:
                self._limit_v2()
        except OSError as error:
            raise NoLimit(f"no memory limit can be set for a process here: {error}") from error
        return self

    def __exit__(self, *_: object) -> None:
        if self._made is not None and not (self._made / "cgroup.procs").read_text():
            self._made.rmdir()

    def _limit_v1(self) -> None:
        """A hierarchy of its own: what contains the process stays what it was."""
        parent = _V1 / self._path_in("memory").lstrip("/")
        self._made = parent / f"clusterd-test-{self._pid}"
        self._made.mkdir()
        (self._made / "memory.limit_in_bytes").write_text(str(self._size))
        (self._made / "cgroup.procs").write_text(str(self._pid))

    def _limit_v2(self) -> None:
        """There it already has a group of its own."""
        own = _V2 / self._path_in("").lstrip("/")
        (own / "memory.max").write_text(str(self._size))
        (own / "memory.swap.max").write_text("0")

    def _path_in(self, controller: str) -> str:
        for line in Path(f"/proc/{self._pid}/cgroup").read_text(encoding="utf-8").splitlines():
            _, controllers, path = line.split(":", 2)
            if controller in controllers.split(","):
                return path
        raise OSError(f"process {self._pid} is in no control group of {controller or 'version 2'}")
