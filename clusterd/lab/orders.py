"""What can a person order the nodes, links and disks of a running lab? I/O. The launcher carries it out."""

from dataclasses import dataclass
from typing import Any

import click

from clusterd.lab.shown import lab_name, reported, show

PARTS = click.Choice(["node", "daemon", "guard", "host"])


@dataclass(frozen=True, slots=True)
class _Plain:
    """An order about one node, and perhaps a part of it."""

    verb: str
    sentence: str
    help: str
    what: str = ""
    """The part that is meant when none is named; empty: it is about the whole node."""

    def command(self) -> click.Command:
        params: list[click.Parameter] = [click.Argument(["node"])]
        if self.what:
            params.append(click.Option(["--what"], type=PARTS, default=self.what, show_default=True))
        return click.Command(
            self.verb, callback=click.pass_context(reported(self._carry_out)), params=params, help=self.help
        )

    def _carry_out(self, ctx: click.Context, node: str, **more: Any) -> None:
        order(ctx, self.verb, self.sentence.format(node=node), node=node, **more)


_PLAIN = (
    _Plain(
        "kill",
        "{node}: killed",
        (
            "Kill at once (SIGKILL). A node: everything it runs, workloads too: a power loss.\n\n"
            "clusterctl lab kill n1\n\nclusterctl lab kill n1 --what daemon"
        ),
        what="node",
    ),
    _Plain(
        "wipe",
        "{node}: wiped",
        (
            "Remove all data of a node that does not run, as a disk that is replaced.\n\nclusterctl lab kill n1\n\n"
            "clusterctl lab wipe n1"
        ),
    ),
    _Plain(
        "start",
        "{node}: started",
        ("Start what is missing of a node; a live guard of a killed daemon is adopted.\n\nclusterctl lab start n1"),
    ),
    _Plain(
        "stop",
        "{node}: stopped",
        ("Stop a node in order: its daemon, then its guard.\n\nclusterctl lab stop n1"),
    ),
    _Plain(
        "pause",
        "{node}: paused",
        (
            "Freeze (SIGSTOP). The others take over what a frozen node runs, and with the fence agent on they power it "
            "off: bring it back with lab start.\n\nclusterctl lab pause n2\n\nclusterctl lab pause n2 --what host"
        ),
        what="daemon",
    ),
    _Plain(
        "resume",
        "{node}: resumed",
        (
            "Let go on what was paused (SIGCONT). A node that was powered off meanwhile needs lab start.\n\n"
            "clusterctl lab resume n1"
        ),
        what="daemon",
    ),
    _Plain(
        "isolate",
        "{node} is cut off from all others",
        (
            "Cut a node off from all others. With the fence agent on they power it off after the silence limit: lab heal, "
            "then lab start. Without (lab up --no-fence) it stops its workloads by itself and is back after lab heal.\n\n"
            "clusterctl lab isolate n3"
        ),
    ),
    _Plain(
        "fill-disk",
        "{node}: its disk is full",
        (
            "Leave no room on the disk of a node's daemon: nothing can be made durable there until lab heal. Nothing real "
            "is filled.\n\nclusterctl lab fill-disk n1"
        ),
    ),
    _Plain(
        "break-disk",
        "{node}: its disk fails",
        (
            "Have every sync of a node's daemon fail from now on: it tells the others why, and ends. After lab heal, lab "
            "start brings it back.\n\nclusterctl lab break-disk n1"
        ),
    ),
    _Plain(
        "freeze",
        "{node}: frozen",
        (
            "Freeze a whole node, workloads too, as a paused virtual machine would be: no timer of its own runs. lab thaw "
            "ends it; with the fence agent on the others power it off before: bring it back with lab start.\n\n"
            "clusterctl lab freeze n2"
        ),
    ),
    _Plain(
        "thaw",
        "{node}: thawed",
        (
            "Let a frozen node go on. What it ran is ended at once if its run lease has passed meanwhile.\n\n"
            "clusterctl lab thaw n2"
        ),
    ),
)


