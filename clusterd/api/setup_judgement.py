"""Would a protected machine start on each of its possible owners, after what the nodes say of its definition now? Pure."""

from collections.abc import Collection, Mapping

from clusterd.api.validation_facts import possible_owners
from clusterd.database import DatabaseView
from clusterd.validation import MachineSetup
from clusterd.wizard import NodeDefinitions, Surroundings, Wish, eligible, placed


def judged_setup(
    view: DatabaseView,
    path: str,
    name: str,
    told: Mapping[str, NodeDefinitions],
    around: Surroundings,
    saved_state_folder: str,
) -> MachineSetup:
    record = view.resource(name)
    group = record.group if record is not None else ""
    owners = tuple(each for each in possible_owners(view, view.resources_of(group)) if each in told)
    judged = eligible(path, told, around, Wish(owners, is_protected=True))
    notes = list(judged.warnings)
    if saved_state_folder and (trouble := _forgets(saved_state_folder, judged.owners, told, around)):
        notes.append(f"{trouble}: what is saved on one node does not go on on another, which boots the guest afresh")
    return MachineSetup(name, path, judged.owners, judged.refusals, tuple(notes))


def _forgets(folder: str, owners: Collection[str], told: Mapping[str, NodeDefinitions], around: Surroundings) -> str:
    """Why memory that is saved there does not come along; empty: it does."""
    seen = {
        node: next((each for each in told[node].saved_state_folders if each.path == folder), None) for node in owners
    }
    return placed(folder, seen, {node: told[node].machine for node in owners}, around).refusal
