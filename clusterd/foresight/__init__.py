"""Pure. What would happen if …? The leader's own `decide`, run on a copy of the database, with owners that obey.

It foresees decisions, not accidents: what is started comes online, what is stopped stops, and nothing else fails.
"""

from clusterd.foresight.changes import lose_node
from clusterd.foresight.foresee import foresee
from clusterd.foresight.outlook import Outlook
from clusterd.foresight.story import Foresight, Happening, NotRunning, StepKind

__all__ = [
    "Foresight",
    "Happening",
    "NotRunning",
    "Outlook",
    "StepKind",
    "foresee",
    "lose_node",
]
