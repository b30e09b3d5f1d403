"""Into which cluster would a machine come? Pure: from the database, and from what the nodes said of themselves."""

from collections.abc import Mapping, Sequence

from clusterd.api.foreseeing import outlook_of
from clusterd.api.observed import observe_groups
from clusterd.api.port import NodeStatus
from clusterd.database import DatabaseView
from clusterd.leader.capacity import survives
from clusterd.model.ids import key_of
from clusterd.model.records import ResourceRecord
from clusterd.model.settings_catalogue import Scope, setting
from clusterd.model.states import ResourceState
from clusterd.validation import MachineFacts
from clusterd.wizard import ClusterDisk, HostFacts, Surroundings
from clusterd.wizard.plan import CONFIGURATION_TYPE, DISK_TYPE, MACHINE_TYPE

FOLDERS = "definition_folders"


def folders_of(view: DatabaseView) -> list[str]:
    """Where the nodes look for definitions."""
    text = view.cluster().properties.get(FOLDERS) or setting(Scope.CLUSTER, FOLDERS).default
    return [each for each in str(text).split(":") if each]


def surroundings(
    view: DatabaseView,
    status: NodeStatus,
    machines: Mapping[str, MachineFacts],
    silent: Mapping[str, str],
    planned: Sequence[ClusterDisk] = (),
) -> Surroundings:
    outlook = outlook_of(status)
    free = {each.node: each for each in survives(view, outlook.sight(view, 0), 0).nodes}
    hosts = []
    for node in view.nodes():
        machine, room = machines.get(node.name, MachineFacts()), free.get(node.name)
        hosts.append(
            HostFacts(
                node.name,
                machine.hypervisor.version,
                machine.processor_vendor,
                frozenset(machine.processor_flags),
                room.memory_mib if room else None,
                room.memory_free_mib if room else None,
                silent.get(node.name, ""),
            )
        )
    resources = view.resources()
    online_on = {
        each.record.name: str(group.owner or "")
        for group in observe_groups(view, is_quorate=status.is_quorate, unheard=status.unheard)
        for each in group.resources
        if each.state is ResourceState.ONLINE
    }
    return Surroundings(
        tuple(hosts),
        (*(cluster_disk(each, online_on.get(each.name, "")) for each in resources if each.type == DISK_TYPE), *planned),
        protected_definitions(view),
        frozenset(key_of(each.name) for each in view.groups()),
        frozenset(key_of(each.name) for each in resources),
    )


def protected_definitions(view: DatabaseView) -> dict[str, str]:
    """Definitions that a configuration resource has already: path → resource."""
    return {_definition_of(each): each.name for each in view.resources() if each.type == CONFIGURATION_TYPE}


def saved_state_folders(view: DatabaseView) -> dict[str, str]:
    """Where machines save their memory if that is not beside their definition: definition → folder."""
    machines = [each.private for each in view.resources() if each.type == MACHINE_TYPE]
    return {
        _path_of(str(each.get("configuration", ""))): str(each["saved_state_folder"])
        for each in machines
        if each.get("saved_state_folder")
    }


def _definition_of(record: ResourceRecord) -> str:
    return _path_of(str(record.private.get("definition", "")))


def _path_of(name: str) -> str:
    """A bare name stands for a file in the folder that every node has."""
    folder = str(setting(Scope.CLUSTER, FOLDERS).default)
    return name if "/" in name else f"{folder}/{name.removesuffix('.toml')}.toml"


def cluster_disk(record: ResourceRecord, online_on: str = "") -> ClusterDisk:
    private = record.private
    return ClusterDisk(
        record.name,
        record.group,
        str(private.get("mount_point") or ""),
        str(private.get("device") or private.get("image") or ""),
        str(private.get("volume_id") or ""),
        online_on,
    )
