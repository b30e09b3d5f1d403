"""Would every protected machine start on each of its possible owners? I/O: asks every node about the definitions.

The wizard's own judgement is made again, of machines that are protected already: what was right when they were protected may
have been edited, moved or unmounted since.
"""

import asyncio
import json
from collections.abc import Mapping

import msgspec

from clusterd.api import jobs
from clusterd.api.desk import Desk
from clusterd.api.machine_surroundings import protected_definitions, saved_state_folders
from clusterd.api.port import ClusterPort
from clusterd.model.errors import ClusterError
from clusterd.model.ids import NodeId
from clusterd.validation import MachineSetup, NodeAnswer
from clusterd.wizard import NodeDefinitions, decode_definitions
from clusterd.wizard.plan import CONFIGURATION_TYPE

ASK_WITHIN_MS = 12_000


async def machine_setups(
    desk: Desk, answers: Mapping[str, NodeAnswer], silent: Mapping[str, str]
) -> tuple[MachineSetup, ...]:
    """One for each definition that a resource protects. `answers` and `silent` are what the nodes said of themselves."""
    port = desk.port
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
    data = await desk.work(jobs.setups, port.status(), told, machines, {**silent, **mute}, is_heavy=True)
    return msgspec.msgpack.decode(data, type=tuple[MachineSetup, ...])


async def _ask(port: ClusterPort, node: NodeId, question: bytes) -> NodeDefinitions | str:
    try:
        return decode_definitions(await port.ask_type(node, CONFIGURATION_TYPE, "definitions", question, ASK_WITHIN_MS))
    except (ClusterError, ValueError) as error:
        return f"it did not say what it has: {error}"
