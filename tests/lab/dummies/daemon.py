"""A stand-in for the node daemon: answers /v1/status, obeys SIGTERM, and repeats its links file on SIGHUP."""

import json
import os
import signal
import sys
import tomllib
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

configuration = tomllib.loads(Path(sys.argv[1]).read_text())
token = Path(configuration["api_token_file"]).read_text()


def repeat_links(*_: object) -> None:
    seen = Path(configuration["data_dir"]) / "links.seen"
    half = seen.with_suffix(".new")
    half.write_text(Path(configuration["links_file"]).read_text())
    half.rename(seen)


class Api(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        is_allowed = self.headers["Authorization"] == f"Bearer {token}"
        body = json.dumps({"schema": 1, "as_of": {"quorate": True}, "run_id": os.environ["CLUSTERD_RUN_ID"]}).encode()
        self.send_response(200 if is_allowed else 401)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
signal.signal(signal.SIGHUP, repeat_links)
repeat_links()
host, _, port = configuration["api_listen"].rpartition(":")
print("dummy daemon is starting", flush=True)
HTTPServer((host, int(port)), Api).serve_forever()
