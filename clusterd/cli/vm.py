"""clusterctl vm: machines of the cluster, seen and handled. I/O."""

import base64
import binascii
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from clusterd.cli.client import path_to
from clusterd.cli.output import ago_text, plain, state_text, table
from clusterd.cli.session import Milliseconds, carry_out, client_of, mutating, output_of, show
from clusterd.cli.vm_console import attach
from clusterd.cli.vm_create import create
from clusterd.cli.vm_protect import protect
from clusterd.model.errors import ClusterError

SPEED_MAX_MIB = 1_000_000
STOP_KINDS = ("save", "shut-down", "forced-shut-down", "turn-off")


@click.group()
def vm() -> None:
    """Virtual machines: list, show, create, protect, start, stop, save, reset, speed, console, screenshot.

    A machine is called by its own name or by that of its group. It is moved with clusterctl group move.
    """


vm.add_command(protect)
vm.add_command(create)


@vm.command(name="list")
@click.pass_context
def list_machines(ctx: click.Context) -> None:
    """Every machine, where it is and what QEMU says of it.

    \b
    clusterctl vm list
    """
    show(ctx, client_of(ctx).read_computed("/v1/machines"), list_lines)


def list_lines(document: Mapping[str, Any]) -> list[str]:
    rows = [
        (
            each["name"],
            state_text(each["state"]),
            _guest_text(each),
            each["owner"] or "-",
            each["group"],
            f"{each['memory_demand_mib']} MiB",
            ago_text(each["since"]),
        )
        for each in document["machines"]
    ]
    if not rows:
        return ["there is no machine; make one: clusterctl vm create tiny1 --template tiny"]
    return table(("NAME", "STATE", "GUEST", "NODE", "GROUP", "MEMORY", "SINCE"), rows)


@vm.command(name="show")
@click.argument("name")
@click.pass_context
def show_machine(ctx: click.Context, name: str) -> None:
    """One machine with all that QEMU says of it.

    \b
    clusterctl vm show vm1
    """
    show(ctx, client_of(ctx).read_computed(path_to("machines", name)), show_lines)


def show_lines(document: Mapping[str, Any]) -> list[str]:
    each = document["machines"][0]
    lines = [
        f"{plain(each['name'])}: {state_text(each['state'])}, wanted {each['wanted']}",
        f"  group       {plain(each['group'])}, on {plain(each['owner'] or 'no node')}",
        f"  definition  {plain(each['definition'])}",
        f"  demands     {each['memory_demand_mib']} MiB, {each['core_demand']} cores",
    ]
    if each["because"]:
        lines.append(f"  because     {plain(each['because'])}")
    for key, value in (each["guest"] or {}).items():
        if value is not None and value != "":
            lines.append(f"  {key.replace('_', ' '):<24}{plain(value)}")
    if each["trouble"]:
        lines.append(f"  it does not answer: {plain(each['trouble'])}")
    return lines


@vm.command()
@click.argument("name")
@mutating
@click.pass_context
def start(ctx: click.Context, /, name: str, **how: Any) -> None:
    """Start it, or resume its saved memory. What it needs comes along.

    \b
    clusterctl vm start vm1
    """
    carry_out(ctx, "POST", path_to("resources", _machine(ctx, name)["name"], "online"), **how)


@vm.command()
@click.argument("name")
@click.option(
    "--kind",
    type=click.Choice(STOP_KINDS),
    help="save keeps its memory; shut-down presses the power button; forced-shut-down also orders it through the guest "
    "agent; turn-off pulls the plug. Without it its offline_action decides.",
)
@mutating
@click.pass_context
def stop(ctx: click.Context, /, name: str, kind: str | None, **how: Any) -> None:
    """Stop it. It stays stopped until it is started.

    \b
    clusterctl vm stop vm1
    """
    _stop(ctx, name, kind, **how)


