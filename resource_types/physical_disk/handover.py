"""Do both ends of a live migration see the same disk? Pure.

The destination's session stands by and tells who holds the disk that it reaches. If that is not the source, it reaches
another one: a file of the same name on its own machine, say. Then nothing is handed over.
"""

import json
from collections.abc import Mapping
from typing import Any

from clusterd.resource_api import ResourceFailed

_COMPARED = ("size_bytes", "ids")


def seen_by(status: Mapping[str, Any], node: str) -> str:
    """For the source, of the status of a session that stands by."""
    return json.dumps({"node": node, "holder": status.get("holder"), **{each: status[each] for each in _COMPARED}})


def expect_same_disk(prepared: str, status: Mapping[str, Any], disk: str) -> None:
    """Raises ResourceFailed. `status` is that of the session that holds it."""
    try:
        there = json.loads(prepared)
        node, holder = str(there["node"]), there["holder"]
        differing = [each for each in _COMPARED if there[each] != status[each]]
    except (ValueError, TypeError, KeyError) as error:
        raise ResourceFailed(f"what the destination said of {disk} cannot be read: {error!r}") from error
    if holder != status["key"]:
        raise ResourceFailed(
            f"{node} sees {disk} held by {holder or 'nobody'}, and here it is held under {status['key']}: that is not the "
            "same disk, or its reservation was just renewed"
        )
    if differing:
        raise ResourceFailed(f"{node} sees {disk} with another {' and '.join(differing)} than this node")
