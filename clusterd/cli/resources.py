"""Commands about resources. I/O."""

from collections.abc import Mapping
from typing import Any

import click

from clusterd.cli.client import path_to
from clusterd.cli.disk_claims import clear_claim
from clusterd.cli.maintenance import add_maintenance
from clusterd.cli.output import ago_text, clock_text, paint, plain, table
from clusterd.cli.properties import change, changing, settings_lines, with_properties
from clusterd.cli.session import carry_out, client_of, mutating, show
from clusterd.cli.standing import resource_standing_lines, words_text
from clusterd.cli.values import names_of, properties_of
from clusterd.cli.verbs import add_verb
from clusterd.model.durations import rough_text


@click.group()
def resource() -> None:
    """Resources: the managed things in a group.

    \b
    clusterctl resource list
    clusterctl resource create db-server --group db --type generic_service command=[/usr/bin/db]
    clusterctl resource depend db-server '[db-disk]'
    clusterctl resource fail web-server           see what its restart policy does
    clusterctl resource logs web-server
    clusterctl resource clear-claim db-disk       end what a former user left on a disk
    """


@resource.command(name="list")
@click.pass_context
def list_resources(ctx: click.Context) -> None:
    """Every resource with its state.

    \b
    clusterctl resource list
    """
    show(ctx, client_of(ctx).read("/v1/resources"), _list_lines)


def _list_lines(found: Mapping[str, Any]) -> list[str]:
    rows = [
        [
            each["name"],
            each["group"],
            each["type"],
            words_text(each),
            each["wanted"],
            each["owner"] or "-",
            str(each["pid"] or "-"),
            f"{each['restarts']['used']} of {each['restarts']['limit']}",
            ago_text(each["since"]),
            each["because"] or "-",
        ]
        for each in found["resources"]
    ]
    header = ["RESOURCE", "GROUP", "TYPE", "STATE", "WANTED", "OWNER", "PID", "RESTARTS", "SINCE", "WHY"]
    return table(header, rows)


@resource.command(name="show")
@click.argument("name")
@click.pass_context
def show_resource(ctx: click.Context, name: str) -> None:
    """One resource with its properties.

    \b
    clusterctl resource show web-server
    """
    show(ctx, client_of(ctx).read(path_to("resources", name)), _show_lines)


def _show_lines(found: Mapping[str, Any]) -> list[str]:
    each = found["resources"][0]
    restarts = each["restarts"]
    lines = [
        f"{paint(plain(each['name']), 'bold')} ({each['type']}) in group {plain(each['group'])}: "
        f"{words_text(each)}, wanted {each['wanted']}, owner {each['owner'] or 'none'}, "
        f"revision {each['revision']}",
        f"why: {plain(each['because']) or '-'}",
        f"pid: {each['pid'] or '-'}",
        f"restarts: {restarts['used']} of {restarts['limit']} used within {rough_text(restarts['window_ms'])}",
        f"depends on: {plain(each['depends_on']) or 'nothing'}",
        *resource_standing_lines(each),
    ]
    if each["possible_owners"]:
        lines.append(f"possible owners: {', '.join(each['possible_owners'])}")
    private = {name: value for name, value in each["properties"].items() if name not in _common_names(each)}
    in_force = each.get("in_force", {})
    lines += [f"{name}: {plain(value)}{_old(in_force, name)}" for name, value in private.items()]
    lines += [f"{name}: not set{_old(in_force, name)}" for name in in_force if name not in private]
    return [*lines, "", *settings_lines(each["settings"])]


def _old(in_force: Mapping[str, Any], name: str) -> str:
    """Beside a value that was changed while the resource is online: the one in force."""
    if name not in in_force:
        return ""
    old = in_force[name]
    return f" (in force after a restart; now: {'not set' if old is None else plain(old)})"


def _common_names(each: Mapping[str, Any]) -> set[str]:
    """The names under which a document has common properties: with the unit behind them where there is one."""
    return {name for one in each["settings"] for name in (one["name"], f"{one['name']}_{one['unit']}")}


