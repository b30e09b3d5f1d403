"""How does a guard behave? Pure. It holds the run lease, kills at the deadline, and proves what it killed."""

from collections.abc import Callable
from dataclasses import dataclass, field

from clusterd.model.ids import Incarnation
from clusterd.sim.host import SimHost
from clusterd.sim.timeline import Timeline


@dataclass(slots=True)
class SimGuard:
    """One guard process. Times that it compares are the node's own; `clock_ms` reads them."""

    timeline: Timeline
    clock_ms: Callable[[], int]
    real_ms: Callable[[int], float]
    """A duration on the node's clock in the simulation's milliseconds."""
    new_incarnation: Callable[[], Incarnation]
    ended: Callable[[Incarnation, str, Incarnation], None]
    kill_ms: int = 5
    incarnation: Incarnation = Incarnation("")
    deadline_ms: int = 0
    hosts: dict[str, SimHost] = field(default_factory=dict)
    past: list[Incarnation] = field(default_factory=list)
    is_alive: bool = True
    is_frozen: bool = False
    waiting: list[Callable[[], None]] = field(default_factory=list)
    _is_ending: bool = False

    def start(self) -> None:
        self.incarnation = self.new_incarnation()

    def renew(self, incarnation: Incarnation, deadline_ms: int) -> tuple[int, bool]:
        """(deadline, refused). A deadline that has passed cannot be extended."""
        if incarnation != self.incarnation or self._is_ending or self.is_past_deadline():
            return self.deadline_ms, True
        if deadline_ms > self.deadline_ms:
            self.deadline_ms = deadline_ms
            self.timeline.after_ms(self.real_ms(deadline_ms - self.clock_ms()) + 1, self.watch)
        return self.deadline_ms, False

    def is_past_deadline(self) -> bool:
        return self.deadline_ms != 0 and self.clock_ms() >= self.deadline_ms

    def watch(self) -> None:
        """The deadline may have come. A frozen guard looks when it thaws; its hosts look by themselves."""
        if not self.is_past_deadline():
            return
        for host in self.hosts.values():
            if host.is_alive and not host.is_frozen:
                self.timeline.after_ms(self.kill_ms, host.kill)
        if self.is_alive and not self.is_frozen:
            self.end("its run lease ran out")

    def end(self, because: str) -> None:
        """Kill everything, prove it, and begin a new incarnation."""
        if not self._is_ending and self.is_alive:
            self._is_ending = True
            self.timeline.after_ms(self.kill_ms, lambda: self._ended(because))

    def thaw(self) -> None:
        """Look at the clock first: a deadline that has passed cannot be extended by what waited."""
        self.is_frozen = False
        self.watch()
        waiting, self.waiting = self.waiting, []
        for act in waiting:
            act()

    def _ended(self, because: str) -> None:
        if not self.is_alive:
            return
        if self.is_frozen:
            self.timeline.after_ms(50, lambda: self._ended(because))
            return
        for host in self.hosts.values():
            host.kill()
        self.hosts = {}
        over, self.incarnation = self.incarnation, self.new_incarnation()
        self.past.append(over)
        self.deadline_ms, self._is_ending = 0, False
        self.ended(over, because, self.incarnation)

    def kill(self) -> None:
        """SIGKILL: the kernel kills the hosts and workloads with it."""
        self.is_alive = False
        for host in self.hosts.values():
            host.kill()
        self.hosts = {}
