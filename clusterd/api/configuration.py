"""Which properties, rules and group sets does the API change? I/O. Handlers; the planners are in `edits_*`."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from clusterd.api import edits_rules, edits_settings
from clusterd.api.plans import Planner, deed
from clusterd.api.requests import body, name_in, names_in, properties_in, switch_in
from clusterd.model.records import Json
from clusterd.model.rules import parse_rule_kind

CarryOut = Callable[[web.Request, Planner], Awaitable[web.Response]]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def write_routes(carry_out: CarryOut) -> list[web.RouteDef]:
    """Every change of properties, rules and group sets; `carry_out` plans, commits and answers."""

    def handler(planner_of: Callable[[web.Request], Awaitable[Planner]]) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            return await carry_out(request, await planner_of(request))

        return handle

    return [
        web.patch("/v1/cluster", handler(_cluster_set)),
        web.patch("/v1/nodes/{name}", handler(_node_set)),
        web.patch("/v1/resource-types/{name}", handler(_type_set)),
        web.post("/v1/rules", handler(_rule_create)),
        web.patch("/v1/rules/{name}", handler(_rule_set)),
        web.delete("/v1/rules/{name}", handler(_rule_delete)),
        web.post("/v1/group-sets", handler(_group_set_create)),
        web.patch("/v1/group-sets/{name}", handler(_group_set_set)),
        web.delete("/v1/group-sets/{name}", handler(_group_set_delete)),
    ]


# ---- changes ----


async def _property_edit(request: web.Request) -> edits_settings.PropertyEdit:
    given = await body(request, ("properties",))
    return edits_settings.PropertyEdit(properties_in(given) or {})


async def _cluster_set(request: web.Request) -> Planner:
    return deed(edits_settings.cluster_set, await _property_edit(request))


async def _node_set(request: web.Request) -> Planner:
    return deed(edits_settings.node_set, request.match_info["name"], await _property_edit(request))


async def _type_set(request: web.Request) -> Planner:
    return deed(edits_settings.type_set, request.match_info["name"], await _property_edit(request))


async def _rule_create(request: web.Request) -> Planner:
    given = await body(request, ("name", "kind", "groups", "enabled"))
    return deed(edits_rules.rule_create, name_in(given, "name"), parse_rule_kind(given.get("kind")), _rule_edit(given))


async def _rule_set(request: web.Request) -> Planner:
    given = await body(request, ("kind", "groups", "enabled"))
    return deed(edits_rules.rule_set, request.match_info["name"], _rule_edit(given))


def _rule_edit(given: dict[str, Json]) -> edits_rules.RuleEdit:
    kind = given.get("kind")
    is_enabled = switch_in(given, "enabled") if "enabled" in given else None
    return edits_rules.RuleEdit(None if kind is None else parse_rule_kind(kind), names_in(given, "groups"), is_enabled)


async def _rule_delete(request: web.Request) -> Planner:
    await body(request, ())
    return deed(edits_rules.rule_delete, request.match_info["name"])


async def _group_set_create(request: web.Request) -> Planner:
    given = await body(request, ("name", "groups", "providers", "properties"))
    return deed(edits_rules.group_set_create, name_in(given, "name"), _group_set_edit(given))


async def _group_set_set(request: web.Request) -> Planner:
    given = await body(request, ("groups", "providers", "properties"))
    return deed(edits_rules.group_set_set, request.match_info["name"], _group_set_edit(given))


def _group_set_edit(given: dict[str, Json]) -> edits_rules.GroupSetEdit:
    return edits_rules.GroupSetEdit(names_in(given, "groups"), names_in(given, "providers"), properties_in(given))


async def _group_set_delete(request: web.Request) -> Planner:
    await body(request, ())
    return deed(edits_rules.group_set_delete, request.match_info["name"])
