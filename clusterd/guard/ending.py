"""How is a part of the node ended, and proven gone, without waiting? I/O.

`step` kills what runs and looks again; the guard's loop calls it every few milliseconds, so that a process which cannot be
killed (in the kernel, on a dead disk) holds up nothing else. The proof is twofold: the containment is empty, and a sweep by
tag and descent finds no stray either.
"""

from clusterd.adapters.containment import Scope

LOOK_AGAIN_MS = (1, 1, 2, 3, 5, 10, 20, 50)


class Ending:
    """One part on its way out: an incarnation, or one host with its workloads."""

    def __init__(self, scopes: tuple[Scope, ...], because: str, *, now_ms: int, budget_ms: int) -> None:
        self.because = because
        self.began_ms = now_ms
        self.next_look_ms = now_ms
        self._scopes = list(scopes)
        self._trouble_at_ms = now_ms + budget_ms
        self._over_budget_ms = now_ms + budget_ms
        self._look_count = 0

    def step(self, now_ms: int) -> bool:
        """True when everything is proven gone."""
        while self._scopes:
            scope = self._scopes[0]
            if self._look_count == 0 or not scope.is_empty():
                scope.kill()
            if not scope.is_empty():
                self.next_look_ms = now_ms + LOOK_AGAIN_MS[min(self._look_count, len(LOOK_AGAIN_MS) - 1)]
                self._look_count += 1
                return False
            scope.remove()
            del self._scopes[0]
        return True

    def is_over_budget(self, now_ms: int) -> bool:
        """Something is still there although the stop budget has passed."""
        return bool(self._scopes) and now_ms >= self._over_budget_ms

    def trouble(self, now_ms: int) -> list[int]:
        """The processes that outlived the stop budget; told once, and again each time the budget has passed once more."""
        if now_ms < self._trouble_at_ms or not self._scopes:
            return []
        self._trouble_at_ms = now_ms + max(now_ms - self.began_ms, 1)
        return self._scopes[0].members()
