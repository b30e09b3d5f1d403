"""Which gRPC settings do peers use, and why? I/O (names only).

Only application heartbeats decide whether a node lives, and a stream that brings none is replaced by another (peer_links).
gRPC's own keepalive is off: under packet loss it broke streams that were about to go on, and what it broke looked to the
other side like the death of this one.
"""

NEVER_MS = 2**31 - 1

CHANNEL_OPTIONS: tuple[tuple[str, int], ...] = (
    # The default lets two daemons bind one port, silently, and share its connections.
    ("grpc.so_reuseport", 0),
    # Bandwidth probing costs a third of the processor time of a small message.
    ("grpc.http2.bdp_probe", 0),
    # What is lost is repeated by the core, which knows what is still worth repeating.
    ("grpc.enable_retries", 0),
    # This also keeps gRPC from setting TCP_USER_TIMEOUT, by which the kernel would break them.
    ("grpc.keepalive_time_ms", NEVER_MS),
    ("grpc.max_receive_message_length", 16 << 20),
    ("grpc.max_send_message_length", 16 << 20),
)

SERVER_OPTIONS: tuple[tuple[str, int], ...] = (
    *CHANNEL_OPTIONS,
    # Who connects and says nothing holds a descriptor no longer than this (two minutes by default), and not all of them.
    ("grpc.server_handshake_timeout_ms", 2000),
    ("grpc.max_allowed_incoming_connections", 256),
)

CLIENT_OPTIONS: tuple[tuple[str, int], ...] = (
    *CHANNEL_OPTIONS,
    # Otherwise a new channel inherits the back-off of the one before.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
    # This is really the connect time-out, 20 s by default.
    ("grpc.min_reconnect_backoff_ms", 500),
    # A proxy variable in the environment must not divert the nodes' traffic.
    ("grpc.enable_http_proxy", 0),
)


def client_options(target_name: str) -> list[tuple[str, str | int]]:
    """For a channel that dials an address and verifies a name."""
    return [*CLIENT_OPTIONS, ("grpc.ssl_target_name_override", target_name)]
