"""A web server that says which node, generation and process serves the page. Standard library only, up in milliseconds.

Usage: server.py PORT. It counts visits in the directory that `prepare` made; the count goes on after a failover.
"""

import json
import os
import socket
import sys
import threading
import time

REQUEST_SIZE_MAX = 16 << 10
CLIENT_WAIT_MAX_S = 5

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{node} serves this page</title>
<style>
  body {{ font: 18px/1.6 system-ui, sans-serif; max-width: 34em; margin: 12vh auto; padding: 0 1em;
         color: #1c2733; background: #f5f7fa }}
  h1 {{ font-size: 2.6em; margin: 0 }} dt {{ color: #66788a }} dd {{ margin: 0 }}
  dl {{ display: grid; grid-template-columns: 9em 1fr; gap: .3em 1em }}
  @media (prefers-color-scheme: dark) {{ body {{ color: #dde5ee; background: #12181f }} }}
</style>
<h1>{node}</h1>
<p>serves this page. Take it away (<code>clusterctl lab kill {node}</code>) and load the page again.</p>
<dl><dt>cluster</dt><dd>{cluster}</dd><dt>group</dt><dd>{group}</dd><dt>generation</dt><dd>{generation}</dd>
<dt>process</dt><dd>{pid}</dd><dt>running for</dt><dd>{running_s} s</dd><dt>visits, all nodes</dt><dd>{visits}</dd></dl>
"""


def data_directory() -> str:
    """The directory that the script `prepare` made."""
    cluster = os.environ.get("CLUSTERD_CLUSTER", "none")
    return f"{os.environ.get('TMPDIR', '/tmp')}/clusterd-demo-{os.getuid()}/{cluster}"


def count_visit() -> int:
    """Visits so far; one byte a visit, so that no count is lost between two processes."""
    try:
        file = os.open(f"{data_directory()}/visits", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    except OSError:
        return 0
    try:
        os.write(file, b".")
        return os.fstat(file).st_size
    finally:
        os.close(file)


def facts(started_s: float) -> dict[str, object]:
    """What the page says."""
    words = {
        each: os.environ.get(f"CLUSTERD_{each.upper()}", "?") for each in ("cluster", "node", "group", "generation")
    }
    running_s = round(time.monotonic() - started_s, 1)
    return {**words, "pid": os.getpid(), "running_s": running_s, "visits": count_visit()}


def answer(client: socket.socket, started_s: float) -> None:
    """One request, one answer."""
    with client:
        client.settimeout(CLIENT_WAIT_MAX_S)
        head = b""
        try:
            while b"\r\n\r\n" not in head and len(head) < REQUEST_SIZE_MAX:
                data = client.recv(4096)
                if not data:
                    return
                head += data
            path = head.split(b" ", 2)[1] if head.startswith((b"GET ", b"HEAD ")) else b""
            client.sendall(response(path, facts(started_s)))
        except (OSError, IndexError):
            return


def response(path: bytes, said: dict[str, object]) -> bytes:
    """The page at /, the same facts as JSON at /json, nothing elsewhere."""
    if path == b"/json":
        status, kind, body = "200 OK", "application/json", json.dumps(said)
    elif path == b"/":
        status, kind, body = "200 OK", "text/html; charset=utf-8", PAGE.format(**said)
    else:
        status, kind, body = "404 Not Found", "text/plain", "there is only / and /json\n"
    data = body.encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(data)}\r\n"
    return f"{head}Cache-Control: no-store\r\nConnection: close\r\n\r\n".encode() + data


def main() -> None:
    port = int(sys.argv[1])
    started_s = time.monotonic()
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError as error:
            sys.exit(f"port {port} cannot be used: {error.strerror}; stop what uses it, or change the port in web.yaml")
        listener.listen(64)
        print(f"serving on http://127.0.0.1:{port}/ as process {os.getpid()}", flush=True)
        while True:
            client, _ = listener.accept()
            threading.Thread(target=answer, args=(client, started_s), daemon=True).start()


if __name__ == "__main__":
    main()
