"""May this machine be protected, and what would that take? Pure: facts in, eligibility and a plan out.

`facts` is what nodes say of the definitions they have, `storage` judges where one file lies, `eligibility` judges a whole
machine on the nodes that may own it, and `plan` says which group, resources and dependencies it gets.
"""

from clusterd.wizard.eligibility import Eligibility, Wish, eligible, with_disks
from clusterd.wizard.facts import DefinitionFacts, FileFacts, NodeDefinitions, decode_definitions
from clusterd.wizard.plan import MachinePlan, PlannedResource, machine_plan
from clusterd.wizard.storage import placed
from clusterd.wizard.surroundings import ClusterDisk, HostFacts, Surroundings

__all__ = [
    "ClusterDisk",
    "DefinitionFacts",
    "Eligibility",
    "FileFacts",
    "HostFacts",
    "MachinePlan",
    "NodeDefinitions",
    "PlannedResource",
    "Surroundings",
    "Wish",
    "decode_definitions",
    "eligible",
    "machine_plan",
    "placed",
    "with_disks",
]
