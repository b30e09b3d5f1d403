"""How do many requests that come at once leave the loop to others in between? I/O.

The loop does everything that is ready before it looks at timers and at the peers' messages again. Two hundred requests that
are ready at once would be answered in one go, and a heartbeat that is due waits for all of them. So only a few begin in each
turn of the loop; the others follow in the order in which they came.
"""

import asyncio
from collections import deque

A_TURN_MAX = 4


class Turnstile:
    """Lets `a_turn_max` through in each turn of the loop."""

    def __init__(self, a_turn_max: int = A_TURN_MAX) -> None:
        self._a_turn_max = a_turn_max
        self._left = a_turn_max
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._is_turning = False

    async def enter(self) -> None:
        if self._left and not self._waiting:
            self._left -= 1
            self._turn_soon()
            return
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        self._turn_soon()
        await place

    def _turn_soon(self) -> None:
        if not self._is_turning:
            self._is_turning = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self._is_turning = False
        self._left = self._a_turn_max
        while self._left and self._waiting:
            place = self._waiting.popleft()
            if not place.done():  # who is gone by now needs no turn
                self._left -= 1
                place.set_result(None)
        if self._left < self._a_turn_max:
            self._turn_soon()
