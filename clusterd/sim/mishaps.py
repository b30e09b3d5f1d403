"""What can befall a workload, and what may an operator ask of a single resource? Pure. Commands and claims of scenarios.

check a no|yes          the next health check says no, or yes again
complain a "text"       the workload inside complains        content a      …it does not any more
concern a "text"        a person should know something of it; "" when that is over
doubt a "text"          its checks break, or cannot tell; "" when they can again
warn a "text"           its resource type warns of something
crash-in-check a        the plug-in ends the host in which it checks a
simulate-failure a | kill-tree a | restart a | reset web | depend a "[b]" | want a online|offline | delete-resource a
wall-clock n1 -2h      the clock that people read jumps; nothing may be decided by it
unit a lun2             the record of a disk names another unit; what runs goes on with the one that it opened

resource a hands-off | moving | moved | went-on n2 | may-run | complains | doubted | outdated | concerns yes|no | starts N |
           restarts N | checked-every 5s
group web was-online | released | waits-for-node
"""

from collections.abc import Callable
from dataclasses import replace

from clusterd.model import keys
from clusterd.model.durations import parse_duration
from clusterd.model.ids import NodeId, key_of
from clusterd.model.records import ResourceRecord, ResourceReport
from clusterd.model.states import Wanted
from clusterd.sim.cluster import SimCluster
from clusterd.sim.host import UNIT, HostedWorkload, SimHost


class Mishaps:
    """Nature and an operator with an eye on one resource."""

    def __init__(self, cluster: SimCluster) -> None:
        self._cluster = cluster
        self._count = 0

    def find(self, word: str) -> Callable[..., None] | None:
        """The command called `word`."""
        found: Callable[..., None] | None = getattr(self, f"_do_{word.replace('-', '_')}", None)
        return found

    def _do_check(self, resource: str, answer: str) -> None:
        self._at_host(resource, lambda host: host.check(resource, is_well=answer == "yes"))

    def _do_wall_clock(self, name: str, jump: str) -> None:
        """Longer or shorter than before by that much, for good (a wrong time server, a daylight-saving script)."""
        sign = -1 if jump.startswith("-") else 1
        jump_ms = sign * parse_duration(jump.lstrip("+-"), unit="ms")
        self._cluster.machines[NodeId(name)].jump_wall_clock(jump_ms)

    def _do_complain(self, resource: str, message: str) -> None:
        self._at_host(resource, lambda host: host.complain(resource, message))

    def _do_concern(self, resource: str, message: str) -> None:
        self._at_host(resource, lambda host: host.complain(resource, message, is_concern=True))

    def _do_content(self, resource: str) -> None:
        self._at_host(resource, lambda host: host.complain(resource, ""))

    def _do_doubt(self, resource: str, message: str) -> None:
        self._at_host(resource, lambda host: host.doubt(resource, message))

    def _do_warn(self, resource: str, message: str) -> None:
        self._at_host(resource, lambda host: host.warn(resource, message))

    def _do_crash_in_check(self, resource: str) -> None:
        self._at_host(resource, lambda host: host.crash_in_check(resource))

    def _do_simulate_failure(self, resource: str) -> None:
        fail_id = self._new_id()
        self._change(resource, lambda record: replace(record, fail_id=fail_id))

    def _do_kill_tree(self, resource: str) -> None:
        kill_id = self._new_id()
        self._change(resource, lambda record: replace(record, kill_id=kill_id))

    def _do_depend(self, resource: str, expression: str) -> None:
        self._change(resource, lambda record: replace(record, depends_on=expression))

    def _do_unit(self, resource: str, unit: str) -> None:
        self._change(resource, lambda record: replace(record, private={**record.private, UNIT: unit}))

    def _do_want(self, resource: str, wanted: str) -> None:
        self._change(resource, lambda record: replace(record, wanted=Wanted(wanted)))

    def _do_delete_resource(self, resource: str) -> None:
        result = self._cluster.commit(lambda draft: draft.delete(keys.resource(resource)))
        if result is None or not result.succeeded:
            raise ValueError("the deletion was not committed")

    def _do_restart(self, resource: str) -> None:
        restart_id = self._new_id()
        self._change(resource, lambda record: replace(record, restart_id=restart_id))

    def _do_reset(self, group: str) -> None:
        record = self._cluster.view().group(group)
        if record is None:
            raise ValueError(f"there is no group {group}")
        after = replace(record, reset_id=self._new_id())
        self._cluster.commit(lambda draft: draft.replace(after))

    def _at_host(self, resource: str, do: Callable[[SimHost], bool]) -> None:
        machines = self._cluster.machines.values()
        if not any(do(host) for each in machines if each.guard for host in each.guard.hosts.values()):
            raise ValueError(f"{resource} runs nowhere, or is that already")

    def _change(self, resource: str, change: Callable[[ResourceRecord], ResourceRecord]) -> None:
        record = self._cluster.view().resource(resource)
        if record is None:
            raise ValueError(f"there is no resource {resource}")
        result = self._cluster.commit(lambda draft: draft.replace(change(record)))
        if result is None or not result.succeeded:
            raise ValueError("the change was not committed")

    def _new_id(self) -> str:
        self._count += 1
        return f"wish{self._count}"