@resource.command()
@click.argument("name")
@click.option("--group", "group_name", required=True, metavar="NAME", help="The group that it joins.")
@click.option("--type", "kind", required=True, metavar="TYPE", help="See: clusterctl resource-type list.")
@click.option("--depends-on", default=None, metavar="EXPRESSION", help="As in '([a] or [b]) and ([c])'.")
@click.option("--possible-owners", default=None, metavar="N1,N2", help="Nodes that may run it; all when left out.")
@with_properties
@click.pass_context
def create(
    ctx: click.Context,
    /,
    name: str,
    group_name: str,
    kind: str,
    depends_on: str | None,
    possible_owners: str | None,
    properties: tuple[str, ...],
    **how: Any,
) -> None:
    """Add a resource to a group, wanted offline.

    \b
    clusterctl resource create db-server --group db --type generic_service \\
        command='[/usr/bin/db, --port, "5000"]' 'ready={tcp: 5000}' restart_threshold=2
    """
    body = {
        "name": name,
        "group": group_name,
        "type": kind,
        "properties": properties_of(properties),
        "depends_on": depends_on,
        "possible_owners": names_of(possible_owners),
    }
    carry_out(ctx, "POST", "/v1/resources", body, **how)


@resource.command(name="set")
@click.argument("name")
@click.option("--possible-owners", default=None, metavar="N1,N2", help="Nodes that may run it; '' for all.")
@changing
@click.pass_context
def set_resource(ctx: click.Context, /, name: str, possible_owners: str | None, **how: Any) -> None:
    """Change properties, common ones and those of its type. Both spellings are understood.

    \b
    clusterctl resource set web-server restart_threshold=3 restart_period=10min
    clusterctl resource set web-server 'ready={tcp: 8082}' --unset RestartDelay
    """
    change(ctx, path_to("resources", name), parts={"possible_owners": names_of(possible_owners)}, **how)


@resource.command()
@click.argument("name")
@click.argument("expression")
@mutating
@click.pass_context
def depend(ctx: click.Context, /, name: str, expression: str, **how: Any) -> None:
    """Say what must be online before it; '' for nothing.

    \b
    clusterctl resource depend web-server '[web-data]'
    clusterctl resource depend app '([disk-a] or [disk-b]) and ([address])'
    """
    body = {"depends_on": expression}
    carry_out(ctx, "PATCH", path_to("resources", name), body, **how)


@resource.command()
@click.argument("name")
@click.option("--lines", type=click.IntRange(1, 10_000), default=100, show_default=True, help="The newest so many.")
@click.option("--previous", is_flag=True, help="Of the run before, on whatever node that was.")
@click.pass_context
def logs(ctx: click.Context, name: str, lines: int, previous: bool) -> None:
    """What it wrote, as far as its resource host kept it.

    \b
    clusterctl resource logs web-server
    clusterctl resource logs web-server --previous
    """
    query = {"previous": "1"} if previous else {}
    found = client_of(ctx).read(path_to("resources", name, "logs"), lines=str(lines), **query)
    show(ctx, found, _log_lines)


def _log_lines(found: Mapping[str, Any]) -> list[str]:
    head = []
    if "ended" in found:
        where = (
            f"on {plain(found['node'])}, under generation {found['generation']}, ended at {clock_text(found['ended'])}"
        )
        silent = f"; {plain(', '.join(found['silent']))} did not say" if found["silent"] else ""
        head.append(paint(f"the run {where}{silent}", "grey"))
    return [*head, *(plain(line) for line in found["text"].splitlines())]


add_verb(resource, "online", "resources", "Want the resource online, with what it needs.")
add_verb(resource, "offline", "resources", "Want the resource offline; what depends on it goes first.")
add_verb(resource, "fail", "resources", "Treat the resource as failed, once, to see what its policy does.")
add_verb(resource, "delete", "resources", "Delete a resource that is offline and that nothing depends on.")
add_verb(resource, "restart", "resources", "Stop the resource in good order and bring it online again.")
add_verb(resource, "kill", "resources", "Kill everything that is left of a resource that could not be stopped.")
add_maintenance(resource, "resources")
resource.add_command(clear_claim)
