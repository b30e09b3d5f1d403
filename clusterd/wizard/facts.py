"""What does a node say of the definitions that it has? Pure. The answer of the configuration's resource type, as values."""

import msgspec


class FileFacts(msgspec.Struct, frozen=True):
    """One file that a machine needs, as one node sees it."""

    role: str
    """definition, kernel, `disk system` …"""
    path: str
    trouble: str = ""
    """Why it cannot be used there; then the rest is not known."""
    identity: str = ""
    """Device and inode: the same file on one machine has the same, other files have another."""
    is_block: bool = False
    is_shared: bool = False
    is_read_only: bool = False
    """The machine does not write to it."""
    is_in_use: bool = False
    file_system: str = ""
    source: str = ""
    mount_point: str = ""
    volume: str = ""
    """Id of the cluster-managed volume that it lies on."""
    wanted_volume: str = ""
    """The id that the definition asks for."""
    rests_under: str = ""
    """The image that rests on this one."""
    served_by: str = ""
    """The disk resource that serves it; it has no path then, and nothing else of it is known."""


class DefinitionFacts(msgspec.Struct, frozen=True):
    """One definition, as one node sees it."""

    name: str
    path: str
    trouble: str = ""
    """Why it is not there."""
    problems: tuple[str, ...] = ()
    """What is wrong with its text."""
    memory_mib: int = 0
    cores: int = 0
    fingerprint: str = ""
    has_agent: bool = False
    missing_bridges: tuple[str, ...] = ()
    """What a node of an older version says instead of `lacks`."""
    lacks: tuple[str, ...] = ()
    """What it would need there beside its files, and does not have: a bridge, the permission to use it, a folder."""
    files: tuple[FileFacts, ...] = ()


class NodeDefinitions(msgspec.Struct, frozen=True):
    """All definitions of one node. `machine` is the same for nodes that share a kernel."""

    machine: str = ""
    definitions: tuple[DefinitionFacts, ...] = ()
    saved_state_folders: tuple[FileFacts, ...] = ()
    """Those that were asked for."""


def decode_definitions(data: bytes) -> NodeDefinitions:
    """Raises ValueError for what is no such answer."""
    return msgspec.json.decode(data, type=NodeDefinitions)
