"""Who may knock? I/O. A bearer token over TCP, or the peer's user id on the local socket; no identity, no answer.

The page in a browser has a session in place of the token, which reads only."""

import hashlib
import hmac
import os
import socket
import struct

from aiohttp import web

from clusterd.api.console_pass import ConsolePass
from clusterd.model.errors import ClusterError

_PEER_CREDENTIALS = struct.Struct("3i")


class Unauthorized(ClusterError):
    """No valid token came with the request. Nothing was read or changed."""

    code = "unauthorized"


class Access:
    """Compares in constant time, on digests, so that neither length nor content of the token shows."""

    def __init__(self, token: str, console_pass: ConsolePass) -> None:
        if not token:
            raise ValueError("an API without a token would be open to everybody")
        self._console_pass = console_pass
        self._digest = hashlib.sha256(token.encode()).digest()

    def check(self, request: web.Request) -> None:
        """Raises Unauthorized."""
        if self._is_local_owner(request):
            return
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        digest = hashlib.sha256(given.strip().encode("utf-8", "surrogateescape")).digest()
        is_bearer = scheme.lower() == "bearer"
        if is_bearer and self._console_pass.lets_in(given.strip(), request.method):
            return
        if not is_bearer or not hmac.compare_digest(digest, self._digest):
            hint = "give the token as 'Authorization: Bearer …'; clusterctl finds a lab's own token by itself"
            raise Unauthorized("the request came without a valid token", hint=hint)

    @staticmethod
    def _is_local_owner(request: web.Request) -> bool:
        """On the local socket: the user that the daemon runs as, or root."""
        connection = request.transport.get_extra_info("socket") if request.transport else None
        if connection is None or connection.family != socket.AF_UNIX:
            return False
        raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER_CREDENTIALS.size)
        _, user_id, _ = _PEER_CREDENTIALS.unpack(raw)
        return user_id in (0, os.getuid())
