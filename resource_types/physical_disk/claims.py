"""Whose claims are on a disk that nobody uses, and how are they ended at an operator's wish? I/O.

Exactly the keys that are named are ended. A claim that came in between has another key and stays; so does whatever of this
cluster may still run, which whoever asks has to see to.
"""

import contextlib
import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from clusterd.resource_api import effective, schema_of
from resource_types.physical_disk import cdb
from resource_types.physical_disk.back_end import Clock, IoFailed, PathLost
from resource_types.physical_disk.iscsi_link import IscsiLink, Target
from resource_types.physical_disk.keys import View, key_of, parse, shown, trial_key
from resource_types.physical_disk.lease import Lease
from resource_types.physical_disk.lease_file import ALIVE_BYTE, LeaseFile
from resource_types.physical_disk.properties import EXACTLY_ONE, PROPERTIES, kind_and_place
from resource_types.physical_disk.reservation import CommandFailed, Conflict, Reservation
from resource_types.physical_disk.scsi_link import Connect, LinkLost
from resource_types.physical_disk.session import BootClock
from resource_types.physical_disk.sg_link import SgLink
from resource_types.plain_files import open_plain

COMPARE_WITHIN_MS = 1000
ROUNDS_MAX = 64
_CLEARING_NUMBER = 1


class Alive(Exception):
    """Whoever claimed it is there: the message says how that is seen. Nothing was ended."""


class _Asked(NamedTuple):
    """`cluster` is its id. `keys` are those to end, before `until_ms` by this machine's boot-time clock: who was frozen
    meanwhile does not do what was asked long ago. `nodes` are the cluster's, to be recognised by their part of a key."""

    cluster: str
    node: str
    disk: str
    properties: Mapping[str, Any]
    nodes: Sequence[str] = ()
    keys: Sequence[str] = ()
    until_ms: int = 0


def tell_claims(body: bytes) -> bytes:
    """`{"claims": [{"key", "is_holder", "is_ours", "generation", "nodes", "owner"}], "now_ms"}`, or `{"trouble": words}`."""
    asked = _Asked(**json.loads(body))

    def told() -> dict[str, Any]:
        view, owner = _open(asked).look()
        keys = sorted({*view.registered, *(() if view.holder is None else (view.holder,))})
        claims = [_described(each, view, asked, owner) for each in keys]
        return {"claims": claims, "now_ms": BootClock().now_ms()}

    return _answer(told)


def end_claims(body: bytes) -> bytes:
    """`{"ended": [key], "left": [key]}`, or `{"alive": words}` or `{"trouble": words}`."""
    asked = _Asked(**json.loads(body))
    keys = {int(each, 16) for each in asked.keys}

    def ended() -> dict[str, Any]:
        before, after = _open(asked).end(keys, asked.until_ms)
        return {"ended": [shown(each) for each in sorted((keys & before) - after)], "left": sorted(map(shown, after))}

    return _answer(ended)


def _answer(act: Any) -> bytes:
    try:
        return json.dumps(act()).encode()
    except Alive as error:
        return json.dumps({"alive": str(error)}).encode()
    except (PathLost, IoFailed) as error:
        return json.dumps({"trouble": str(error)}).encode()
    except OSError as error:
        words = f"{error.filename or 'libiscsi (Debian: libiscsi7)'}: {error.strerror or error}"
        return json.dumps({"trouble": words}).encode()


def _described(key: int, view: View, asked: _Asked, owner: str) -> dict[str, Any]:
    found = parse(key)
    ours = key_of(asked.cluster, asked.node, 1).cluster
    is_ours = found.cluster == ours
    nodes = [each for each in asked.nodes if is_ours and key_of(asked.cluster, each, 1).node == found.node]
    return {
        "key": shown(key),
        "is_holder": key == view.holder,
        "is_ours": is_ours,
        "generation": found.generation,
        "nodes": nodes if found.generation else [],
        "owner": owner,
    }


