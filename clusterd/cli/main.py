"""Where does `clusterctl` begin, and how does it end? I/O. Commands are imported only when they are asked for."""

import importlib
import io
import itertools
import sys
from collections.abc import Sequence

import click

from clusterd.cli.failures import USAGE_EXIT, exit_code_of, show_failure
from clusterd.model.errors import BadInput, ClusterError

# Options of the whole command; they may stand anywhere, as in `clusterctl status -o json`.
_GLOBAL_OPTIONS = {"-o": "--output", "--output": "--output", "--endpoint": "--endpoint", "--lab": "--lab"}
OUTPUTS = ("table", "json", "yaml")

COMMANDS: dict[str, tuple[str, str]] = {
    "status": ("clusterd.cli.overview:status", "The whole cluster on one screen, worst first."),
    "events": ("clusterd.cli.timeline:events", "What happened, and what led to it; also as one page to keep."),
    "explain": ("clusterd.cli.explanations:explain", "Why a group, node or resource is as it is."),
    "what-if": ("clusterd.cli.foresight:what_if", "What would follow: node n2 down, drain n1, group web move n3."),
    "plan": ("clusterd.cli.foresight:plan", "Plans made with --plan: show, apply."),
    "capacity": ("clusterd.cli.foresight:capacity", "Whether every group would still find a node if some were lost."),
    "wait": ("clusterd.cli.overview:wait", "Wait until something is true."),
    "apply": ("clusterd.cli.manifests:apply", "Make the cluster what a manifest says."),
    "diff": ("clusterd.cli.manifests:diff", "What applying a manifest would change."),
    "export": ("clusterd.cli.manifests:export", "The present configuration as a manifest."),
    "group": (
        "clusterd.cli.groups:group",
        "Groups: list, show, create, set, online, offline, move, verify, maintenance, delete.",
    ),
    "resource": (
        "clusterd.cli.resources:resource",
        "Resources: list, show, create, set, depend, online, fail, kill, maintenance …",
    ),
    "node": ("clusterd.cli.nodes:node", "Nodes: list, show, set, pause, drain, resume, stop, fence, maintenance …"),
    "quorum": ("clusterd.cli.nodes:quorum", "Votes: show."),
    "rule": ("clusterd.cli.rules:rule", "Rules that keep groups together or apart: list, show, create, set, delete."),
    "group-set": ("clusterd.cli.group_sets:group_set", "Which groups start first: list, show, create, set, delete."),
    "cluster": ("clusterd.cli.cluster:cluster", "The cluster itself: show, set, maintenance."),
    "resource-type": ("clusterd.cli.resource_types:resource_type", "Resource types: list, show, set, new, test."),
    "vm": ("clusterd.cli.vm:vm", "Machines: list, show, create, protect, start, stop, save, console, screenshot."),
    "validate": ("clusterd.cli.validation:validate", "Test nodes, network, storage, configuration and hypervisors."),
    "reports": ("clusterd.cli.reports:reports", "What validation and the wizard said before: list, show."),
    "console": ("clusterd.cli.overview:console", "The address of the web page."),
    "lab": ("clusterd.lab.commands:lab", "Clusters of real processes on this machine: up, down, kill, cut …"),
}


class _LazyGroup(click.Group):
    """A group whose commands live elsewhere until they are run."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        found = getattr(importlib.import_module(module), attribute)
        return found if isinstance(found, click.Command) else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in COMMANDS and not name.startswith("-") and not ctx.resilient_parsing:
            raise click.NoSuchCommand(name, possibilities=list(COMMANDS), ctx=ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, says) for name, (_, says) in COMMANDS.items()])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option(
    "-o", "--output", type=click.Choice(OUTPUTS), default="table", help="Form of the result; table is for people."
)
@click.option("--endpoint", default="", metavar="URL", help="Ask this node: http://HOST:PORT or unix:///PATH.")
@click.option(
    "--lab", default="", metavar="NAME", help="Ask (or make) this lab; lab verbs take demo when none is named."
)
@click.version_option(package_name="clusterd")
@click.pass_context
def clusterctl(ctx: click.Context, output: str, endpoint: str, lab: str) -> None:
    """Ask and steer a clusterd cluster.

    Where it connects: --endpoint, --lab, $CLUSTERCTL_ENDPOINT, the local node's socket, or the only running lab.
    Exit codes: 0 done, 2 accepted and pending (--no-wait), 3 refused by a rule, 4 no quorum, 5 conflict, 6 the wait ran
    out (the work goes on), 64 wrong usage, 1 anything else.

    \b
    clusterctl lab up                     a cluster of three nodes on this machine
    clusterctl apply -f web.yaml          say what should run
    clusterctl status                     see it
    clusterctl group move web n3          move a group
    clusterctl explain group web          why it is where it is
    clusterctl events --follow            watch
    """
    ctx.obj = {"output": output, "endpoint": endpoint, "lab": lab}


def hoist_global_options(arguments: Sequence[str]) -> list[str]:
    """Global options to the front, wherever they stand before a `--`."""
    front: list[str] = []
    rest: list[str] = []
    waiting = list(arguments)
    while waiting:
        each = waiting.pop(0)
        name, equals, value = each.partition("=")
        if each == "--":
            rest += [each, *waiting]
            break
        if each in _GLOBAL_OPTIONS and waiting:
            front += [_GLOBAL_OPTIONS[each], waiting.pop(0)]
        elif equals and name.startswith("--") and name in _GLOBAL_OPTIONS:
            front += [_GLOBAL_OPTIONS[name], value]
        elif each.startswith("-o") and each[2:].lstrip("=") in OUTPUTS:
            front += ["--output", each[2:].lstrip("=")]
        else:
            rest.append(each)
    return front + rest


def main(arguments: Sequence[str]) -> int:
    """Run one command. Returns its exit code; errors are shown on standard error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # after the work was done, its telling must not fail
    hoisted = hoist_global_options(arguments)
    output = "json" if "json" in _values_of("--output", hoisted) else "table"
    try:
        result = clusterctl.main(args=hoisted, prog_name="clusterctl", standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except ClusterError as error:
        show_failure(error, output)
        return exit_code_of(error)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return USAGE_EXIT
    except click.UsageError as error:
        show_failure(BadInput(error.format_message(), hint=_usage_hint(error)), output)
        return USAGE_EXIT
    except click.ClickException as error:
        show_failure(ClusterError(error.format_message()), output)
        return 1
    except (click.Abort, KeyboardInterrupt):
        return 130
    except BrokenPipeError:
        # Whoever read our output (head, less) has seen enough.
        sys.stderr.close()
        return 1


def run() -> None:
    """Entry point."""
    sys.exit(main(sys.argv[1:]))


def _values_of(option: str, arguments: Sequence[str]) -> list[str]:
    return [value for name, value in itertools.pairwise(arguments) if name == option]


def _usage_hint(error: click.UsageError) -> str:
    path = error.ctx.command_path if error.ctx is not None else "clusterctl"
    return f"{path} --help"


if __name__ == "__main__":
    run()
