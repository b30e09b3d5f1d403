"""I/O. `clusterctl`: a client of the API, but for the labs and the tools for authors of resource types."""
