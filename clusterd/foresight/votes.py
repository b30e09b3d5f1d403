"""Would the votes be enough if nodes were lost? Pure. Rooms are no use to groups when nothing can be decided any more."""

from dataclasses import dataclass

from clusterd.database import DatabaseView
from clusterd.foresight.outlook import Outlook
from clusterd.model.ids import NodeId, key_of


@dataclass(frozen=True, slots=True)
class VotesLeft:
    """What is left of the votes in the worst case: every node that is lost votes, as far as so many do."""

    votes: int
    needed: int
    up: int
    """Votes that are there now."""
    lost: tuple[NodeId, ...]
    """Nodes whose loss together is such a worst case."""
    has_witness: bool

    @property
    def left(self) -> int:
        return self.up - len(self.lost)

    @property
    def is_enough(self) -> bool:
        return self.left >= self.needed

    @property
    def bearable(self) -> int:
        """How many nodes that vote may be lost together."""
        return max(0, self.up - self.needed)

    @property
    def sentence(self) -> str:
        witness = ", the witness's included" if self.has_witness else ""
        left = f"{self.left} of {self.votes} votes{witness}"
        if self.is_enough:
            return f"{left} would be left at least, and {self.needed} are needed"
        if not self.lost:
            return f"the quorum is lost now: {left} are there, and {self.needed} are needed"
        without = " and ".join(self.lost)
        return (
            f"without {without} the quorum would be lost: {left} would be left, and {self.needed} are needed, so nothing "
            "could run anywhere"
        )


def votes_without(outlook: Outlook, view: DatabaseView, failures: int) -> VotesLeft:
    """The votes after the loss of any `failures` nodes. A voter that is no node is a witness, and is taken to stay."""
    names = {key_of(each.name) for each in view.nodes()}
    witnesses = [each for each in outlook.voters if key_of(each) not in names]
    up = outlook.voters_up(view)
    votes = len(outlook.voters)
    return VotesLeft(votes, votes // 2 + 1, len(up) + len(witnesses), tuple(up[:failures]), bool(witnesses))
