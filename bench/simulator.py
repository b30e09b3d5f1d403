"""How long does a virtual hour of a three-node cluster with ten groups and faults take? Pure work, no real processes.

    python -m bench.simulator [VIRTUAL_SECONDS]

Prints one JSON document; the time is that of the process, so a busy machine changes it little.
"""

import json
import sys
import time
from dataclasses import replace

from clusterd.sim.storm import Storm, Weather

FIGURE = "simulated hour: 3 nodes, 10 groups, with faults"
HOUR_S = 3600


def main(virtual_s: int = HOUR_S) -> None:
    weather = Weather(duration_ms=virtual_s * 1000, groups=10, between_ms=(1000, 20_000), mending=5)
    storm = Storm(1, weather, settings=lambda drawn: replace(drawn, nodes=("n1", "n2", "n3"), profile="default"))
    began = time.process_time()
    broken = storm.run()
    took_s = time.process_time() - began
    print(
        json.dumps(
            {
                "figure": FIGURE,
                "seconds": round(took_s, 2),
                "virtual_seconds": storm.cluster.timeline.now_ms // 1000,
                "messages": storm.cluster.network.messages,
                "faults": len(storm.did),
                "broken_promises": broken,
            }
        )
    )


if __name__ == "__main__":
    main(*(int(each) for each in sys.argv[1:2]))
