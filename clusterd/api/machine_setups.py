"""Would every protected machine start on each of its possible owners? I/O: asks every node about the definitions.

The wizard's own judgement is made again, of machines that are protected already: what was right when they were protected may
have been edited, moved or unmounted since.
"""

import asyncio
import json
from collections.abc import Mapping

from clusterd.api.machine_surroundings import protected_definitions, surroundings
from clusterd.api.port import ClusterPort
from clusterd.api.validation_facts import possible_owners
from clusterd.database import DatabaseView
from clusterd.model.errors import ClusterError
from clusterd.model.ids import NodeId
from clusterd.validation import MachineSetup, NodeAnswer
from clusterd.wizard import NodeDefinitions, Surroundings, Wish, decode_definitions, eligible
from clusterd.wizard.plan import CONFIGURATION_TYPE

ASK_WITHIN_MS = 12_000


async def machine_setups(
    port: ClusterPort, answers: Mapping[str, NodeAnswer], silent: Mapping[str, str]
) -> tuple[MachineSetup, ...]:
    """One for each definition that a resource protects. `answers` and `silent` are what the nodes said of themselves."""
    paths = protected_definitions(port.view())
    if not paths:
        return ()
    question = json.dumps({"definitions": list(paths)}).encode()
    nodes = [NodeId(node) for node, each in answers.items() if not each.trouble]
    asked = await asyncio.gather(*(_ask(port, each, question) for each in nodes))
    told = {str(node): each for node, each in zip(nodes, asked, strict=True) if isinstance(each, NodeDefinitions)}
    mute = {str(node): each for node, each in zip(nodes, asked, strict=True) if isinstance(each, str)}
    machines = {node: answers[node].machine for node in told}
    view, status = port.view().fork(), port.status()
    around = await asyncio.to_thread(surroundings, view, status, machines, {**silent, **mute})
    return tuple(_judged(view, path, name, told, around) for path, name in paths.items())


def _judged(
    view: DatabaseView, path: str, name: str, told: Mapping[str, NodeDefinitions], around: Surroundings
) -> MachineSetup:
    record = view.resource(name)
    group = record.group if record is not None else ""
    owners = tuple(each for each in possible_owners(view, view.resources_of(group)) if each in told)
    judged = eligible(path, told, around, Wish(owners, is_protected=True))
    return MachineSetup(name, path, judged.owners, judged.refusals, judged.warnings)


async def _ask(port: ClusterPort, node: NodeId, question: bytes) -> NodeDefinitions | str:
    try:
        return decode_definitions(await port.ask_type(node, CONFIGURATION_TYPE, "definitions", question, ASK_WITHIN_MS))
    except (ClusterError, ValueError) as error:
        return f"it did not say what it has: {error}"
