"""Which properties, rules and group sets does the API show and change? I/O. Handlers; the planners are in `edits_*`."""

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from clusterd.api import edits_rules, edits_settings, settings_view, views
from clusterd.api.guarantees import guarantee_view
from clusterd.api.plans import Planner
from clusterd.api.port import NodeStatus
from clusterd.api.requests import body, name_in, names_in, properties_in, switch_in
from clusterd.api.rules_view import find_group_set, find_rule, group_set_view, rule_view
from clusterd.database import DatabaseView
from clusterd.model import keys
from clusterd.model.ids import key_of
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
    return edits_settings.cluster_set(await _property_edit(request))


async def _node_set(request: web.Request) -> Planner:
    return edits_settings.node_set(request.match_info["name"], await _property_edit(request))


async def _type_set(request: web.Request) -> Planner:
    return edits_settings.type_set(request.match_info["name"], await _property_edit(request))


async def _rule_create(request: web.Request) -> Planner:
    given = await body(request, ("name", "kind", "groups", "enabled"))
    return edits_rules.rule_create(name_in(given, "name"), parse_rule_kind(given.get("kind")), _rule_edit(given))


async def _rule_set(request: web.Request) -> Planner:
    given = await body(request, ("kind", "groups", "enabled"))
    return edits_rules.rule_set(request.match_info["name"], _rule_edit(given))


def _rule_edit(given: dict[str, Json]) -> edits_rules.RuleEdit:
    kind = given.get("kind")
    is_enabled = switch_in(given, "enabled") if "enabled" in given else None
    return edits_rules.RuleEdit(None if kind is None else parse_rule_kind(kind), names_in(given, "groups"), is_enabled)


async def _rule_delete(request: web.Request) -> Planner:
    await body(request, ())
    return edits_rules.rule_delete(request.match_info["name"])


async def _group_set_create(request: web.Request) -> Planner:
    given = await body(request, ("name", "groups", "providers", "properties"))
    return edits_rules.group_set_create(name_in(given, "name"), _group_set_edit(given))


async def _group_set_set(request: web.Request) -> Planner:
    given = await body(request, ("groups", "providers", "properties"))
    return edits_rules.group_set_set(request.match_info["name"], _group_set_edit(given))


def _group_set_edit(given: dict[str, Json]) -> edits_rules.GroupSetEdit:
    return edits_rules.GroupSetEdit(names_in(given, "groups"), names_in(given, "providers"), properties_in(given))


async def _group_set_delete(request: web.Request) -> Planner:
    await body(request, ())
    return edits_rules.group_set_delete(request.match_info["name"])


# ---- questions ----


def rules_document(view: DatabaseView, status: NodeStatus, _: web.Request) -> Any:
    return views.document(view, status, rules=[rule_view(view, each) for each in view.rules()])


def rule_document(view: DatabaseView, status: NodeStatus, request: web.Request) -> Any:
    record = find_rule(view, request.match_info["name"])
    return views.document(view, status, rules=[rule_view(view, record)])


def group_sets_document(view: DatabaseView, status: NodeStatus, _: web.Request) -> Any:
    return views.document(view, status, group_sets=[group_set_view(view, each) for each in view.group_sets()])


def group_set_document(view: DatabaseView, status: NodeStatus, request: web.Request) -> Any:
    record = find_group_set(view, request.match_info["name"])
    shown = {**group_set_view(view, record), "settings": settings_view.group_set_settings_view(record)}
    return views.document(view, status, group_sets=[shown])


def cluster_parts(view: DatabaseView) -> dict[str, Any]:
    """What `show` adds to the cluster: every property, and the revision that a change may insist on."""
    record = view.cluster()
    return {"settings": settings_view.cluster_settings_view(record), "revision": view.revision_of(keys.CLUSTER)}


def node_parts(view: DatabaseView, name: str) -> dict[str, Any]:
    record = view.node(name)
    shown = settings_view.node_settings_view(view, record) if record else []
    return {"settings": shown, "revision": view.revision_of(keys.node(name))}


def group_parts(view: DatabaseView, name: str) -> dict[str, Any]:
    record = view.group(name)
    shown = settings_view.group_settings_view(view, record) if record else []
    sets = [each.name for each in view.group_sets() if key_of(name) in {key_of(group) for group in each.groups}]
    rules = [each.name for each in view.rules() if key_of(name) in {key_of(group) for group in each.groups}]
    return {
        "settings": shown,
        "revision": view.revision_of(keys.group(name)),
        "group_sets": sets,
        "rules": rules,
        "guarantee": guarantee_view(view, record) if record else None,
    }


def resource_parts(view: DatabaseView, name: str) -> dict[str, Any]:
    record = view.resource(name)
    shown = settings_view.resource_settings_view(view, record) if record else []
    return {"settings": shown, "revision": view.revision_of(keys.resource(name))}


def type_parts(view: DatabaseView, name: str) -> dict[str, Any]:
    return {
        "settings": settings_view.type_settings_view(view, name),
        "revision": view.revision_of(keys.type_settings(name)),
    }
