"""How does a resource host come to life below the guard? I/O.

It is born in its own control group, in a session of its own, with the node's tag, and holds one end of a socket pair on
which it gets each new lease deadline. It answers there once, when its socket listens. The end of that pair is the end of
the guard.
"""

import os
import socket
import sys
from dataclasses import dataclass
from hashlib import blake2b

from clusterd.adapters.call_record import forget_record, record_path, recorded_calls
from clusterd.adapters.containment import HOST_ITSELF, NodeContainment
from clusterd.adapters.containment_fork import Birth, bear
from clusterd.adapters.frames import framed
from clusterd.wire import host_pb2

READY_WITHIN_MS = 15_000
SOCKET_NAME_BYTES_MAX = 31
"""A run folder leaves that much of the 107 bytes that the kernel takes for the path of a socket."""


@dataclass(frozen=True, slots=True)
class NodeIdentity:
    cluster: str
    node: str
    run_dir: str
    run_id: str
    plugin_dirs: tuple[str, ...]
    descriptor_limit: int | None = None
    """What the node was started with, for its workloads."""


@dataclass(slots=True)
class HostProcess:
    host_id: str
    pid: int
    socket_path: str
    lease_socket: socket.socket
    ready_until_ms: int
    record_path: str
    is_ready: bool = False
    is_on_request: bool = False
    """Its daemon wanted it to end."""

    def give_lease(self, incarnation: str, deadline_ms: int) -> None:
        """A host that does not read (stopped, say) misses updates and then ends at an older deadline: the safe side.

        One that closed its end is dying: it gets no more, and is reaped when its process ends.
        """
        if self.lease_socket.fileno() < 0:
            return
        update = host_pb2.LeaseUpdate(incarnation=incarnation, deadline_ms=deadline_ms)
        try:
            self.lease_socket.send(framed(update.SerializeToString()))
        except (BlockingIOError, ConnectionError):
            return

    def started(self) -> host_pb2.HostStarted:
        return host_pb2.HostStarted(host_id=self.host_id, pid=self.pid, socket_path=self.socket_path)

    def ended(self, because: str) -> host_pb2.HostEnded:
        """What there is to say of it once it is gone. What it was loading is left to the next host of that name, if that
        ended it."""
        calls = recorded_calls(self.record_path)
        kind = host_pb2.HOST_END_KIND_BY_ITSELF if self.is_ready else host_pb2.HOST_END_KIND_NEVER_UP
        if self.is_on_request:
            kind = host_pb2.HOST_END_KIND_ON_REQUEST
            forget_record(self.record_path)
        return host_pb2.HostEnded(
            host_id=self.host_id,
            because=because,
            workloads_gone=True,
            kind=kind,
            has_calls=calls is not None,
            calls=[host_pb2.HostedCall(resource=each.resource, verb=each.verb) for each in calls or ()],
        )


def host_id_problem(host_id: str) -> str:
    if (
        not host_id
        or len(host_id) > 63
        or not all(each.isascii() and (each.isalnum() or each in "._-") for each in host_id)
    ):
        return "a host id has 1 to 63 letters, digits, '.', '_' and '-'"
    if host_id.startswith("."):
        return "a host id does not begin with '.'"
    return ""


def socket_name(host_id: str) -> str:
    """Of a long id the digest: whoever needs the path is told it."""
    name = f"host-{host_id}.sock"
    if len(name) <= SOCKET_NAME_BYTES_MAX:
        return name
    return f"host-{blake2b(host_id.encode(), digest_size=8).hexdigest()}.sock"


def start_host(
    host_id: str, identity: NodeIdentity, containment: NodeContainment, incarnation: str, now_ms: int
) -> HostProcess:
    """Raises OSError when it cannot even be forked; what fails later is seen as the host's end."""
    socket_path = os.path.join(identity.run_dir, socket_name(host_id))
    scope = containment.host_itself(incarnation, host_id)
    scope.create()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    report, report_write = os.pipe2(os.O_CLOEXEC)
    try:
        ours.setblocking(False)
        environment = {**os.environ, **containment.tag(incarnation, host_id, HOST_ITSELF)}
        argv = _argv(host_id, socket_path, identity, containment, incarnation, theirs.fileno())
        birth = Birth(
            sys.executable,
            argv,
            environment,
            cgroup=scope.birthplace(),
            kept=(theirs.fileno(),),
            descriptor_limit=identity.descriptor_limit,
        )
        pid = bear(birth, report_write)
    except OSError:
        ours.close()
        raise
    finally:
        theirs.close()
        os.close(report_write)
        os.close(report)
    written_down = record_path(identity.run_dir, host_id)
    return HostProcess(host_id, pid, socket_path, ours, now_ms + READY_WITHIN_MS, written_down)


def _argv(
    host_id: str,
    socket_path: str,
    identity: NodeIdentity,
    containment: NodeContainment,
    incarnation: str,
    lease_descriptor: int,
) -> list[str]:
    argv = [sys.executable, "-m", "clusterd.main.host", "--host-id", host_id, "--socket", socket_path]
    argv += ["--incarnation", incarnation, "--cluster", identity.cluster, "--node", identity.node]
    argv += ["--run-dir", identity.run_dir, "--cgroup", containment.cgroup_root]
    argv += ["--lease-descriptor", str(lease_descriptor), "--guard-pid", str(os.getpid())]
    for folder in identity.plugin_dirs:
        argv += ["--plugins", folder]
    return argv
