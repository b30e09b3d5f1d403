"""What can a person order a lab to do? I/O.

`clusterctl lab …`. The lab's name and the output format come from the global options, by `ctx.obj["lab"]` and
`ctx.obj["output"]`. Errors are raised as ClusterError and shown here, so that the group also works by itself.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from clusterd.lab.orders import ORDERS
from clusterd.lab.shown import lab_name, reported, show, table

UP_WAIT_MAX_MS = 60_000
DOWN_WAIT_MAX_MS = 30_000
PROGRESS_AFTER_MS = 2_000


@click.group(name="lab", help="Clusters of real processes on this machine.")
def lab() -> None:
    pass


@lab.command(
    help="Start a lab and wait until it is quorate; one that runs already is reused.\n\n"
    "clusterctl lab up\n\nclusterctl --lab test lab up --nodes 5 --profile fast"
)
@click.option("--nodes", type=click.IntRange(1, 64), default=3, show_default=True, help="How many nodes.")
@click.option("--dir", "folder", default="", help="Folder for everything of the lab; must be empty or an old lab.")
@click.option("--profile", type=click.Choice(["default", "fast"]), default="default", show_default=True)
@click.option("--no-fence", is_flag=True, help="No power switch: takeover waits for the run lease to expire.")
@click.option("--plugins", multiple=True, help="Folder with resource types; may be repeated.")
@click.option("--foreground", is_flag=True, help="Stay in the terminal; Ctrl-C ends the lab.")
@click.option("--programs", default="", hidden=True, help="JSON file naming other programs than the real ones.")
@click.pass_context
@reported
def up(
    ctx: click.Context,
    nodes: int,
    folder: str,
    profile: str,
    no_fence: bool,
    plugins: tuple[str, ...],
    foreground: bool,
    programs: str,
) -> None:
    import msgspec

    from clusterd.lab.control import let_go, start_launcher, wait_quorate
    from clusterd.lab.options import LabOptions, Programs

    running = _running(lab_name(ctx))
    if running is not None:
        _check_same(ctx, running)
        wait_quorate(running, wait_max_ms=UP_WAIT_MAX_MS, progress=_progress())
        _show_up(ctx, running, "is running already")
        return
    options = LabOptions(
        name=lab_name(ctx),
        dir=os.path.abspath(folder) if folder else "",
        node_count=nodes,
        profile=profile,
        fence=not no_fence,
        is_attached=foreground,
        plugins=tuple(os.path.abspath(each) for each in plugins),
        programs=msgspec.json.decode(Path(programs).read_bytes(), type=Programs) if programs else Programs(),
    )
    record, watcher = start_launcher(options)
    wait_quorate(record, wait_max_ms=UP_WAIT_MAX_MS, progress=_progress(), is_new=True)
    _show_up(ctx, record, "is up")
    if foreground:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: watcher.terminate())
        ctx.exit(watcher.wait())
    let_go(watcher)


@lab.command(
    help="End a lab and everything in it. Its folder with logs and data stays until the next lab up.\n\n"
    "clusterctl lab down\n\nclusterctl --lab test lab down --delete"
)
@click.option("--delete", "is_deleted", is_flag=True, help="Delete the lab's folder too, with the data of every node.")
@click.pass_context
@reported
def down(ctx: click.Context, is_deleted: bool) -> None:
    from clusterd.lab.control import end_lab

    record = _running(lab_name(ctx))
    if record is not None:
        end_lab(record, wait_max_ms=DOWN_WAIT_MAX_MS)
    left = _remove(lab_name(ctx)) if is_deleted else ""
    state, text = ("deleted", f"is down and deleted{left}") if is_deleted else ("stopped", "is down")
    show(ctx, {"schema": 1, "name": lab_name(ctx), "state": state}, f"lab {lab_name(ctx)} {text}")


def _remove(name: str) -> str:
    """A lab that is gone already is deleted, and what an interrupted deletion left goes. What to say of what is left."""
    from clusterd.lab.layout import find_lab
    from clusterd.lab.removal import remove_lab, remove_remains
    from clusterd.model.errors import NotFound

    try:
        record = find_lab(name)
    except NotFound:
        remove_remains(name)
        return ""
    left = remove_lab(record)
    return f"; not made by it, and left in {record.dir}: {', '.join(left)}" if left else ""


@lab.command(name="list", help="All labs of this user.\n\nclusterctl lab list -o json")
@click.pass_context
@reported
def list_labs(ctx: click.Context) -> None:
    from clusterd.lab.layout import all_labs

    labs = [
        {
            "name": each.name,
            "state": "running" if each.is_running else "stopped",
            "pid": each.pid if each.is_running else None,
            "nodes": len(each.nodes),
            "profile": each.profile,
            "dir": each.dir,
        }
        for each in all_labs()
    ]
    rows = [[str(each[key]) for key in ("name", "state", "nodes", "profile", "dir")] for each in labs]
    show(ctx, {"schema": 1, "labs": labs}, table(["LAB", "STATE", "NODES", "PROFILE", "FOLDER"], rows))


@lab.command(help="The processes of a lab.\n\nclusterctl lab status -o json")
@click.pass_context
@reported
def status(ctx: click.Context) -> None:
    found = _status(lab_name(ctx))
    rows = [
        [
            node["name"],
            node["state"],
            node["daemon_state"],
            str(node["pid"] or "-"),
            str(node["guard_pid"] or "-"),
            " ".join(map(str, node["host_pids"])) or "-",
            str(len(node["workload_pids"])),
            node["api"],
        ]
        for node in found["nodes"]
    ]
    header = ["NODE", "STATE", "DAEMON", "PID", "GUARD", "HOSTS", "WORKLOADS", "API"]
    cuts = "".join(f"\ncut: {cut['from']} -> {cut['to']}" for cut in found["cuts"])
    cuts += "".join(f"\nloss: {' - '.join(each['between'])} {each['percent']} %" for each in found["losses"])
    cuts += "".join(_disk_line(node["name"], node["disk"]) for node in found["nodes"])
    title = (
        f"lab {found['name']}: {found['state']}, profile {found['profile']}, fence {'on' if found['fence'] else 'off'}"
    )
    show(ctx, found, f"{title}, {found['dir']}\n{table(header, rows)}{cuts}")


def _status(name: str) -> dict[str, Any]:
    from clusterd.lab.control import ask
    from clusterd.lab.layout import find_lab

    record = find_lab(name)
    if record.is_running:
        return ask(record, "status")
    nothing = {"state": "stopped", "daemon_state": "stopped", "guard_state": "stopped", "pid": None, "guard_pid": None}
    empty: dict[str, Any] = {"host_pids": [], "workload_pids": [], "run_id": None, "netns": None}
    empty["disk"] = {"slow_ms": 0, "full": False, "broken": False}
    nodes = [
        {"name": each.name, **nothing, **empty, "api": each.api_url, "peer": each.peer, "data_dir": each.data_dir}
        for each in record.nodes
    ]
    known = {"name": record.name, "dir": record.dir, "profile": record.profile, "fence": record.fence}
    return {"schema": 1, **known, "state": "stopped", "pid": None, "cuts": [], "losses": [], "nodes": nodes}


def _disk_line(node: str, disk: dict[str, Any]) -> str:
    slow = f"\ndisk: {node} takes {disk['slow_ms']} ms longer for each write" if disk["slow_ms"] else ""
    full = f"\ndisk: {node} has no room" if disk["full"] else ""
    return slow + full + (f"\ndisk: {node} is broken" if disk["broken"] else "")


def _running(name: str) -> Any:
    """The record of the lab when it runs, else None."""
    from clusterd.lab.layout import check_name, running_labs

    check_name(name)
    return next((each for each in running_labs() if each.name == name), None)


def _check_same(ctx: click.Context, record: Any) -> None:
    """A lab that runs with other options than the ones given is not what was asked for."""
    from clusterd.lab.control import LabError

    found = {"nodes": len(record.nodes), "profile": record.profile, "no_fence": not record.fence}
    for option, value in found.items():
        given = ctx.get_parameter_source(option) is click.core.ParameterSource.COMMANDLINE
        if given and ctx.params[option] != value:
            hint = f"clusterctl --lab {record.name} lab down"
            text = f"lab {record.name} is running with --{option.replace('_', '-')} {value}"
            raise LabError("refused", text, hint=hint)


def _progress() -> Callable[[str], None]:
    """Prints what is waited for, once it takes longer than people expect; each line once."""
    begin_ns = time.monotonic_ns()
    shown = ""

    def show(text: str) -> None:
        nonlocal shown
        if text != shown and time.monotonic_ns() - begin_ns > PROGRESS_AFTER_MS * 1_000_000:
            shown = text
            click.echo(text, err=True)

    return show


def _show_up(ctx: click.Context, record: Any, state: str) -> None:
    nodes = [{"name": each.name, "api": each.api_url} for each in record.nodes]
    document = {"schema": 1, "name": record.name, "state": "running", "dir": record.dir, "nodes": nodes}
    lines = [f"lab {record.name} {state}: {len(nodes)} nodes, {record.dir}"]
    show(ctx, document, "\n".join(lines + [f"  {each['name']}  {each['api']}" for each in nodes]))


for each in ORDERS:
    lab.add_command(each)

if __name__ == "__main__":
    sys.exit(lab(obj={}))
