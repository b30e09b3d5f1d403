"""What stands between the launcher and a process of a node? I/O.

Run as a script, without the package: `enter.py PARENT_PID CGROUP -- COMMAND …`. It asks the kernel to be killed with the
launcher, enters the node's control group, and becomes COMMAND. SIGHUP is ignored until the command installs its handler:
a lab announces cut links with it, and the default would end a daemon that is still starting.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    parent_pid, cgroup = int(arguments[0]), arguments[1]
    command = arguments[3:]
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:
        sys.exit(f"the launcher {parent_pid} ended before {command[0]} could start")
    if cgroup:
        with open(os.path.join(cgroup, "cgroup.procs"), "w", encoding="ascii") as file:
            file.write("0")
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    os.execv(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
