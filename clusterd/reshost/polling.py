"""When is a resource that is online looked at? I/O: on the host's event loop.

LooksAlive and IsAlive each at their own interval, counted from the start of the check before. The first checks of different
resources are spread over the interval, so that hundreds of them do not fall on one moment.
"""

import asyncio
import zlib
from collections.abc import Awaitable, Callable

Check = Callable[[], Awaitable[None]]


async def poll(
    resource: str,
    *,
    looks_alive_interval_ms: int | None,
    is_alive_interval_ms: int,
    looks_alive: Check,
    is_alive: Check,
) -> None:
    """Check until cancelled. Without a LooksAlive interval only IsAlive is asked."""
    loop = asyncio.get_running_loop()
    spread = (zlib.crc32(resource.encode()) % 1000 + 1) / 1000
    is_every = is_alive_interval_ms / 1000
    looks_every = looks_alive_interval_ms / 1000 if looks_alive_interval_ms is not None else None
    is_at = loop.time() + is_every * spread
    looks_at = loop.time() + looks_every * spread if looks_every is not None else is_at
    while True:
        await asyncio.sleep(max(min(is_at, looks_at) - loop.time(), 0))
        now = loop.time()
        if now >= is_at:
            is_at = now + is_every
            looks_at = now + (looks_every if looks_every is not None else is_every)
            await is_alive()
        elif looks_every is not None:
            looks_at = now + looks_every
            await looks_alive()
        if looks_every is None:
            looks_at = is_at
