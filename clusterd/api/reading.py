"""Which questions does the API answer? I/O. Every node answers from its own copy of the database, and says how old it is."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from aiohttp import web

from clusterd.api import configuration, explain, finding, group_views, views
from clusterd.api.export import export_manifest
from clusterd.api.node_views import node_view
from clusterd.api.observed import observe_groups
from clusterd.api.port import ClusterPort, NodeStatus
from clusterd.api.requests import json_answer, number, timeout_ms
from clusterd.api.stream import Streams
from clusterd.database import DatabaseView
from clusterd.model.errors import BadInput, NotFound
from clusterd.model.ids import key_of
from clusterd.model.settings import cluster_settings

LOG_LINES_MAX = 10_000

Answer = Callable[[DatabaseView, NodeStatus, web.Request], Any]


class Reading:
    """Handlers of every GET."""

    def __init__(self, port: ClusterPort, streams: Streams) -> None:
        self._port = port
        self._streams = streams

    def routes(self) -> list[web.RouteDef]:
        answers: dict[str, Answer] = {
            "/v1/status": lambda view, status, _: views.status_document(view, status),
            "/v1/quorum": lambda view, status, _: views.document(view, status, **views.quorum_view(status)),
            "/v1/cluster": _cluster,
            "/v1/nodes": _nodes,
            "/v1/nodes/{name}": _node,
            "/v1/groups": _groups,
            "/v1/groups/{name}": _group,
            "/v1/resources": _resources,
            "/v1/resources/{name}": _resource,
            "/v1/resource-types": _resource_types,
            "/v1/resource-types/{name}": _resource_type,
            "/v1/rules": configuration.rules_document,
            "/v1/rules/{name}": configuration.rule_document,
            "/v1/group-sets": configuration.group_sets_document,
            "/v1/group-sets/{name}": configuration.group_set_document,
        }
        return [
            *(web.get(path, self._handler(answer)) for path, answer in answers.items()),
            web.get("/v1/explain/{kind}/{name}", self._explain),
            web.get("/v1/stream", self._streams.everything),
            web.get("/v1/export", self._export),
            web.get("/v1/resources/{name}/logs", self._logs),
        ]

    def _handler(self, answer: Answer) -> Callable[[web.Request], Any]:
        async def handle(request: web.Request) -> web.Response:
            await freshen(self._port, request)
            return json_answer(answer(self._port.view(), self._port.status(), request))

        return handle

    async def _explain(self, request: web.Request) -> web.Response:
        """In a thread: to say why a group does not go back, every node and group may have to be looked at."""
        await freshen(self._port, request)
        copy, status = self._port.view().fork(), self._port.status()
        kind, name = request.match_info["kind"], request.match_info["name"]
        return json_answer(await asyncio.to_thread(_explanation, copy, status, kind, name))

    async def _export(self, request: web.Request) -> web.Response:
        await freshen(self._port, request)
        return web.Response(text=export_manifest(self._port.view()), content_type="application/yaml")

    async def _logs(self, request: web.Request) -> web.Response:
        record = finding.find_resource(self._port.view(), request.match_info["name"])
        lines = number(request, "lines", 100, most=LOG_LINES_MAX)
        data = await self._port.ask_owner(
            record.name, "logs", json.dumps({"lines": lines}).encode(), timeout_ms(request)
        )
        text = "\n".join(data.decode("utf-8", "replace").splitlines()[-lines:])
        return json_answer(views.document(self._port.view(), self._port.status(), resource=record.name, text=text))


async def freshen(port: ClusterPort, request: web.Request) -> None:
    """`?level=linearizable` waits until this copy holds everything that was acknowledged before."""
    level = request.query.get("level", "local")
    if level == "linearizable":
        await port.linearizable(timeout_ms(request))
    elif level != "local":
        raise BadInput(f"level is local or linearizable, not {level!r}")


def _cluster(view: DatabaseView, status: NodeStatus, _: web.Request) -> Any:
    record = view.cluster()
    times = cluster_settings(record)
    return views.document(
        view,
        status,
        name=record.name,
        id=record.id,
        version=status.version,
        properties={
            "same_subnet_delay_ms": times.same_subnet_delay_ms,
            "same_subnet_threshold": times.same_subnet_threshold,
            "run_lease_ms": times.run_lease_ms,
            "stop_budget_ms": times.stop_budget_ms,
        },
        silence_max_ms=times.silence_max_ms,
        expiry_ms=times.expiry_ms,
        fence_agents=[{"name": each.name, "agent": each.agent, "nodes": list(each.nodes)} for each in view.fences()],
        **configuration.cluster_parts(view),
    )


def _nodes(view: DatabaseView, status: NodeStatus, _: web.Request) -> Any:
    return views.document(view, status, nodes=[node_view(view, status, each) for each in view.nodes()])


def _node(view: DatabaseView, status: NodeStatus, request: web.Request) -> Any:
    record = finding.find_node(view, request.match_info["name"])
    shown = {**node_view(view, status, record), **configuration.node_parts(view, record.name)}
    return views.document(view, status, nodes=[shown])


def _groups(view: DatabaseView, status: NodeStatus, _: web.Request) -> Any:
    groups = observe_groups(view, is_quorate=status.is_quorate)
    return views.document(view, status, groups=[group_views.group_view(view, status, each) for each in groups])


def _group(view: DatabaseView, status: NodeStatus, request: web.Request) -> Any:
    group = finding.observe(view, status, request.match_info["name"])
    shown = {**group_views.group_view(view, status, group), **configuration.group_parts(view, group.record.name)}
    return views.document(view, status, groups=[shown])


def _resources(view: DatabaseView, status: NodeStatus, _: web.Request) -> Any:
    groups = observe_groups(view, is_quorate=status.is_quorate)
    found = [group_views.resource_view(status, group, each) for group in groups for each in group.resources]
    return views.document(view, status, resources=sorted(found, key=lambda each: key_of(each["name"])))


def _resource(view: DatabaseView, status: NodeStatus, request: web.Request) -> Any:
    record = finding.find_resource(view, request.match_info["name"])
    group = finding.observe(view, status, record.group)
    found = [each for each in group.resources if key_of(each.record.name) == key_of(record.name)]
    parts = configuration.resource_parts(view, record.name)
    shown = [{**group_views.resource_view(status, group, each), **parts} for each in found]
    return views.document(view, status, resources=shown)


def _resource_types(view: DatabaseView, status: NodeStatus, _: web.Request) -> Any:
    return views.document(view, status, resource_types=views.resource_types_view(view.resource_types()))


def _resource_type(view: DatabaseView, status: NodeStatus, request: web.Request) -> Any:
    name = request.match_info["name"]
    found = [each for each in views.resource_types_view(view.resource_types()) if key_of(each["name"]) == key_of(name)]
    if not found:
        raise NotFound(f"there is no resource type {name}", hint="clusterctl resource-type list names those there are")
    shown = [{**each, **configuration.type_parts(view, each["name"])} for each in found]
    return views.document(view, status, resource_types=shown)


def _explanation(view: DatabaseView, status: NodeStatus, kind: str, name: str) -> Any:
    match kind:
        case "group":
            return explain.explain_group(view, status, name)
        case "resource":
            return explain.explain_resource(view, status, name)
        case "node":
            return explain.explain_node(view, status, name)
        case _:
            raise NotFound(f"there is no kind {kind!r} to explain", hint="explain group, node or resource")
