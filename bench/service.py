"""A service that answers each connection with its node and generation; ready 20 ms after its start.

It imports as little as it can: the interpreter takes 7 ms by itself, the `socket` module another 10.
"""

import _socket
import os
import sys
import time

ADDRESS_REUSE = (_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)

answer = f"{os.environ.get('CLUSTERD_NODE', '-')} {os.environ.get('CLUSTERD_GENERATION', '-')} {os.getpid()}\n".encode()
time.sleep(0.010)
server = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
server.setsockopt(*ADDRESS_REUSE)
server.bind(("127.0.0.1", int(sys.argv[1])))
server.listen(64)
while True:
    descriptor, _ = server._accept()  # type: ignore[attr-defined]  # the stubs of _socket leave it out
    os.write(descriptor, answer)
    os.close(descriptor)
