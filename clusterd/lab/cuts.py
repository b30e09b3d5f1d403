"""Which links of a lab are cut? Pure bookkeeping of one-way cuts, in an I/O package.

A cut is a pair (from, to): application messages that way are dropped. Both ends are told, so either one suffices.
"""

from collections.abc import Collection

from clusterd.adapters.link_cuts import LinkCuts


class Cuts:
    """All cuts of one lab."""

    def __init__(self, nodes: Collection[str]) -> None:
        self._nodes = tuple(nodes)
        self._pairs: set[tuple[str, str]] = set()

    @property
    def pairs(self) -> list[tuple[str, str]]:
        return sorted(self._pairs)

    def cut(self, source: str, target: str, *, is_one_way: bool) -> None:
        """Drop what `source` sends to `target`; unless one way, also what comes back."""
        self._pairs.add((source, target))
        if not is_one_way:
            self._pairs.add((target, source))

    def isolate(self, node: str) -> None:
        """Cut a node off from all others."""
        for other in self._nodes:
            if other != node:
                self.cut(node, other, is_one_way=False)

    def heal(self, names: Collection[str]) -> None:
        """Nobody named: everything; one: all its links; two: those between them, both ways."""
        if len(names) == 2:
            self._pairs = {pair for pair in self._pairs if set(pair) != set(names)}
        else:
            self._pairs = {pair for pair in self._pairs if names and not set(pair) & set(names)}

    def of(self, node: str) -> LinkCuts:
        """What `node` has to drop."""
        return LinkCuts(
            drop_to=tuple(target for source, target in self.pairs if source == node),
            drop_from=tuple(source for source, target in self.pairs if target == node),
        )
