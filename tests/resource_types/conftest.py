"""A host with the shipped types only."""

from tests.reshost.conftest import bench, marked

__all__ = ["bench", "marked"]
