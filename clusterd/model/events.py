"""What can happen that somebody may want to read? Pure.

The catalogue of events. The core never logs: it returns a `Note`, and the shell turns that one record into a log line, a
line of a golden trace and an entry of the timeline. Names are `noun.past-participle`. docs/events.md is made from it.
"""

from dataclasses import dataclass
from typing import Any

from clusterd.model.errors import invariant


@dataclass(frozen=True, slots=True)
class Event:
    """A kind of event: its name, its level (error: a person must act … debug), what it says, and its keys."""

    name: str
    level: str
    says: str
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Note:
    """One occurrence. `values` are the event's keys with what they were."""

    event: Event
    values: tuple[tuple[str, Any], ...]

    def get(self, key: str) -> Any:
        return dict(self.values).get(key)


CATALOGUE: dict[str, Event] = {}


def _event(name: str, level: str, says: str, *keys: str) -> Event:
    invariant(name not in CATALOGUE, f"event {name} is in the catalogue twice")
    event = Event(name, level, says, keys)
    CATALOGUE[name] = event
    return event


def note(event: Event, **values: Any) -> Note:
    """An occurrence of `event`; exactly its keys, so that the catalogue stays true."""
    invariant(set(values) == set(event.keys), f"{event.name} has keys {event.keys}, not {tuple(values)}")
    return Note(event, tuple((key, values[key]) for key in event.keys))


# ---- consensus ----
LEADER_ELECTED = _event("leader.elected", "info", "This node won an election.", "term", "votes")
LEADER_LOST = _event("leader.lost", "warning", "This node is not the leader any more.", "term", "because")
LEADER_GIVES_WAY = _event(
    "leader.gives-way", "info", "This leader offers its place to a voter that reaches more nodes.", "to", "because"
)
LEADER_FOLLOWED = _event("leader.followed", "info", "This node follows a leader.", "leader", "term")
ELECTION_STARTED = _event("election.started", "info", "This node asks for votes.", "term", "pre_vote", "because")
SNAPSHOT_INSTALLED = _event("snapshot.installed", "info", "A snapshot from the leader replaced the log.", "index")
SNAPSHOT_TAKEN = _event("snapshot.taken", "debug", "The log was compacted into a snapshot.", "index", "size_bytes")
LOG_CUT = _event("log.cut", "warning", "An incomplete last record was cut from the log.", "segment", "bytes_cut")
AMNESIA_BEGUN = _event(
    "amnesia.begun",
    "error",
    "This node lost what it promised: it takes the log, but has no part in decisions.",
    "because",
)
AMNESIA_ENDED = _event(
    "amnesia.ended", "info", "The cluster put this node out of the voters: it may be made a voter again.", "index"
)
MARKER_UNREADABLE = _event(
    "marker.unreadable", "warning", "What this node wrote down of its promises cannot be read.", "what", "because"
)
LOG_CONTRADICTED = _event(
    "log.contradicted", "error", "The leader's log differs from what is committed here: this node takes no part.", "leader",
    "index",
)  # fmt: skip
DATA_WENT_BACK = _event(
    "data.went-back", "error", "Committed changes are on one node only: the others went back to older data.", "peer",
    "first_index", "last_index", "nodes",
)  # fmt: skip
DATA_NEEDED = _event(
    "data.needed", "error", "Too few voters have their data: nobody can admit those that lost it. Waiting does not help.",
    "nodes", "restores",
)  # fmt: skip
NODE_DOUBLED = _event(
    "node.doubled", "error", "Two daemons speak as one node: its data folder was copied and runs twice.", "peer",
    "stays", "refused",
)  # fmt: skip
RUN_REFUSED = _event(
    "run.refused", "error", "Another daemon is this node already: this one has no part in the cluster.", "by", "rival"
)
VOTER_REMOVED = _event(
    "voter.removed", "warning", "A voter that lost its data is put out of the voters, to be admitted again.", "peer"
)
VOTER_ADMITTED = _event("voter.admitted", "info", "A node that caught up becomes a voter.", "peer")
STORAGE_MISSING = _event("storage.missing", "error", "This node finds no data of its own.", "what", "hint")
STORAGE_DAMAGED = _event("storage.damaged", "error", "The durable state cannot be trusted.", "what", "hint")
STORAGE_FAILED = _event(
    "storage.failed", "error", "The disk failed under the durable state: the daemon ends.", "what", "hint"
)
DISK_FILLED = _event("disk.filled", "error", "A node's disk has no room for what must be durable.", "what", "hint")
DISK_REFUSED = _event("disk.refused", "error", "A node's disk takes no writes for now.", "what", "hint")
DISK_FAILED = _event("disk.failed", "error", "A node's disk failed: its daemon ends.", "what", "hint")
DISK_SLOWED = _event("disk.slowed", "warning", "A node's disk is slow to make writes durable.", "took_ms")
DISK_RECOVERED = _event("disk.recovered", "info", "A node's disk is well again.", "was")
DIGEST_DIFFERED = _event("digest.differed", "error", "Two replicas differ at one revision.", "peer", "revision")

