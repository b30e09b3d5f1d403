"""The workload that tells on itself: it writes who it is and when, every few milliseconds, to a file outside the nodes."""

import os
import sys
import time

EVERY_S = 0.005

who = f"{os.environ['CLUSTERD_NODE']} {os.environ['CLUSTERD_GENERATION']} {os.getpid()}"
with open(sys.argv[1], "ab", buffering=0) as ledger:
    while True:
        ledger.write(f"{time.clock_gettime_ns(time.CLOCK_BOOTTIME)} {who}\n".encode())
        time.sleep(EVERY_S)
