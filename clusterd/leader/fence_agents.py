"""Which fence agent answers for a node? Pure."""

from clusterd.database import DatabaseView
from clusterd.model.ids import NodeId


def fence_agents(view: DatabaseView) -> dict[NodeId, str]:
    """Nodes that have a fence agent, and its name: the first that names them, or that stands for all."""
    agents: dict[NodeId, str] = {}
    for fence in view.fences():
        for name in fence.nodes or tuple(each.name for each in view.nodes()):
            agents.setdefault(name, fence.name)
    return agents
