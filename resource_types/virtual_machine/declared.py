"""Which properties does a virtual machine have? Pure."""

from enum import StrEnum

from clusterd.resource_api import Property, PropertyKind


class OfflineAction(StrEnum):
    TURN_OFF = "turn-off"
    SAVE = "save"
    SHUT_DOWN = "shut-down"
    FORCED_SHUT_DOWN = "forced-shut-down"


PROPERTIES = (
    Property(
        "configuration",
        PropertyKind.TEXT,
        "absolute path of the definition, or the name of one in /etc/clusterd/machines",
        required=True,
        aliases=("definition",),
    ),
    Property(
        "offline_action",
        PropertyKind.CHOICE,
        "what offline and a move that is not live do: save keeps the memory in a file and falls back on shut-down; "
        "shut-down presses the power button, forced-shut-down also orders it through the guest agent; both fall back on "
        "turn-off",
        default="save",
        choices=tuple(str(each) for each in OfflineAction),
        aliases=("OfflineAction",),
    ),
    Property(
        "default_move_type",
        PropertyKind.CHOICE,
        "how a move goes that nobody asked for by name (a drain, a failback); by-priority: live from the cluster's "
        "move_type_threshold on, quick below it",
        default="by-priority",
        choices=("by-priority", "live", "quick", "shutdown", "turn-off"),
        aliases=("DefaultMoveType",),
    ),
    Property(
        "offline_timeout",
        PropertyKind.DURATION,
        "a guest that has not switched itself off by then is turned off",
        default=60_000,
        minimum=0,
        unit="ms",
        is_waited_for=True,
    ),
    Property(
        "shutdown_action",
        PropertyKind.CHOICE,
        "what a guest that switches itself off is: offline, and stays it, or failed, and is restarted",
        default="offline",
        choices=("offline", "failed"),
        aliases=("ShutdownAction",),
    ),
    Property(
        "check_heartbeat",
        PropertyKind.BOOLEAN,
        "a guest whose agent answered once and does not any more has failed; needs guest_agent in the definition",
        default=True,
        aliases=("CheckHeartbeat",),
    ),
    Property(
        "heartbeat_timeout",
        PropertyKind.DURATION,
        "how long the guest agent may take to answer",
        default=10_000,
        minimum=100,
        unit="ms",
    ),
    Property(
        "check_timeout",
        PropertyKind.DURATION,
        "a QEMU whose monitor does not answer for that long has failed",
        default=5_000,
        minimum=100,
        unit="ms",
    ),
    Property(
        "saved_state_folder",
        PropertyKind.TEXT,
        "where the memory is saved; every possible owner must reach it. Empty: beside the definition",
        default="",
    ),
    Property(
        "run_folder",
        PropertyKind.TEXT,
        "where the sockets of running machines are; a short local path",
        default="",
    ),
    Property(
        "accelerator",
        PropertyKind.CHOICE,
        "tcg emulates and runs everywhere; kvm is refused where it does not really run guests",
        default="tcg",
        choices=("tcg", "kvm"),
    ),
    Property(
        "migration_network",
        PropertyKind.TEXT,
        "network (10.0.0.0/24) in which every node has an address for live migration. Empty: a Unix socket, which joins "
        "only nodes on one machine",
        default="",
    ),
    Property(
        "migration_bandwidth_mib",
        PropertyKind.INTEGER,
        "MiB a second that a live migration may take; 0 is no limit",
        default=0,
        minimum=0,
        maximum=1 << 20,
    ),
    Property(
        "migration_timeout",
        PropertyKind.DURATION,
        "how long a live migration may go on after all memory was sent once, if the guest writes faster than the rest is "
        "sent; then it stays where it is, and what must leave all the same (a drain) goes by a quick move. 0: no limit",
        default=600_000,
        minimum=0,
        unit="ms",
    ),
    Property(
        "migration_downtime",
        PropertyKind.DURATION,
        "how long the guest may stand still at the end of a live migration; smaller may never end with a busy guest",
        default=30,
        minimum=1,
        maximum=10_000,
        unit="ms",
    ),
)
