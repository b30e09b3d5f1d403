"""Pure. The whole brain of one node: `Node.step(event, now_ms) -> effects`.

The daemon, the simulator and the tests run the same object. It reads no clock, no disk and no network: what happened comes
in as an event, what must be done goes out as an effect.
"""

from clusterd.node.node import Node, NodeIdentity

__all__ = ["Node", "NodeIdentity"]
