"""I/O. Entry points: they wire the parts together, nothing else."""
