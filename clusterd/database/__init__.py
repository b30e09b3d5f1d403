"""Pure. The replicated key–value store: what it holds, how a transaction changes it, how it is read.

Replicas apply blindly and deterministically: what is legal was checked by the writer against a view, and the compares
of the transaction make that check hold at commit. The revision of a transaction is its position in the log.
"""

from clusterd.database.store import Database
from clusterd.database.transaction import Draft
from clusterd.database.view import DatabaseView

__all__ = ["Database", "DatabaseView", "Draft"]
