"""Until when may this node run workloads? Pure.

A heartbeat *sent* at `s` and acknowledged by a majority of the voters carries the lease to `s + run_lease`: measured from
the sending, because that is the only moment known to lie before every acknowledgement. An acknowledgement names the newest
voter configuration in the acknowledger's log; only those under the newest configuration that this node has seen count,
all under the same one, so that an old majority can never keep a lease alive beside a new one.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from clusterd.model.ids import NodeId


@dataclass(frozen=True, slots=True, order=True)
class ConfigurationId:
    """A voter configuration, named by the log position of the entry that made it."""

    index: int
    term: int


class RunLease:
    """The acknowledgements that one incarnation has collected. A new incarnation starts with a new RunLease."""

    def __init__(self) -> None:
        self._newest = ConfigurationId(0, 0)
        self._sent_ms: dict[NodeId, int] = {}
        self._start: tuple[Collection[NodeId], int | None] | None = None
        """Of whom the answer was asked last, and the answer; None: something was acknowledged since."""

    @property
    def newest_configuration(self) -> ConfigurationId:
        """The newest voter configuration that any acknowledgement has named."""
        return self._newest

    def acknowledge(self, voter: NodeId, configuration: ConfigurationId, sent_ms: int) -> None:
        """`voter` acknowledged the heartbeat that this node sent at `sent_ms`."""
        if configuration > self._newest:
            self._newest = configuration
            self._sent_ms = {}
        if configuration == self._newest:
            self._start = None
            self._sent_ms[voter] = max(sent_ms, self._sent_ms.get(voter, 0))

    def forget_replaced(self, term_at: Callable[[int], int | None]) -> None:
        """Forget a configuration that was replaced in this node's log: `term_at` gives the term of an index in it.

        An entry of an older term there replaces nothing: this node's own log is the one that lags.
        """
        term = term_at(self._newest.index)
        if term is not None and term > self._newest.term:
            self._newest = ConfigurationId(0, 0)
            self._sent_ms, self._start = {}, None

    def start_ms(self, configuration: ConfigurationId, voters: Collection[NodeId]) -> int | None:
        """When the newest heartbeat that a majority of `voters` acknowledged was sent; None: there is no lease.

        `configuration` is the newest in this node's own log and has `voters`. When an acknowledger knows a newer one,
        nothing counts until this node has it too.
        """
        if configuration != self._newest or not voters:
            return None
        if self._start is None or self._start[0] != voters:
            sent = sorted((self._sent_ms[voter] for voter in voters if voter in self._sent_ms), reverse=True)
            needed = len(voters) // 2 + 1
            self._start = (voters, sent[needed - 1] if len(sent) >= needed else None)
        return self._start[1]
