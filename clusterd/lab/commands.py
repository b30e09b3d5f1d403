"""What can a person order a lab to do? I/O.

`clusterctl lab …`. The lab's name and the output format come from the global options, by `ctx.obj["lab"]` and
`ctx.obj["output"]`. Errors are raised as ClusterError and shown here, so that the group also works by itself.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

import click

from clusterd.model.errors import CODES, ClusterError, Code

DEFAULT_LAB = "demo"
UP_WAIT_MAX_MS = 60_000
DOWN_WAIT_MAX_MS = 30_000
PROGRESS_AFTER_MS = 2_000
PARTS = click.Choice(["node", "daemon", "guard", "host"])

P = ParamSpec("P")


def _reported(action: Callable[P, None]) -> Callable[P, None]:
    """Show an operating error as people and programs expect it, and end with its exit code."""

    @wraps(action)
    def shown(*arguments: P.args, **options: P.kwargs) -> None:
        try:
            action(*arguments, **options)
        except ClusterError as error:
            _show_error(error)
            raise click.exceptions.Exit(CODES.get(error.code, Code(500, 1)).exit_code) from None

    return shown


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
@_reported
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

    running = _running(_name(ctx))
    if running is not None:
        _check_same(ctx, running)
        wait_quorate(running, wait_max_ms=UP_WAIT_MAX_MS, progress=_progress())
        _show_up(ctx, running, "is running already")
        return
    options = LabOptions(
        name=_name(ctx),
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
@_reported
def down(ctx: click.Context, is_deleted: bool) -> None:
    from clusterd.lab.control import end_lab

    record = _running(_name(ctx))
    if record is not None:
        end_lab(record, wait_max_ms=DOWN_WAIT_MAX_MS)
    if is_deleted:
        _remove(_name(ctx))
    state, text = ("deleted", "is down and deleted") if is_deleted else ("stopped", "is down")
    _show(ctx, {"schema": 1, "name": _name(ctx), "state": state}, f"lab {_name(ctx)} {text}")


def _remove(name: str) -> None:
    """A lab that is gone already is deleted, and what an interrupted deletion left goes."""
    from clusterd.lab.layout import find_lab
    from clusterd.lab.removal import remove_lab, remove_remains
    from clusterd.model.errors import NotFound

    try:
        record = find_lab(name)
    except NotFound:
        remove_remains(name)
        return
    remove_lab(record)


@lab.command(name="list", help="All labs of this user.\n\nclusterctl lab list -o json")
@click.pass_context
@_reported
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
    _show(ctx, {"schema": 1, "labs": labs}, _table(["LAB", "STATE", "NODES", "PROFILE", "FOLDER"], rows))


@lab.command(help="The processes of a lab.\n\nclusterctl lab status -o json")
@click.pass_context
@_reported
def status(ctx: click.Context) -> None:
    found = _status(_name(ctx))
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
    _show(ctx, found, f"{title}, {found['dir']}\n{_table(header, rows)}{cuts}")


@lab.command(
    help="Kill at once (SIGKILL). A node: everything it runs, workloads too: a power loss.\n\n"
    "clusterctl lab kill n1\n\nclusterctl lab kill n1 --what daemon"
)
@click.argument("node")
@click.option("--what", type=PARTS, default="node", show_default=True)
@click.pass_context
@_reported
def kill(ctx: click.Context, node: str, what: str) -> None:
    _order(ctx, "kill", f"{node}: killed", node=node, what=what)


@lab.command(
    help="Remove all data of a node that does not run, as a disk that is replaced.\n\nclusterctl lab kill n1\n\n"
    "clusterctl lab wipe n1"
)
@click.argument("node")
@click.pass_context
@_reported
def wipe(ctx: click.Context, node: str) -> None:
    _order(ctx, "wipe", f"{node}: wiped", node=node)


@lab.command(help="Keep a copy of a node's data, to go back to.\n\nclusterctl lab mark n1 before")
@click.argument("node")
@click.argument("mark")
@click.pass_context
@_reported
def mark(ctx: click.Context, node: str, mark: str) -> None:
    _order(ctx, "mark", f"{node}: marked", node=node, mark=mark)


@lab.command(
    help="Put a copy in the place of the data of a node that does not run, as a restored disk.\n\n"
    "clusterctl lab rollback n1 --to before"
)
@click.argument("node")
@click.option("--to", "mark", required=True, metavar="MARK", help="A copy that `lab mark` made.")
@click.pass_context
@_reported
def rollback(ctx: click.Context, node: str, mark: str) -> None:
    _order(ctx, "rollback", f"{node}: rolled back", node=node, mark=mark)


@lab.command(
    help="Start what is missing of a node; a live guard of a killed daemon is adopted.\n\nclusterctl lab start n1"
)
@click.argument("node")
@click.pass_context
@_reported
def start(ctx: click.Context, node: str) -> None:
    _order(ctx, "start", f"{node}: started", node=node)


@lab.command(help="Stop a node in order: its daemon, then its guard.\n\nclusterctl lab stop n1")
@click.argument("node")
@click.pass_context
@_reported
def stop(ctx: click.Context, node: str) -> None:
    _order(ctx, "stop", f"{node}: stopped", node=node)


@lab.command(
    help="Freeze (SIGSTOP). The others take over what a frozen node runs, and with the fence agent on they power it "
    "off: bring it back with lab start.\n\nclusterctl lab pause n2\n\nclusterctl lab pause n2 --what host"
)
@click.argument("node")
@click.option("--what", type=PARTS, default="daemon", show_default=True)
@click.pass_context
@_reported
def pause(ctx: click.Context, node: str, what: str) -> None:
    _order(ctx, "pause", f"{node}: paused", node=node, what=what)


@lab.command(
    help="Let go on what was paused (SIGCONT). A node that was powered off meanwhile needs lab start.\n\n"
    "clusterctl lab resume n1"
)
@click.argument("node")
@click.option("--what", type=PARTS, default="daemon", show_default=True)
@click.pass_context
@_reported
def resume(ctx: click.Context, node: str, what: str) -> None:
    _order(ctx, "resume", f"{node}: resumed", node=node, what=what)


@lab.command(help="Cut the links between two nodes.\n\nclusterctl lab cut n1 n2\n\nclusterctl lab cut --one-way n1 n2")
@click.argument("a")
@click.argument("b")
@click.option("--one-way", is_flag=True, help="Drop only what A sends to B.")
@click.pass_context
@_reported
def cut(ctx: click.Context, a: str, b: str, one_way: bool) -> None:
    arrow = "->" if one_way else "<->"
    _order(ctx, "cut", f"cut {a} {arrow} {b}", one_way=one_way, **{"from": a, "to": b})


@lab.command(
    help="Cut a node off from all others. With the fence agent on they power it off after the silence limit: lab heal, then "
    "lab start. Without (lab up --no-fence) it stops its workloads by itself and is back after lab heal.\n\n"
    "clusterctl lab isolate n3"
)
@click.argument("node")
@click.pass_context
@_reported
def isolate(ctx: click.Context, node: str) -> None:
    _order(ctx, "isolate", f"{node} is cut off from all others", node=node)


@lab.command(
    help="Have each write of a node's daemon take MS milliseconds longer to become durable; 0: as before. lab heal ends "
    "it.\n\n"
    "clusterctl lab slow-disk n1 1500"
)
@click.argument("node")
@click.argument("ms", type=click.IntRange(0, 60_000))
@click.pass_context
@_reported
def slow_disk(ctx: click.Context, node: str, ms: int) -> None:
    sentence = f"{node}: each write takes {ms} ms longer" if ms else f"{node}: its disk is as quick as it is"
    _order(ctx, "slow-disk", sentence, node=node, ms=ms)


@lab.command(
    help="Leave no room on the disk of a node's daemon: nothing can be made durable there until lab heal. Nothing real is "
    "filled.\n\nclusterctl lab fill-disk n1"
)
@click.argument("node")
@click.pass_context
@_reported
def fill_disk(ctx: click.Context, node: str) -> None:
    _order(ctx, "fill-disk", f"{node}: its disk is full", node=node)


@lab.command(
    help="Have every sync of a node's daemon fail from now on: it tells the others why, and ends. After lab heal, lab start "
    "brings it back.\n\nclusterctl lab break-disk n1"
)
@click.argument("node")
@click.pass_context
@_reported
def break_disk(ctx: click.Context, node: str) -> None:
    _order(ctx, "break-disk", f"{node}: its disk fails", node=node)


@lab.command(
    help="Freeze a whole node, workloads too, as a paused virtual machine would be: no timer of its own runs. lab thaw ends "
    "it; with the fence agent on the others power it off before: bring it back with lab start.\n\nclusterctl lab freeze n2"
)
@click.argument("node")
@click.pass_context
@_reported
def freeze(ctx: click.Context, node: str) -> None:
    _order(ctx, "freeze", f"{node}: frozen", node=node)


@lab.command(
    help="Let a frozen node go on. What it ran is ended at once if its run lease has passed meanwhile.\n\n"
    "clusterctl lab thaw n2"
)
@click.argument("node")
@click.pass_context
@_reported
def thaw(ctx: click.Context, node: str) -> None:
    _order(ctx, "thaw", f"{node}: thawed", node=node)


@lab.command(
    help="Lose so many of a hundred packets on every link of the nodes named, or on all; 0 ends it, and so does lab heal. "
    "Streams and datagrams lose alike, both ways; no root needed.\n\n"
    "clusterctl lab loss 40\n\nclusterctl lab loss 20 n1 n2"
)
@click.argument("percent", type=click.IntRange(0, 100))
@click.argument("nodes", nargs=-1)
@click.pass_context
@_reported
def loss(ctx: click.Context, percent: int, nodes: tuple[str, ...]) -> None:
    where = f"the links of {' '.join(nodes)}" if nodes else "all links"
    _order(ctx, "loss", f"{where}: {percent} % of the packets are lost", percent=percent, nodes=list(nodes))


@lab.command(
    help="End what was put on links and disks: everything, or the cuts of one node, or those between two. Starts and thaws "
    "nothing: lab start and lab thaw do.\n\nclusterctl lab heal\n\nclusterctl lab heal n1 n2"
)
@click.argument("nodes", nargs=-1)
@click.pass_context
@_reported
def heal(ctx: click.Context, nodes: tuple[str, ...]) -> None:
    if len(nodes) > 2:
        raise click.UsageError("name two nodes, one, or none")
    _order(ctx, "heal", f"mended: {' '.join(nodes) or 'all links and disks'}", nodes=list(nodes))


def _order(ctx: click.Context, verb: str, sentence: str, **arguments: Any) -> None:
    from clusterd.lab.control import LabError, ask
    from clusterd.lab.layout import find_lab

    record = find_lab(_name(ctx))
    if not record.is_running:
        hint = f"clusterctl --lab {record.name} lab up"
        raise LabError("unreachable", f"lab {record.name} is not running", hint=hint)
    answer = ask(record, verb, **arguments)
    done = f" ({answer['done']})" if answer.get("done") else ""
    _show(ctx, {"schema": 1, **answer}, sentence + done)


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
    _show(ctx, document, "\n".join(lines + [f"  {each['name']}  {each['api']}" for each in nodes]))


def _show(ctx: click.Context, document: dict[str, Any], text: str) -> None:
    match _output(ctx):
        case "json":
            click.echo(json.dumps(document))
        case "yaml":
            import yaml

            click.echo(yaml.safe_dump(document, sort_keys=False), nl=False)
        case _:
            click.echo(text)


def _show_error(error: ClusterError) -> None:
    if _output(click.get_current_context()) == "json":
        content = {"code": error.code, "message": error.message, "hint": error.hint, "retryable": error.retryable}
        click.echo(json.dumps({"error": content}), err=True)
        return
    click.echo(f"error: {error.message}", err=True)
    if error.hint:
        click.echo(f"try: {error.hint}", err=True)


def _name(ctx: click.Context) -> str:
    return str((ctx.obj or {}).get("lab") or DEFAULT_LAB)


def _output(ctx: click.Context) -> str:
    return str((ctx.obj or {}).get("output") or "table")


def _table(header: list[str], rows: list[list[str]]) -> str:
    widths = [max(len(row[index]) for row in [header, *rows]) for index in range(len(header))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in [header, *rows]]
    return "\n".join(line.rstrip() for line in lines)


if __name__ == "__main__":
    sys.exit(lab(obj={}))
