"""I/O. The daemon: feeds `Node` with what happens, performs its effects, supervises guard and hosts."""
