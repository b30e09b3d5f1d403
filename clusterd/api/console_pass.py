"""How does the page in a browser get in without the token? I/O (clock and randomness only).

`clusterctl console` asks for a *code* and puts it behind the '#' of the page's address, which browsers send to nobody. The
page changes it for a *session*, once, and takes it out of the address. A session reads and changes nothing. Both are signed
with a key made of the token, so that every node of the cluster takes them: a page whose node dies goes on at another one.

They end by the wall clock, as it has to be one that nodes share; a code lives for minutes, a session for hours.
"""

import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable

CODE_LIFE_S = 600
SESSION_LIFE_S = 12 * 3600
CODES_REMEMBERED_MAX = 4096
_READS = frozenset({"GET", "HEAD"})


class ConsolePass:
    """Makes and checks codes and sessions of one node."""

    def __init__(self, token: str, clock: Callable[[], float] = time.time) -> None:
        self._key = hashlib.sha256(b"clusterd console " + token.encode()).digest()
        self._clock = clock
        self._spent: OrderedDict[str, None] = OrderedDict()

    def code(self) -> str:
        """For one page, once."""
        return self._signed("code", CODE_LIFE_S)

    def session_for(self, code: str) -> str | None:
        """None for a code that is none, is too old, or was used here before."""
        if not self._is_valid("code", code) or code in self._spent:
            return None
        self._spent[code] = None
        while len(self._spent) > CODES_REMEMBERED_MAX:
            self._spent.popitem(last=False)
        return self._signed("session", SESSION_LIFE_S)

    def lets_in(self, given: str, method: str) -> bool:
        """Whether this is a session, and the request one that it is good for."""
        return method in _READS and self._is_valid("session", given)

    def _signed(self, kind: str, life_s: int) -> str:
        said = f"{int(self._clock()) + life_s}.{secrets.token_hex(16)}"
        return f"{said}.{self._seal(kind, said)}"

    def _is_valid(self, kind: str, given: str) -> bool:
        said, _, seal = given.rpartition(".")
        until, _, _ = said.partition(".")
        is_sealed = hmac.compare_digest(seal.encode("utf-8", "replace"), self._seal(kind, said).encode())
        return is_sealed and until.isdecimal() and self._clock() <= int(until)

    def _seal(self, kind: str, said: str) -> str:
        return hmac.new(self._key, f"{kind} {said}".encode("utf-8", "replace"), hashlib.sha256).hexdigest()
