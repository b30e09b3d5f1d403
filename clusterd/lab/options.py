"""What may be asked of `lab up`? Pure. Apart from what lays a lab, which takes long to load."""

import msgspec


class Programs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Other programs than the real ones: argument lists in which `{node}` and the like stand for values of the node."""

    guard: tuple[str, ...] = ()
    daemon: tuple[str, ...] = ()
    host_mark: str = "clusterd.main.host"
    """An argument that resource hosts have, and nothing else has."""
    spawner_mark: str = "/reshost/spawner.py"
    """How an argument ends that only the process has which starts a host's workloads."""


class LabOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `lab up` asks for. `dir` empty: a folder below the root of all labs."""

    name: str
    dir: str = ""
    node_count: int = 3
    profile: str = "default"
    fence: bool = True
    is_attached: bool = False
    """The lab ends when whoever wrote these options closes the launcher's standard input."""
    cgroups: bool = True
    """Use control groups where that is possible; without, processes are found by descent."""
    plugins: tuple[str, ...] = ()
    programs: Programs = Programs()
