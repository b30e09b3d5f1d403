"""Pure. What the consensus leader decides for the whole cluster: who is a member, who owns which group.

`decide` compares what is with what should be and returns transactions. It is level-triggered: deciding twice from the same
state proposes the same thing, and the compares of the transactions let only one of them through.
"""

from clusterd.leader.decide import Decisions, FenceWish, Memory, Proposal, decide
from clusterd.leader.sight import FenceKnowledge, NodeLoad, Promise, Sight

__all__ = [
    "Decisions",
    "FenceKnowledge",
    "FenceWish",
    "Memory",
    "NodeLoad",
    "Promise",
    "Proposal",
    "Sight",
    "decide",
]
