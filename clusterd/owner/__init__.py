"""Pure. What a node does with the groups that it owns: order of online and offline, checks, restarts, reports."""

from clusterd.owner.arriving import MigrationProposal
from clusterd.owner.commands import (
    CallAnswer,
    CallInHost,
    CallOutcome,
    HostCall,
    Hosted,
    HostEnd,
    HostEndKind,
    KillHost,
    StartHost,
    Verb,
)
from clusterd.owner.fencing import FenceProposal
from clusterd.owner.machine import Happening
from clusterd.owner.now import Now
from clusterd.owner.owner import Owner, OwnerProposal
from clusterd.owner.plan import OwnerPlan
from clusterd.owner.reports import ReportProposal

__all__ = [
    "CallAnswer",
    "CallInHost",
    "CallOutcome",
    "FenceProposal",
    "Happening",
    "HostCall",
    "HostEnd",
    "HostEndKind",
    "Hosted",
    "KillHost",
    "MigrationProposal",
    "Now",
    "Owner",
    "OwnerPlan",
    "OwnerProposal",
    "ReportProposal",
    "StartHost",
    "Verb",
]
