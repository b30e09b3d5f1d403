"""Pure. Who is alive, who may run workloads, and how long: heartbeats, suspicion, run leases, refusals, relays."""

from clusterd.membership.acknowledger import Acknowledger
from clusterd.membership.commanding import Commanding
from clusterd.membership.detector import Detector, Silence, Suspicion
from clusterd.membership.lease import ConfigurationId, RunLease
from clusterd.membership.reach import better_connected
from clusterd.membership.relay import choose_relay
from clusterd.membership.sendings import Sendings

__all__ = [
    "Acknowledger",
    "Commanding",
    "ConfigurationId",
    "Detector",
    "RunLease",
    "Sendings",
    "Silence",
    "Suspicion",
    "better_connected",
    "choose_relay",
]
