"""clusterd: a failover-cluster manager for Linux. See docs/ARCHITECTURE.md for the map of the packages."""
