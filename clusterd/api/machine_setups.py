"""Would every protected machine start on each of its possible owners? I/O: asks every node about the definitions.

The wizard's own judgement is made again, of machines that are protected already: what was right when they were protected may
have been edited, moved or unmounted since.
"""

import asyncio
import json
from collections.abc import Collection, Mapping

from clusterd.api.machine_surroundings import protected_definitions, saved_state_folders, surroundings
from clusterd.api.port import ClusterPort
from clusterd.api.validation_facts import possible_owners
from clusterd.database import DatabaseView
from clusterd.model.errors import ClusterError
from clusterd.model.ids import NodeId
from clusterd.validation import MachineSetup, NodeAnswer
from clusterd.wizard import NodeDefinitions, Surroundings, Wish, decode_definitions, eligible, placed
from clusterd.wizard.plan import CONFIGURATION_TYPE

ASK_WITHIN_MS = 12_000


async def machine_setups(
    port: ClusterPort, answers: Mapping[str, NodeAnswer], silent: Mapping[str, str]
) -> tuple[MachineSetup, ...]:
    """One for each definition that a resource protects. `answers` and `silent` are what the nodes said of themselves."""
    paths = protected_definitions(port.view())
    if not paths:
        return ()
    folders = saved_state_folders(port.view())
    question = json.dumps(
        {"definitions": list(paths), "saved_state_folders": list(dict.fromkeys(folders.values()))}
    ).encode()
    nodes = [NodeId(node) for node, each in answers.items() if not each.trouble]
    asked = await asyncio.gather(*(_ask(port, each, question) for each in nodes))
    told = {str(node): each for node, each in zip(nodes, asked, strict=True) if isinstance(each, NodeDefinitions)}
    mute = {str(node): each for node, each in zip(nodes, asked, strict=True) if isinstance(each, str)}
    machines = {node: answers[node].machine for node in told}
    view, status = port.view().fork(), port.status()
    around = await asyncio.to_thread(surroundings, view, status, machines, {**silent, **mute})
    return tuple(_judged(view, path, name, told, around, folders.get(path, "")) for path, name in paths.items())


def _judged(
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


async def _ask(port: ClusterPort, node: NodeId, question: bytes) -> NodeDefinitions | str:
    try:
        return decode_definitions(await port.ask_type(node, CONFIGURATION_TYPE, "definitions", question, ASK_WITHIN_MS))
    except (ClusterError, ValueError) as error:
        return f"it did not say what it has: {error}"
