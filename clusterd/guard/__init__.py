"""I/O. The guard process: holds the run lease, is the parent of the hosts, and ends everything when the lease does."""
