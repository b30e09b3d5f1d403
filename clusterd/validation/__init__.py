"""Is this cluster fit for what it promises? Pure: facts in, verdicts out.

`facts` is what nodes tell of themselves, `situation` is all of it together, each file of tests judges one category, and
`run` picks the tests and adds them up. Nothing here asks a node anything, and no test touches what runs.
"""

from clusterd.validation.facts import (
    Certificate,
    DiskSeen,
    FenceFacts,
    Filesystem,
    Hypervisor,
    Interface,
    MachineFacts,
    NodeAnswer,
    PeerFacts,
    decode,
    decode_disks,
    encode,
)
from clusterd.validation.report import html_of
from clusterd.validation.run import BadChoice, choose, judge, outcome_class, report_view
from clusterd.validation.situation import (
    ClusterFacts,
    Disk,
    DiskTrial,
    Group,
    MachineSetup,
    Node,
    Situation,
    TrialOutcome,
)
from clusterd.validation.verdicts import Category, Finding, OutcomeClass, Result, Test, Verdict

__all__ = [
    "BadChoice",
    "Category",
    "Certificate",
    "ClusterFacts",
    "Disk",
    "DiskSeen",
    "DiskTrial",
    "FenceFacts",
    "Filesystem",
    "Finding",
    "Group",
    "Hypervisor",
    "Interface",
    "MachineFacts",
    "MachineSetup",
    "Node",
    "NodeAnswer",
    "OutcomeClass",
    "PeerFacts",
    "Result",
    "Situation",
    "Test",
    "TrialOutcome",
    "Verdict",
    "choose",
    "decode",
    "decode_disks",
    "encode",
    "html_of",
    "judge",
    "outcome_class",
    "report_view",
]
