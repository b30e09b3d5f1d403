"""Which properties of the reference can an operator not set here, and why? Pure. A table.

Everything that the reference lists as settable is either in the catalogue or here, so that a name which somebody knows is
answered with a reason. A property that is accepted and does nothing would be a lie.
"""

from collections.abc import Mapping
from types import MappingProxyType

from clusterd.model.setting import Scope

_ISOLATION = "nodes keep no workloads without their lease until storage fencing is verified, so there is nothing to set"
_WANTED = "what is wanted survives every restart already: use 'online' and 'offline'"
_NO_MEANING = "the reference gives it no meaning"
_OBSOLETE = "the reference itself supports it no longer"
_ONE_SUBNET = "all nodes are taken for one subnet"
_ONE_SITE = "heartbeats are the same between sites as within one"
_NO_WITNESS = "there is no witness"
_NO_SHARED_VOLUMES = "there are no shared volumes"
_NO_SMB = "live migration does not go over shares; limit it by migration_bandwidth_mib of the virtual machine"
_MOVES_NOTHING = "what fails over has nothing left to save"
_LOG = "the daemon logs to standard error, and whoever starts it keeps that"
_DUMPS = "nothing is collected when a call hangs"
_TLS = "links between nodes are secured in one way only"
_OWN_ROUTES = "messages go over the addresses that the nodes were started with"

_CLUSTER = {
    "add_evict_delay": "nodes are not added to a running cluster",
    "auto_assign_node_site": "sites are set by fault_domain of the nodes",
    "block_cache_size": _NO_SHARED_VOLUMES,
    "cluster_log_level": _LOG,
    "cluster_log_size": _LOG,
    "cross_site_delay": _ONE_SITE,
    "cross_site_threshold": _ONE_SITE,
    "cross_subnet_delay": _ONE_SUBNET,
    "cross_subnet_threshold": _ONE_SUBNET,
    "csv_balancer": _NO_SHARED_VOLUMES,
    "database_read_write_mode": "a change is always committed by a majority, and a read says how old it is",
    "default_network_role": "nodes have one network",
    "dump_policy": _DUMPS,
    "dynamic_quorum": "votes do not change by themselves",
    "enabled_event_logs": _DUMPS,
    "failover_move_migration_type": _MOVES_NOTHING,
    "grace_period_enabled": _NO_MEANING,
    "grace_period_timeout": _NO_MEANING,
    "clus_svc_hang_timeout": "the guard stops everything when the run lease is over, whatever hangs: see run_lease",
    "hang_recovery_action": "the guard stops everything when the run lease is over, whatever hangs: see run_lease",
    "log_resource_controls": _LOG,
    "lower_quorum_priority_node_id": "votes do not change by themselves",
    "message_buffer_length": "how much may wait for a peer is bounded by size",
    "netft_ip_sec_enabled": _TLS,
    "placement_options": "its flags are about virtual machines and shared volumes",
    "plumb_all_cross_subnet_routes": _OWN_ROUTES,
    "quorum_arbitration_time_max": _NO_WITNESS,
    "request_reply_timeout": "a node that does not answer is found by its heartbeats: see same_subnet_threshold",
    "resiliency_default_period": _ISOLATION,
    "resiliency_level": _ISOLATION,
    "route_history_length": "heartbeats are not recorded",
    "security_level": _TLS,
    "security_level_for_storage": _TLS,
    "set_smb_bandwidth_limit": _NO_SMB,
    "smb_bandwidth_limit_factor": _NO_SMB,
    "shared_volume_compatible_filters": _NO_SHARED_VOLUMES,
    "shared_volume_incompatible_filters": _NO_SHARED_VOLUMES,
    "shared_volume_security_descriptor": _NO_SHARED_VOLUMES,
    "shared_volume_vss_writer_operation_timeout": _NO_SHARED_VOLUMES,
    "shared_volumes_root": _NO_SHARED_VOLUMES,
    "use_client_access_networks_for_shared_volumes": _NO_SHARED_VOLUMES,
    "witness_database_write_timeout": _NO_WITNESS,
    "witness_restart_interval": _NO_WITNESS,
}
_NODE = {
    "node_weight": "every node has one vote",
    "fault_domain_id": "a fault domain is named, not numbered: set fault_domain",
}
_GROUP = {
    "resiliency_period": _ISOLATION,
    "default_owner": "it is the last owner, and follows from moves",
    "persistent_state": _WANTED,
    "group_type": "it follows from the resources",
    "placement_options": _NO_MEANING,
    "fault_domain": "nodes have fault domains; for groups there are rules",
    "update_domain": _NO_MEANING,
    "preferred_owners": "it is no property but a part of the group: --preferred-owners, or its own key in a manifest",
}
_RESOURCE = {
    "persistent_state": _WANTED,
    "resource_specific_status": "the resource type writes it",
    "debug_prefix": _OBSOLETE,
    "admin_extensions": _OBSOLETE,
}
_RESOURCE_TYPE = {
    "display_name": "a resource type has one name",
    "maximum_monitors": "each resource that crashed its host gets one of its own",
    "dump_policy": _DUMPS,
    "dump_log_query": _DUMPS,
    "dump_services": _DUMPS,
    "enabled_event_logs": _DUMPS,
    "admin_extensions": _OBSOLETE,
}

NOT_YET: Mapping[Scope, Mapping[str, str]] = MappingProxyType(
    {
        Scope.CLUSTER: MappingProxyType(_CLUSTER),
        Scope.NODE: MappingProxyType(_NODE),
        Scope.GROUP: MappingProxyType(_GROUP),
        Scope.RESOURCE: MappingProxyType(_RESOURCE),
        Scope.RESOURCE_TYPE: MappingProxyType(_RESOURCE_TYPE),
    }
)
