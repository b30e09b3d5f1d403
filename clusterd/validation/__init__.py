"""Is this cluster fit for what it promises? Pure: facts in, verdicts out.

`facts` is what nodes tell of themselves, `situation` is all of it together, each file of tests judges one category, and
`run` picks the tests and adds them up. Nothing here asks a node anything, and no test touches what runs.
"""

from clusterd.validation.facts import (
    Certificate,
    FenceFacts,
    Filesystem,
    Hypervisor,
    Interface,
    MachineFacts,
    NodeAnswer,
    PeerFacts,
    decode,
    encode,
)
from clusterd.validation.report import html_of
from clusterd.validation.run import BadChoice, choose, judge, outcome_class, report_view
from clusterd.validation.situation import ClusterFacts, Disk, Group, Node, Situation
from clusterd.validation.verdicts import Category, Finding, OutcomeClass, Result, Test, Verdict

__all__ = [
    "BadChoice",
    "Category",
    "Certificate",
    "ClusterFacts",
    "Disk",
    "FenceFacts",
    "Filesystem",
    "Finding",
    "Group",
    "Hypervisor",
    "Interface",
    "MachineFacts",
    "Node",
    "NodeAnswer",
    "OutcomeClass",
    "PeerFacts",
    "Result",
    "Situation",
    "Test",
    "Verdict",
    "choose",
    "decode",
    "encode",
    "html_of",
    "judge",
    "outcome_class",
    "report_view",
]