# ---- membership ----
LINK_OPENED = _event("link.opened", "info", "The stream to a peer is open.", "peer")
LINK_BROKEN = _event("link.broken", "info", "The stream to a peer ended. Not yet evidence of anything.", "peer")
DATAGRAMS_UNAVAILABLE = _event(
    "datagrams.unavailable",
    "warning",
    "Heartbeats go over streams only: they suffer more from packet loss.",
    "because",
)
NODE_SUSPECTED = _event(
    "node.suspected", "warning", "A node has been silent past the limit.", "peer", "silent_ms", "silence_max_ms"
)
NODE_MUTED = _event(
    "node.muted", "warning", "A node is heard, but no stream carries anything between it and this node.", "peer"
)
NODE_JOINED = _event("node.joined", "info", "A node's incarnation was admitted.", "peer", "incarnation")
NODE_EXPELLED = _event("node.expelled", "warning", "A node may renew its run lease no more.", "peer", "because")
NODE_ENDED = _event("node.ended", "warning", "It is proven that a node runs nothing any more.", "peer", "evidence")
LEASE_GAINED = _event("lease.gained", "info", "This node may run workloads.", "incarnation", "deadline_ms")
LEASE_LOST = _event("lease.lost", "error", "The run lease ran out: everything here is stopped.", "incarnation")
LOOP_LATE = _event(
    "loop.late", "warning", "This node itself was not running; silence of others is discounted.", "late_ms"
)
QUORUM_LOST = _event("quorum.lost", "error", "Too few voters can be reached to commit anything.", "reachable", "needed")
QUORUM_GAINED = _event("quorum.gained", "info", "Enough voters can be reached.", "reachable", "needed")
FENCE_ASKED = _event("fence.asked", "info", "A fence agent was asked about a node's run.", "peer", "run_id", "verb")
FENCE_ANSWERED = _event("fence.answered", "info", "A fence agent answered.", "peer", "run_id", "answer")

