"""I/O. The outside world behind small ports: disk, gRPC, certificates, fence agents, processes and containment."""
