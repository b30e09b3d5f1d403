"""How do notes become log lines? I/O. One JSON object a line on standard error, through structlog."""

import asyncio
import logging
import sys
from typing import Any

import msgspec
import structlog

from clusterd.adapters.log_folding import Folding
from clusterd.model.events import Note


class LogLines:
    """The log of one process. Lines below `level` cost next to nothing."""

    def __init__(self, node: str, level: str) -> None:
        structlog.configure(
            processors=[
                Folding(),
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.JSONRenderer(serializer=_json),
            ],
            wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
            logger_factory=structlog.BytesLoggerFactory(sys.stderr.buffer),
            cache_logger_on_first_use=True,
        )
        self._log = structlog.get_logger(node=node)
        self._lost_count = 0

    def loop_failed(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """What the event loop could do nothing with, as a connection that could not be accepted: in place of its own
        traceback for each."""
        error = context.get("exception")
        told = f"{context.get('message')}: {error!r}" if error is not None else str(context.get("message"))
        self._say("warning", "loop.said", {"text": told})

    def note(self, note: Note) -> None:
        """One occurrence of an event of the catalogue."""
        self._say(note.event.level, note.event.name, dict(note.values))

    def warn(self, text: str) -> None:
        """Something that no event describes: what a process of the node said about itself."""
        self._say("warning", "process.said", {"text": text})

    def _say(self, level: str, name: str, values: dict[str, Any]) -> None:
        """A log that cannot be written (its disk is full, say) stops nobody; how many lines it lacks is told later."""
        try:
            if self._lost_count:
                self._log.warning("log.lost", count=self._lost_count)
                self._lost_count = 0
            getattr(self._log, level)(name, **values)
        except OSError:
            self._lost_count += 1


def _json(value: Any, **_: Any) -> bytes:
    return msgspec.json.encode(value, enc_hook=str)