# ---- groups and resources ----
GROUP_ASSIGNED = _event(
    "group.assigned", "info", "A group was given to a node.", "group", "owner", "generation", "because"
)
GROUP_RELEASE_ORDERED = _event(
    "group.release-ordered", "info", "The owner was told to give a group up.", "group", "owner", "because"
)
GROUP_RELEASED = _event("group.released", "info", "The owner runs nothing of a group any more.", "group", "generation")
GROUP_BLOCKED = _event(
    "group.blocked", "error", "A group rests in failure; it is tried again later.", "group", "because"
)
GROUP_HELD = _event("group.held", "info", "A group waits before it starts.", "group", "because")
GROUP_STARTED = _event("group.started", "info", "A group that waited may start.", "group", "owner")
GROUP_PREEMPTED = _event(
    "group.preempted", "warning", "A group was taken offline to make room for a more important one.", "group", "because"
)
GROUP_SET_READIED = _event("group-set.readied", "info", "What waits for a group set may start.", "set")
MOVE_QUEUED = _event("move.queued", "info", "A move waits until nothing forbids it.", "group", "because")
MIGRATION_ORDERED = _event(
    "migration.ordered", "info", "A group is to be handed over to another node while it runs.", "group", "because"
)
MIGRATION_READY = _event("migration.ready", "info", "A node is ready to take a running group over.", "group")
MIGRATION_MOVED = _event("migration.moved", "info", "A running group went on at another node.", "group")
MIGRATION_FAILED = _event(
    "migration.failed", "warning", "A live migration fell through: the group runs where it was.", "group", "because"
)
STORAGE_FENCE_ORDERED = _event(
    "storage-fence.ordered",
    "warning",
    "A node is to make the storage of a group refuse its lost owner.",
    "group",
    "because",
)
STORAGE_FENCED = _event("storage.fenced", "info", "The storage of a group refuses its lost owner.", "group")
STORAGE_FENCE_FAILED = _event(
    "storage-fence.failed", "warning", "The storage of a group could not be made to refuse its lost owner.", "group",
    "because",
)  # fmt: skip
MOVE_GIVEN_UP = _event("move.given-up", "warning", "A move was not carried out.", "group", "because")
DRAIN_BEGUN = _event("drain.begun", "info", "The groups of a node begin to leave it.", "node")
DRAIN_COMPLETED = _event("drain.completed", "info", "A drained node has no groups any more.", "node")
DRAIN_FAILED = _event("drain.failed", "error", "Some groups cannot leave a drained node.", "node", "because")
CLUSTER_FORMED = _event("cluster.formed", "info", "The cluster came up with nothing running: a cold start.", "number")
NODE_QUARANTINED = _event(
    "node.quarantined", "error", "A node was lost too often and gets no groups for a while.", "peer", "until"
)
GROUP_UNPLACED = _event("group.unplaced", "error", "No node can take a group.", "group", "because")
GROUP_STATE_CHANGED = _event(
    "group.state-changed", "info", "A group's state changed.", "group", "was", "now", "because"
)
RESOURCE_STATE_CHANGED = _event(
    "resource.state-changed", "info", "A resource changed state.", "group", "resource", "was", "now", "because"
)
RESOURCE_RESTARTED = _event(
    "resource.restarted", "warning", "A failed resource is restarted in place.", "group", "resource", "used", "limit"
)
RESOURCE_STUCK = _event("resource.stuck", "error", "Something could not be stopped.", "group", "resource", "evidence")
EMBEDDED_FAILURE_REPORTED = _event(
    "embedded-failure.reported", "warning", "The workload inside a resource complains.", "group", "resource", "because"
)
EMBEDDED_FAILURE_ENDED = _event(
    "embedded-failure.ended", "info", "The workload inside a resource complains no more.", "group", "resource"
)
CONCERN_RAISED = _event(
    "concern.raised",
    "warning",
    "A resource runs, and something about it needs a person.",
    "group",
    "resource",
    "because",
)
CONCERN_ENDED = _event("concern.ended", "info", "What needed a person is over.", "group", "resource")
TYPE_VERSIONS_DIFFER = _event(
    "type.versions-differ",
    "warning",
    "Resource hosts of one node offer different versions of a type.",
    "type",
    "versions",
)
PLUGIN_REFUSED = _event(
    "plugin.refused",
    "error",
    "A plug-in, or a folder of them, is not loaded on a node.",
    "because",
)
PROPOSAL_REFUSED = _event(
    "proposal.refused",
    "error",
    "What this node proposed can never be taken as it is, and is not offered again like that.",
    "what",
    "because",
)
HEALTH_UNKNOWN = _event(
    "health.unknown",
    "warning",
    "The checks of a resource that is online break, or cannot tell whether it is well.",
    "group",
    "resource",
    "because",
)
HEALTH_KNOWN = _event("health.known", "info", "The checks of a resource can tell again.", "group", "resource")
RESOURCE_WARNED = _event(
    "resource.warned", "warning", "A resource type warns of something.", "group", "resource", "because"
)
HANDS_OFF_ENTERED = _event(
    "hands-off.entered",
    "info",
    "Maintenance is in force: what fails is said, and nothing is touched.",
    "what",
    "because",
)
HANDS_OFF_LEFT = _event("hands-off.left", "info", "Maintenance is not in force any more.", "what", "because")
STALE_REFUSED = _event("stale.refused", "warning", "An old generation or incarnation was refused.", "what", "count")

