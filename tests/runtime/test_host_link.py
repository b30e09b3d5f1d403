"""A link to a guard or a host leaves nothing open behind it."""

import asyncio
import tempfile
from pathlib import Path

from clusterd.adapters.host_link import GuardLink

WITHIN_S = 5.0


async def test_a_link_that_is_closed_while_it_is_opened_is_closed() -> None:
    """The daemon stops, or the guard says that the host is over, just then."""
    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        over.set()

    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "guard.sock")
        async with await asyncio.start_unix_server(serve, path):
            link = GuardLink(path, on_event=lambda event: None, on_end=lambda because: None)
            opening = asyncio.create_task(link.connect())
            await asyncio.sleep(0)
            link.close()
            await opening
            assert not link.is_open
            async with asyncio.timeout(WITHIN_S):
                await over.wait()
