"""How does a terminal become a machine's serial console? I/O. A Unix socket on this computer, byte for byte."""

import contextlib
import os
import select
import socket
import sys
import termios
import time
import tty
from collections.abc import Iterator

import click

from clusterd.model.errors import ClusterError

LEAVE = b"\x1d"  # Ctrl-]
CHUNK = 4096
LOOK_AGAIN_S = 0.2


def attach(path: str, *, machine: str, node: str, longest_ms: int | None) -> None:
    """Both ways until Ctrl-], the end of the machine or of the time; without a terminal only its words, for `longest_ms`."""
    line = _connect(path, machine=machine, node=node)
    until = time.monotonic() + longest_ms / 1000 if longest_ms is not None else None
    is_two_way = longest_ms is None and sys.stdin.isatty()
    try:
        if is_two_way:
            click.echo(f"console of {machine} on {node}; Ctrl-] leaves it", err=True)
        with _raw() if is_two_way else contextlib.nullcontext():
            has_ended = _carry(line, is_two_way=is_two_way, until=until)
        if has_ended:
            click.echo("the machine has ended", err=True)
    finally:
        line.close()
        if is_two_way:
            click.echo("", err=True)


def _connect(path: str, *, machine: str, node: str) -> socket.socket:
    line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        line.connect(path)
    except FileNotFoundError as error:
        line.close()
        hint = (
            f"on {node}: clusterctl vm console {machine}, or from here: ssh -t {node} clusterctl vm console {machine}"
        )
        raise ClusterError(
            f"the console of {machine} is on {node}, at {path}, and not on this computer", hint=hint
        ) from error
    except OSError as error:
        line.close()
        hint = "one console at a time: close the other, and be the user that clusterd's host runs as"
        raise ClusterError(f"the console of {machine} at {path}: {error.strerror}", hint=hint) from error
    return line


def _carry(line: socket.socket, *, is_two_way: bool, until: float | None) -> bool:
    """True when the machine ended it."""
    said = b""
    sources: list[int] = [line.fileno(), *([sys.stdin.fileno()] if is_two_way else [])]
    while until is None or time.monotonic() < until:
        ready, _, _ = select.select(sources, [], [], LOOK_AGAIN_S)
        if line.fileno() in ready:
            try:
                said = line.recv(CHUNK)
            except ConnectionError:
                return True
            if not said:
                return True
            sys.stdout.buffer.write(said)
            sys.stdout.buffer.flush()
        if is_two_way and sys.stdin.fileno() in ready:
            typed = os.read(sys.stdin.fileno(), CHUNK)
            before, leave, _ = typed.partition(LEAVE)
            try:
                line.sendall(before)
            except ConnectionError:
                return True
            if leave or not typed:
                return False
    if said and not said.endswith(b"\n"):
        click.echo("")  # the time is over in the midst of a line
    return False


@contextlib.contextmanager
def _raw() -> Iterator[None]:
    """Every key goes to the guest; the terminal is as it was afterwards."""
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    try:
        tty.setraw(descriptor)
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