# ---- processes of the node ----
GUARD_CONNECTED = _event("guard.connected", "info", "The guard answered.", "incarnation", "containment")
CONTAINMENT_WEAK = _event(
    "containment.weak",
    "warning",
    "This node cannot make control groups: workloads are held by processes that keep what they leave. What kills its keeper "
    "gets away until its host or the run lease ends; when the guard is killed, so does what has cleared its environment.",
    "containment",
)
GUARD_LOST = _event("guard.lost", "error", "The guard is gone, and with it everything that ran here.", "because")
INCARNATION_ENDED = _event("incarnation.ended", "warning", "A run of the guard is over.", "incarnation", "because")
RESOURCE_SET_APART = _event(
    "resource.set-apart", "warning", "A resource that ended its host, or hung in it, has a host of its own from now on."
)
HOST_STARTED = _event("host.started", "info", "A resource host is running.", "host", "pid")
HOST_ENDED = _event("host.ended", "warning", "A resource host is gone.", "host", "because")
HOST_HUNG = _event("host.hung", "error", "A call did not return: its host is killed.", "host", "resource", "call")
DAEMON_STARTED = _event("daemon.started", "info", "The node daemon is running.", "version", "run", "pid")
DAEMON_STOPPED = _event("daemon.stopped", "info", "The node daemon ended in order.", "because")
PEER_REFUSED = _event("peer.refused", "warning", "A peer was turned away.", "peer", "because")

# ---- operators ----
CONFIGURATION_APPLIED = _event("configuration.applied", "info", "An operator changed the configuration.", "what", "by")
MOVE_ASKED = _event("move.asked", "info", "An operator asked to move a group.", "group", "target", "by")
WANTED_CHANGED = _event("wanted.changed", "info", "An operator changed what is wanted.", "what", "now", "by")
FAILURE_SIMULATED = _event("failure.simulated", "info", "An operator asked a resource to fail.", "resource", "by")
MOVE_CANCELLED = _event("move.cancelled", "info", "An operator took back a move.", "group", "by")
PAUSE_ASKED = _event("pause.asked", "info", "An operator paused a node.", "peer", "by")
DRAIN_ASKED = _event("drain.asked", "info", "An operator asked to empty a node.", "peer", "target", "by")
RESUME_ASKED = _event("resume.asked", "info", "An operator ended the pause of a node.", "peer", "failback", "by")
STOP_ASKED = _event("stop.asked", "info", "An operator asked a node to stop.", "peer", "by")
QUARANTINE_CLEARED = _event("quarantine.cleared", "info", "An operator ended a node's quarantine.", "peer", "by")
NODE_FENCE_ASKED = _event("node-fence.asked", "warning", "An operator asked to end a node's run.", "peer", "by")
CLAIMS_CLEAR_ASKED = _event(
    "claims.clear-asked", "info", "An operator wants claims of others on a disk ended.", "resource", "claims", "by"
)
CLAIMS_CLEARED = _event("claims.cleared", "info", "Claims of others on a disk were ended.", "resource", "claims", "by")
CLAIMS_KEPT = _event("claims.kept", "warning", "Claims on a disk could not be ended.", "resource", "because", "by")
RESTART_ASKED = _event("restart.asked", "info", "An operator asked to restart a resource.", "resource", "by")
KILL_ASKED = _event("kill.asked", "warning", "An operator asked to kill what is left of a resource.", "resource", "by")
MAINTENANCE_BEGUN = _event("maintenance.begun", "info", "An operator wants hands kept off.", "what", "because", "by")
MAINTENANCE_ENDED = _event("maintenance.ended", "info", "An operator ended maintenance.", "what", "by")
REQUEST_FAILED = _event("request.failed", "error", "The API failed on a request.", "method", "path", "error")
