"""I/O. The resource-host process: runs resource types in threads and their processes in containments."""