@vm.command()
@click.argument("name")
@mutating
@click.pass_context
def save(ctx: click.Context, /, name: str, **how: Any) -> None:
    """Stop it and keep its memory, so that the next start goes on where it was; the same as stop --kind save.

    \b
    clusterctl vm save vm1
    """
    _stop(ctx, name, "save", **how)


def _stop(ctx: click.Context, name: str, kind: str | None, *, plan: bool, **how: Any) -> None:
    machine = _machine(ctx, name)
    if kind and not plan and machine["state"] == "online":
        _order(ctx, machine["name"], "next-offline-action", kind)
    carry_out(ctx, "POST", path_to("resources", machine["name"], "offline"), plan=plan, **how)


@vm.command()
@click.argument("name")
@click.pass_context
def reset(ctx: click.Context, name: str) -> None:
    """Restart the guest at once, as by its reset button; what it has not written is lost. It counts as no failure.

    \b
    clusterctl vm reset vm1
    """
    done = _order(ctx, name, "reset", "")
    show(ctx, done, lambda told: [f"{plain(told['machine'])}: its reset button was pressed on {plain(told['node'])}"])


@vm.command()
@click.argument("name")
@click.argument("mib", metavar="MIB", type=click.FloatRange(0, SPEED_MAX_MIB))
@click.pass_context
def speed(ctx: click.Context, name: str, mib: float) -> None:
    """How many MiB a second the live move that is under way may take; 0: as many as it can.

    The next move goes by its property migration_bandwidth_mib again.

    \b
    clusterctl vm speed vm1 50
    """
    done = _order(ctx, name, "migration-bandwidth", f"{mib:g}")
    most = f"at most {mib:g} MiB a second" if mib else "as fast as it can"
    show(ctx, done, lambda told: [f"{plain(told['machine'])}: its memory moves {most}"])


def _order(ctx: click.Context, name: str, verb: str, action: str) -> dict[str, Any]:
    order = {"verb": verb, "action": action}
    done: dict[str, Any] = client_of(ctx).change("POST", path_to("machines", name, "order"), order)
    return done


@vm.command()
@click.argument("name")
@click.option("--for", "longest_ms", type=Milliseconds(), help="Only show what it says, for this long.")
@click.pass_context
def console(ctx: click.Context, name: str, longest_ms: int | None) -> None:
    """The machine's serial console in this terminal; Ctrl-] leaves it. It must run on this computer (as in a lab).

    \b
    clusterctl vm console vm1
    """
    found = client_of(ctx).read_computed(path_to("machines", name, "console"))
    if output_of(ctx) != "table":
        show(ctx, found, lambda _: [])
        return
    attach(found["path"], machine=found["machine"], node=found["node"], longest_ms=longest_ms)


@vm.command()
@click.argument("name")
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False), required=False)
@click.pass_context
def screenshot(ctx: click.Context, name: str, path: Path | None) -> None:
    """Write what its display shows to a PNG file (NAME.png). Its definition must give it a display.

    \b
    clusterctl vm screenshot vm1 vm1.png
    """
    found = client_of(ctx).read_computed(path_to("machines", name, "screenshot"))
    target = path or Path(f"{found['machine']}.png")
    try:
        target.write_bytes(base64.b64decode(found["png"], validate=True))
    except (OSError, binascii.Error) as error:
        raise ClusterError(f"{target} cannot be written: {error}", hint="name another file") from error
    written = {"schema": 1, "machine": found["machine"], "path": os.path.abspath(target)}
    show(ctx, written, lambda document: [f"written: {plain(document['path'])}"])


def _machine(ctx: click.Context, name: str) -> dict[str, Any]:
    found: dict[str, Any] = client_of(ctx).read_computed(path_to("machines", name))["machines"][0]
    return found


def _guest_text(machine: Mapping[str, Any]) -> str:
    if machine["guest"]:
        return str(machine["guest"].get("status", "?"))
    return "no answer" if machine["trouble"] else "-"