def _open(asked: _Asked) -> "_ScsiClaims | _ImageClaims":
    properties = effective(asked.properties, schema_of(PROPERTIES, exactly_one=EXACTLY_ONE))
    kind, where = kind_and_place(properties, node=asked.node, resource=f"{asked.disk}/claims")
    mine = trial_key(asked.cluster, _CLEARING_NUMBER).value
    match kind:
        case "iscsi":
            target = Target(*(where[name] for name in ("portal", "target", "unit", "initiator", "session")))
            return _ScsiClaims(lambda: IscsiLink(target), mine, BootClock())
        case "device":
            return _ScsiClaims(lambda: SgLink(where["path"]), mine, BootClock())
        case _:
            return _ImageClaims(where["path"])


class _ScsiClaims:
    """Through a session of its own, with a key that every owner outranks."""

    def __init__(self, connect: Connect, mine: int, clock: Clock) -> None:
        self._disk, self._mine, self._clock = Reservation(connect), mine, clock
        self._disk.survives_power_loss = False

    def look(self) -> tuple[View, str]:
        with self._connected():
            return self._disk.view(), ""

    def end(self, keys: Collection[int], until_ms: int) -> tuple[set[int], set[int]]:
        """What was there of any keys before, and after."""
        with self._connected():
            before = _keys(self._disk.view())
            if not before.isdisjoint(keys):
                self._end(keys, until_ms)
            return before, _keys(self._disk.view()) - {self._mine}

    def _end(self, keys: Collection[int], until_ms: int) -> None:
        try:
            self._disk.register_new(self._mine)
        except Conflict:
            _expect_in_time(self._clock, until_ms)
            self._let_go_of_own(keys)
            self._disk.register_new(self._mine)
        try:
            for _ in range(ROUNDS_MAX):
                view = self._disk.view()
                there = [key for key in (view.holder, *view.registered) if key in keys]
                if not there or self._mine not in view.registered:
                    return
                _expect_in_time(self._clock, until_ms)
                self._disk.preempt(self._mine, there[0] or 0)
        finally:
            with contextlib.suppress(Conflict):
                self._disk.release(self._mine)
            self._disk.unregister(self._mine)

    def _let_go_of_own(self, keys: Collection[int]) -> None:
        """Over a local device all that this node ever did is one session, and a claim of it is given up, not preempted."""
        for key in keys:
            self._disk.unregister(key)

    @contextlib.contextmanager
    def _connected(self) -> Any:
        try:
            self._disk.connect()
            yield
        except (LinkLost, cdb.Malformed) as error:
            raise PathLost(str(error)) from error
        except (CommandFailed, Conflict) as error:
            raise IoFailed(str(error)) from error
        finally:
            self._disk.disconnect()


class _ImageClaims:
    """The lease, and the lock of the session that made it."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._lease = LeaseFile(path, BootClock())

    def look(self) -> tuple[View, str]:
        with self._opened():
            now = self._lease.read()
            return View(now.key or None, (now.key,) if now.key else ()), now.owner

    def end(self, keys: Collection[int], until_ms: int) -> tuple[set[int], set[int]]:
        with self._opened(), self._lease.comparing(COMPARE_WITHIN_MS, has_evidence=False):
            now = self._lease.read()
            before = {now.key} - {0}
            if before.isdisjoint(keys):
                return before, before
            if not self._lease.try_lock(ALIVE_BYTE):
                raise Alive(f"the session that claimed {self._path} ({now.owner}) still runs, by its lock on the lease")
            self._lease.unlock(ALIVE_BYTE)
            _expect_in_time(BootClock(), until_ms)
            self._lease.write(Lease(0, "", now.counter + 1))
            return before, set()

    @contextlib.contextmanager
    def _opened(self) -> Any:
        with open(open_plain(self._path, or_device=True), "rb"):  # no lease is made for what is not there
            self._lease.open()
        try:
            yield
        finally:
            self._lease.close()


def _expect_in_time(clock: Clock, until_ms: int) -> None:
    if clock.now_ms() > until_ms:
        raise PathLost("it took so long that what was asked may be wrong by now: no more is ended")


def _keys(view: View) -> set[int]:
    return {*view.registered, *(() if view.holder is None else (view.holder,))}