def resource_claim(cluster: SimCluster, words: tuple[str, ...]) -> Callable[[], bool] | None:
    """What a scenario may claim of a resource and of its group's report; None: something else is claimed."""
    match words:
        case ("resource", name, "hands-off"):
            return lambda: (found := _report(cluster, name)) is not None and found.is_hands_off
        case ("resource", name, "moving"):
            return lambda: any(each.move is not None for each in _hosted(cluster, name))
        case ("resource", name, "moved"):
            return lambda: any(each.is_moved for each in _hosted(cluster, name))
        case ("resource", name, "prepared"):
            return lambda: any(each.memory is not None and each.memory.is_open for each in _hosted(cluster, name))
        case ("resource", name, "went-on", node):
            return lambda: f"{name} on {node}" in cluster.ledger.went_on
        case ("resource", name, "may-run"):
            return lambda: (found := _report(cluster, name)) is not None and found.may_run
        case ("resource", name, ("outdated" | "fresh") as word):
            return lambda: (found := _report(cluster, name)) is not None and found.is_outdated is (word == "outdated")
        case ("resource", name, "doubted"):
            return lambda: (found := _report(cluster, name)) is not None and bool(found.doubt)
        case ("resource", name, "complains"):
            return lambda: (found := _report(cluster, name)) is not None and bool(found.embedded_failure)
        case ("resource", name, "concerns", "yes" | "no" as whether):
            return lambda: (found := _report(cluster, name)) is not None and bool(found.concern) is (whether == "yes")
        case ("resource", name, "starts", number):
            return lambda: sum(run.resource == name for run in cluster.ledger.runs) == int(number)
        case ("resource", name, "restarts", number):
            return lambda: (found := _report(cluster, name)) is not None and len(found.restarts) == int(number)
        case ("resource", name, "checked-every", interval):
            return lambda: _checked_every_ms(cluster, name) == parse_duration(interval, unit="ms")
        case ("group", name, "was-online"):
            return lambda: (found := cluster.view().report(name)) is not None and found.was_online
        case ("group", name, "released"):
            return lambda: (found := cluster.view().report(name)) is not None and found.is_released
        case ("group", name, "waits-for-node"):
            return lambda: (found := cluster.view().report(name)) is not None and found.waits_for_node
        case _:
            return None


def _hosted(cluster: SimCluster, resource: str) -> list[HostedWorkload]:
    hosts = [host for each in cluster.machines.values() if each.guard for host in each.guard.hosts.values()]
    return [host.hosted[resource] for host in hosts if resource in host.hosted]


def _checked_every_ms(cluster: SimCluster, resource: str) -> int | None:
    hosts = [host for each in cluster.machines.values() if each.guard for host in each.guard.hosts.values()]
    return next((host.times[resource] for host in hosts if resource in host.times), None)


def _report(cluster: SimCluster, resource: str) -> ResourceReport | None:
    record = cluster.view().resource(resource)
    report = cluster.view().report(record.group) if record is not None else None
    return next((each for each in report.resources if key_of(each.name) == key_of(resource)), None) if report else None
