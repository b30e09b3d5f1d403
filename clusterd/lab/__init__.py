"""I/O. Clusters of real processes on one machine: the launcher that owns them, its power switch, and the commands."""
