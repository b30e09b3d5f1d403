"""Pure. Do the invariants hold? Judges of ledgers and histories, shared by simulation, chaos runs and tests."""

from clusterd.checkers.one_owner import Life, Overlap, overlaps

__all__ = ["Life", "Overlap", "overlaps"]
