"""How is everything that a resource starts found and killed as a whole? I/O.

One interface, two kinds. `cgroup`: control groups with `cgroup.kill`; a workload is born in its group (containment_fork),
so nothing can be outside it. `process-tree`: for nodes that may not make control groups; what is ours is found by an
environment tag and by descent from the node's own processes, which are subreapers. Both kinds tag, so that strays are
found whatever happened before.

Scopes nest as the node does: node > incarnation > host > resource of one generation. Killing a scope kills all below it.
"""

import os
from collections.abc import Callable, Iterable
from typing import Protocol

from clusterd.adapters.containment_adopted import WithAdopted, adopt
from clusterd.adapters.containment_cgroup import CgroupScope, usable_cgroup
from clusterd.adapters.containment_proc import TAG_VARIABLE, ProcessSeen
from clusterd.adapters.containment_tree import TreeScope

KIND_VARIABLE = "CLUSTERD_CONTAINMENT"
CGROUP = "cgroup"
PROCESS_TREE = "process-tree"
HOST_ITSELF = "+host"
"""Beside the resources of a host; '+' cannot begin the name of one."""

Roots = Callable[[], Iterable[int]]
Keepers = Callable[[], Iterable[ProcessSeen]]
"""Processes below which everything belongs to a resource, and which do not themselves."""


def no_roots() -> Iterable[int]:
    return ()


class Scope(Protocol):
    """Everything that was started in one part of a node."""

    def create(self) -> None:
        """Make it ready to start something in. Repeating it is harmless."""

    def birthplace(self) -> str | None:
        """The control group to be born in; None when this kind needs none."""

    def members(self) -> list[int]:
        """Every process in it that runs, as far as this kind can know."""

    def kill(self) -> None:
        """SIGKILL for everything in it. Look at `is_empty` until it is, and repeat."""

    def is_empty(self) -> bool: ...

    def remove(self) -> None:
        """Give it back once it is empty."""


class NodeContainment:
    """The containments of one node, named by its run directory."""

    def __init__(self, run_dir: str, kind: str, cgroup_root: str | None = None) -> None:
        self.kind = kind
        self._run_dir = run_dir
        self.node_key = node_key(run_dir)
        self._root = os.path.join(cgroup_root, f"clusterd-{self.node_key}") if cgroup_root else None

    @classmethod
    def of(cls, run_dir: str) -> "NodeContainment":
        """The best kind that works here; the environment may ask for `process-tree`, or insist on `cgroup`."""
        asked = os.environ.get(KIND_VARIABLE, "")
        root = None if asked == PROCESS_TREE else usable_cgroup()
        if root is None and asked == CGROUP:
            raise OSError(f"{KIND_VARIABLE}={CGROUP}, but this process may not make a cgroup v2 with cgroup.kill")
        return cls(run_dir, CGROUP if root else PROCESS_TREE, root)

    @classmethod
    def at(cls, run_dir: str, cgroup: str) -> "NodeContainment":
        """The kind that a parent found: `cgroup` is its root, or empty for `process-tree`."""
        return cls(run_dir, CGROUP if cgroup else PROCESS_TREE, cgroup or None)

    @property
    def cgroup_root(self) -> str:
        return os.path.dirname(self._root) if self._root else ""

    def node(self, roots: Roots = no_roots) -> Scope:
        return self._scope(roots)

    def incarnation(self, incarnation: str, roots: Roots = no_roots) -> Scope:
        return self._scope(roots, incarnation)

    def host(self, incarnation: str, host_id: str, roots: Roots = no_roots) -> Scope:
        return self._scope(roots, incarnation, host_id)

    def host_itself(self, incarnation: str, host_id: str) -> Scope:
        return self._scope(no_roots, incarnation, host_id, HOST_ITSELF)

    def resource(
        self,
        incarnation: str,
        host_id: str,
        resource: str,
        generation: int,
        roots: Roots = no_roots,
        keepers: Keepers = tuple,
    ) -> Scope:
        return self._scope(roots, incarnation, host_id, f"{resource}.{generation}", keepers=keepers)

    def part_of_resource(
        self,
        incarnation: str,
        host_id: str,
        resource: str,
        generation: int,
        part: str,
        roots: Roots,
        keepers: Keepers,
    ) -> Scope:
        return self._scope(roots, incarnation, host_id, f"{resource}.{generation}", part, keepers=keepers)

    def tag(self, *parts: str) -> dict[str, str]:
        """The environment that makes a process and all its descendants findable."""
        return {TAG_VARIABLE: _tag(self.node_key, *parts)}

    def _scope(self, roots: Roots, *parts: str, keepers: Keepers = tuple) -> Scope:
        own: Scope = TreeScope(_tag(self.node_key, *parts), roots, keepers)
        if self._root is not None:
            own = CgroupScope(os.path.join(self._root, *parts))
        return WithAdopted(own, self._run_dir, parts)

    def adopt(self, incarnation: str, host_id: str, resource: str, generation: int, group: str) -> None:
        """Make somebody else's control group part of a resource's containment. Raises OSError where that is impossible."""
        adopt(self._run_dir, (incarnation, host_id, f"{resource}.{generation}"), group)

    def strays(self, *parts: str, roots: Roots = no_roots) -> Scope:
        """The same part of the node by tag and descent, whatever the kind: finds what left its control group."""
        return TreeScope(_tag(self.node_key, *parts), roots)


def node_key(run_dir: str) -> str:
    """Short, unique for each node of a machine, and the same in every process of the node."""
    key = 0xCBF29CE484222325  # FNV-1a; hashlib would cost the guard 4 MiB of OpenSSL
    for byte in os.fsencode(os.path.realpath(run_dir)):
        key = (key ^ byte) * 0x100000001B3 & 0xFFFF_FFFF_FFFF_FFFF
    return f"{key:016x}"


def _tag(*parts: str) -> str:
    """Each part ends with ':', so that the tag of a part is a prefix of the tags of what is in it."""
    return "".join(f"{part}:" for part in parts)
