"""Which links of a lab are cut, and which lose packets? Pure bookkeeping, in an I/O package.

A cut is a pair (from, to): application messages that way are dropped. Both ends are told, so either one suffices. A link
that loses packets loses them both ways: each end drops what arrives.
"""

from collections.abc import Collection
from itertools import combinations

from clusterd.adapters.link_cuts import LinkCuts


class Cuts:
    """All cuts of one lab."""

    def __init__(self, nodes: Collection[str]) -> None:
        self._nodes = tuple(nodes)
        self._pairs: set[tuple[str, str]] = set()
        self._loss: dict[tuple[str, str], int] = {}

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

    @property
    def losses(self) -> list[tuple[str, str, int]]:
        """Links that lose packets, as (one end, the other, of a hundred)."""
        return sorted((*pair, percent) for pair, percent in self._loss.items())

    def lose(self, percent: int, names: Collection[str]) -> None:
        """Lose so many of a hundred packets on every link of the nodes named; on every link when none is."""
        for one, other in combinations(self._nodes, 2):
            if not names or {one, other} & set(names):
                self._loss.pop((one, other), None)
                if percent:
                    self._loss[one, other] = percent

    def heal(self, names: Collection[str]) -> None:
        """Nobody named: everything; one: all its links; two: those between them, both ways."""
        self._pairs = {pair for pair in self._pairs if not _is_mended(pair, names)}
        self._loss = {pair: percent for pair, percent in self._loss.items() if not _is_mended(pair, names)}

    def of(self, node: str) -> LinkCuts:
        """What `node` has to drop."""
        return LinkCuts(
            drop_to=tuple(target for source, target in self.pairs if source == node),
            drop_from=tuple(source for source, target in self.pairs if target == node),
            loss_percent={
                other if node == one else one: percent for one, other, percent in self.losses if node in (one, other)
            },
        )


def _is_mended(pair: tuple[str, str], names: Collection[str]) -> bool:
    return set(pair) == set(names) if len(names) == 2 else not names or bool(set(pair) & set(names))
