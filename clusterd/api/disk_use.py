"""Does anybody use a disk of the cluster, or may somebody begin to? Pure."""

from clusterd.api.maintenance import hands_off_resource
from clusterd.api.observed import ObservedResource, observe_group
from clusterd.database import DatabaseView
from clusterd.model.ids import key_of
from clusterd.model.records import ResourceRecord
from clusterd.model.states import ResourceState


def why_not_idle(view: DatabaseView, record: ResourceRecord, *, is_quorate: bool) -> str:
    """Why it may be in use, now or in a moment; nothing when no node has it and none is to have it."""
    found = observed_disk(view, record, is_quorate=is_quorate)
    if found is None:
        return "its group is gone"
    if covering := hands_off_resource(view, record):
        return covering.text
    if found.wanted_state is ResourceState.ONLINE and found.state is ResourceState.OFFLINE:
        return "it is wanted online"
    return why_not_offline(view, found) or ("" if found.state is ResourceState.OFFLINE else f"it is {found.state}")


def why_not_offline(view: DatabaseView, found: ObservedResource) -> str:
    """Why something of it may run somewhere."""
    if found.report is not None and found.report.may_run and found.state is not ResourceState.ONLINE:
        return f"it is {found.state}, and something of it may still run"
    if found.state not in (ResourceState.OFFLINE, ResourceState.FAILED):
        return f"it is {found.state}"
    if view.storage_fence(found.record.group) is not None:
        return "it is being taken from an owner that nobody can reach"
    return ""


def observed_disk(view: DatabaseView, record: ResourceRecord, *, is_quorate: bool) -> ObservedResource | None:
    group = view.group(record.group)
    if group is None:
        return None
    resources = observe_group(view, group, is_quorate=is_quorate).resources
    return next((each for each in resources if key_of(each.record.name) == key_of(record.name)), None)
