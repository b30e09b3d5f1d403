"""What did a resource write in its last run on this node? I/O: answers whoever asks, from what its resource host kept."""

import asyncio

from clusterd.adapters.kept_output import read_output
from clusterd.runtime.clients import Clients


def offer_past_output(clients: Clients, run_dir: str) -> None:
    """From now on this node answers `previous-output`, with the name of a resource; empty: nothing is known."""

    async def answer(body: bytes) -> bytes:
        found = await asyncio.to_thread(read_output, run_dir, body.decode("utf-8", "replace"))
        return found.encode() if found is not None else b""

    clients.offer("previous-output", answer)