@click.command(help="Keep a copy of a node's data, to go back to.\n\nclusterctl lab mark n1 before")
@click.argument("node")
@click.argument("mark")
@click.pass_context
@reported
def mark(ctx: click.Context, node: str, mark: str) -> None:
    order(ctx, "mark", f"{node}: marked", node=node, mark=mark)


@click.command(
    help="Put a copy in the place of the data of a node that does not run, as a restored disk.\n\n"
    "clusterctl lab rollback n1 --to before"
)
@click.argument("node")
@click.option("--to", "mark", required=True, metavar="MARK", help="A copy that `lab mark` made.")
@click.pass_context
@reported
def rollback(ctx: click.Context, node: str, mark: str) -> None:
    order(ctx, "rollback", f"{node}: rolled back", node=node, mark=mark)


@click.command(
    help="Cut the links between two nodes.\n\nclusterctl lab cut n1 n2\n\nclusterctl lab cut --one-way n1 n2"
)
@click.argument("a")
@click.argument("b")
@click.option("--one-way", is_flag=True, help="Drop only what A sends to B.")
@click.pass_context
@reported
def cut(ctx: click.Context, a: str, b: str, one_way: bool) -> None:
    arrow = "->" if one_way else "<->"
    order(ctx, "cut", f"cut {a} {arrow} {b}", one_way=one_way, **{"from": a, "to": b})


@click.command(
    help="Have each write of a node's daemon take MS milliseconds longer to become durable; 0: as before. lab heal ends "
    "it.\n\n"
    "clusterctl lab slow-disk n1 1500"
)
@click.argument("node")
@click.argument("ms", type=click.IntRange(0, 60_000))
@click.pass_context
@reported
def slow_disk(ctx: click.Context, node: str, ms: int) -> None:
    sentence = f"{node}: each write takes {ms} ms longer" if ms else f"{node}: its disk is as quick as it is"
    order(ctx, "slow-disk", sentence, node=node, ms=ms)


@click.command(
    help="Lose so many of a hundred packets on every link of the nodes named, or on all; 0 ends it, and so does lab heal. "
    "Streams and datagrams lose alike, both ways; no root needed.\n\n"
    "clusterctl lab loss 40\n\nclusterctl lab loss 20 n1 n2"
)
@click.argument("percent", type=click.IntRange(0, 100))
@click.argument("nodes", nargs=-1)
@click.pass_context
@reported
def loss(ctx: click.Context, percent: int, nodes: tuple[str, ...]) -> None:
    where = f"the links of {' '.join(nodes)}" if nodes else "all links"
    order(ctx, "loss", f"{where}: {percent} % of the packets are lost", percent=percent, nodes=list(nodes))


@click.command(
    help="End what was put on links and disks: everything, or the cuts of one node, or those between two. Starts and thaws "
    "nothing: lab start and lab thaw do.\n\nclusterctl lab heal\n\nclusterctl lab heal n1 n2"
)
@click.argument("nodes", nargs=-1)
@click.pass_context
@reported
def heal(ctx: click.Context, nodes: tuple[str, ...]) -> None:
    if len(nodes) > 2:
        raise click.UsageError("name two nodes, one, or none")
    order(ctx, "heal", f"mended: {' '.join(nodes) or 'all links and disks'}", nodes=list(nodes))


ORDERS = (*(each.command() for each in _PLAIN), mark, rollback, cut, slow_disk, loss, heal)


def order(ctx: click.Context, verb: str, sentence: str, **arguments: Any) -> None:
    from clusterd.lab.control import LabError, ask
    from clusterd.lab.layout import find_lab

    record = find_lab(lab_name(ctx))
    if not record.is_running:
        hint = f"clusterctl --lab {record.name} lab up"
        raise LabError("unreachable", f"lab {record.name} is not running", hint=hint)
    answer = ask(record, verb, **arguments)
    done = f" ({answer['done']})" if answer.get("done") else ""
    show(ctx, {"schema": 1, **answer}, sentence + done)
