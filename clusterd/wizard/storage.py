"""Can every possible owner reach this file? Pure.

Three kinds of storage do: a disk of the cluster, which goes along with the group; a file system that comes over the network;
and a cluster-managed volume that says of itself on each node that it is the same. Anything else is a local file, even where
another node has a file of the same name. Nodes that share one machine see each other's files: good for a lab, and said.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from clusterd.wizard.facts import FileFacts
from clusterd.wizard.surroundings import ClusterDisk, Surroundings

NETWORK_FILE_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "glusterfs", "fuse.glusterfs", "fuse.cephfs", "gfs2", "ocfs2"}
)


@dataclass(frozen=True, slots=True)
class Placed:
    """Where one file lies for a set of nodes."""

    path: str
    role: str
    disk: ClusterDisk | None = None
    refusal: str = ""
    is_unseen: bool = False
    """It is on a disk of the cluster that is mounted nowhere now: nobody could look at it."""
    needs_one_machine: bool = False
    """Every possible owner sees it, but only because they are on one machine."""


def placed(
    path: str,
    seen: Mapping[str, FileFacts | None],
    machines: Mapping[str, str],
    around: Surroundings,
) -> Placed:
    """`seen` has each possible owner's facts of the file (None: it could not say), `machines` each node's machine."""
    known = [each for each in seen.values() if each is not None]
    role = known[0].role if known else "file"
    wanted = {each.wanted_volume for each in known if each.wanted_volume}
    disk = disk_under(path, list(seen), around, wanted)
    mismatch = _volume_mismatch(seen)
    if mismatch:
        return Placed(path, role, disk, refusal=mismatch)
    if disk is not None:
        there = seen.get(disk.online_on)
        if there is not None and there.trouble:
            told = f"{role} {path} is not to be had on {disk.online_on}, where disk {disk.resource} is online"
            return Placed(path, role, disk, refusal=f"{told}: {there.trouble}")
        return Placed(path, role, disk, is_unseen=all(each.trouble for each in known))
    missing = {node: each for node, each in seen.items() if each is None or each.trouble}
    if missing:
        told = "; ".join(
            f"on {node}: {each.trouble if each else 'not there'}" for node, each in sorted(missing.items())
        )
        return Placed(path, role, refusal=f"{role} {path} is not to be had {told}")
    return _reachable(path, role, {node: each for node, each in seen.items() if each is not None}, machines)


def disk_under(
    path: str, nodes: Sequence[str], around: Surroundings, volumes: Collection[str] = ()
) -> ClusterDisk | None:
    """The disk of the cluster that holds the path or is the volume; the innermost one of disks mounted inside others."""
    found = [
        disk
        for disk in around.disks
        if any(disk.covers(path, node) for node in nodes) or (disk.volume and disk.volume in volumes)
    ]
    return max(found, key=lambda disk: len(disk.mount_point or disk.place), default=None)


def disks_around(disk: ClusterDisk, nodes: Sequence[str], around: Surroundings) -> list[ClusterDisk]:
    """Disks that hold the folder on which this one is mounted."""
    if not disk.mount_point:
        return []
    folders = {node: disk.mount_point.replace("{node}", node) for node in nodes}
    return [
        other
        for other in around.disks
        if other.resource != disk.resource
        and other.mount_point.rstrip("/") != disk.mount_point.rstrip("/")
        and any(other.covers(folder, node) for node, folder in folders.items())
    ]


def _reachable(path: str, role: str, seen: Mapping[str, FileFacts], machines: Mapping[str, str]) -> Placed:
    files = list(seen.values())
    if len(files) <= 1:
        return _alone(path, role, files)
    if files[0].volume and len({each.volume for each in files}) == 1:
        return Placed(path, role)
    network = {(each.file_system, each.source) for each in files}
    if len(network) == 1 and files[0].file_system in NETWORK_FILE_SYSTEMS:
        return Placed(path, role)
    same = {(machines.get(node, node), each.identity) for node, each in seen.items()}
    if len(same) == 1:
        return Placed(path, role, needs_one_machine=True)
    where = "; ".join(
        f"on {node}: {each.file_system or 'unknown'} {each.source}".rstrip() for node, each in sorted(seen.items())
    )
    return Placed(path, role, refusal=f"{role} {path} is on local storage, a different one on each node ({where})")


def _alone(path: str, role: str, files: Sequence[FileFacts]) -> Placed:
    """One possible owner: nothing has to be reached from anywhere else."""
    return Placed(path, role) if files else Placed(path, role, refusal=f"{role} {path} was found on no node")


def _volume_mismatch(seen: Mapping[str, FileFacts | None]) -> str:
    """The definition names the volume, and the file lies on another: both ids are told."""
    for node, each in sorted(seen.items()):
        if each is not None and not each.trouble and each.wanted_volume and each.volume != each.wanted_volume:
            there = f"volume {each.volume}" if each.volume else "no cluster-managed volume"
            return f"{each.role} {each.path} is on {there} on {node}; the definition names volume {each.wanted_volume}"
    return ""
