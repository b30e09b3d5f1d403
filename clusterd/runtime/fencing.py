"""Who asks the power switches? I/O. One question at a time per run and verb; every answer comes back as an event."""

import asyncio
from collections.abc import Callable

from clusterd.adapters.fence import FenceAnswer, FenceVerdict, agent_for
from clusterd.database import DatabaseView
from clusterd.leader import FenceWish
from clusterd.model import keys
from clusterd.model.errors import ClusterError
from clusterd.model.records import FenceRecord
from clusterd.node.events import Event, FenceAnswered


class FenceDesk:
    """Carries the leader's questions to the fence agents that the database names."""

    def __init__(self, view: Callable[[], DatabaseView], post: Callable[[Event], None]) -> None:
        self._view = view
        self._post = post
        self._asking: dict[FenceWish, asyncio.Task[None]] = {}

    def ask(self, wish: FenceWish) -> None:
        if wish not in self._asking:
            task = asyncio.create_task(self._ask(wish), name=f"fence {wish.verb} {wish.node}")
            self._asking[wish] = task
            task.add_done_callback(lambda _: self._asking.pop(wish, None))

    async def _ask(self, wish: FenceWish) -> None:
        answer = await self._answer(wish)
        self._post(FenceAnswered(wish.node, wish.run_id, wish.verb, answer.verdict))

    async def _answer(self, wish: FenceWish) -> FenceAnswer:
        record = self._view().get(FenceRecord, keys.fence(wish.agent))
        if record is None:
            return FenceAnswer(FenceVerdict.UNKNOWN, f"there is no fence agent {wish.agent}")
        try:
            agent = agent_for(record)
        except ClusterError as error:
            return FenceAnswer(FenceVerdict.UNKNOWN, error.message)
        if wish.verb == "off":
            return await agent.off(wish.node, wish.run_id)
        return await agent.status(wish.node, wish.run_id)
