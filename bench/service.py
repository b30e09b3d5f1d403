"""A service that answers each connection with its node and generation; ready 20 ms after its start."""

import os
import socket
import sys
import time

READY_AFTER_S = 0.020

answer = f"{os.environ.get('CLUSTERD_NODE', '-')} {os.environ.get('CLUSTERD_GENERATION', '-')} {os.getpid()}\n".encode()
started = time.clock_gettime(time.CLOCK_BOOTTIME)
with open("/proc/self/stat", encoding="ascii") as stat:
    born = int(stat.read().rsplit(") ", 1)[1].split()[19]) / os.sysconf("SC_CLK_TCK")
time.sleep(max(0.0, READY_AFTER_S - max(0.0, min(READY_AFTER_S, started - born))))
with socket.socket() as server:
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("127.0.0.1", int(sys.argv[1])))
    server.listen(64)
    while True:
        connection, _ = server.accept()
        with connection:
            connection.sendall(answer)
