"""Any graph, any failures, any wishes: order, limits and honesty hold, and once it is quiet everything is as wanted."""

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from clusterd.checkers import dependency_breaches, limit_breaches, stop_breaches
from clusterd.model.records import Properties
from clusterd.sim import SimCluster, SimSettings
from clusterd.sim.host import Dials
from clusterd.sim.mishaps import Mishaps
from clusterd.sim.wishes import Wishes
from tests.owner.test_intend import NAMES, expressions

NOTICED_US = 400_000
"""How long after a provider's end its owner may still start a dependent: what it does not know yet."""
NEWS_US = 300
"""How long the news of a workload's end takes to an owner whose daemon and host are there."""
WORDS = (
    "fail", "check-no", "check-yes", "simulate", "kill-tree", "complain", "host", "daemon", "offline", "online", "want",
    "unwant", "maintain", "end-maintenance", "slow", "stuck", "rough", "fails-online", "good", "reset", "move",
)  # fmt: skip


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, str]:
    count = draw(st.integers(2, 4))
    return {name: draw(expressions(NAMES[:number])) for number, name in enumerate(NAMES[:count])}


steps = st.lists(st.tuples(st.sampled_from(WORDS), st.integers(0, 3), st.sampled_from((0, 5, 30, 700))), max_size=12)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(graphs(), steps, st.sampled_from(("restart", "restart-then-fail-over", "do-not-restart")))
@example({"a": "", "b": "", "c": "([a] or [b])"}, [("unwant", 0, 0), ("fail", 1, 0)], "restart")
def test_whatever_happens(graph: dict[str, str], story: list[tuple[str, int, int]], action: str) -> None:
    cluster = SimCluster(SimSettings(nodes=("n1", "n2"), seed=3))
    cluster.start()
    cluster.run_for(3000)
    properties: Properties = {"restart_action": action, "restart_threshold": 2, "retry_period_on_failure": 900_000}
    cluster.add_group("web", graph, preferred=("n1",), properties=properties)
    cluster.run_for(300)
    for word, which, wait_ms in story:
        befall(cluster, word, sorted(graph)[which % len(graph)])
        cluster.run_for(wait_ms)
    assert not cluster.overlaps()
    calm(cluster, sorted(graph))
    runs, resources = cluster.ledger.runs, cluster.view().resources()
    assert cluster.is_online("web"), cluster.resource_states("web")
    assert not cluster.overlaps()
    assert not dependency_breaches(runs, resources, grace_us=NOTICED_US)
    assert not stop_breaches(runs, resources, grace_us=NEWS_US)
    assert not limit_breaches(cluster.view())
    judge_report(cluster)


def befall(cluster: SimCluster, word: str, resource: str) -> None:
    """One thing that happens to the group. What cannot happen now does not."""
    mishaps, wishes = Mishaps(cluster), Wishes(cluster)
    dials = {
        "slow": Dials(online_ms=300, offline_ms=300),
        "stuck": Dials(ignores_stop=True),
        "rough": Dials(dies_at_stop=True),
        "fails-online": Dials(fails_online=True),
        "good": Dials(),
    }
    machine = cluster.machines[cluster.names[0]]
    hosts = [host for each in cluster.machines.values() if each.guard for host in each.guard.hosts.values()]
    try:
        match word:
            case "fail":
                for host in hosts:
                    host.fail_workload(resource)
            case "check-no" | "check-yes":
                mishaps._do_check(resource, word.removeprefix("check-"))
            case "simulate" | "kill-tree":
                find = "simulate-failure" if word == "simulate" else word
                ask(cluster, mishaps, find, resource)
            case "complain":
                mishaps._do_complain(resource, "it hangs")
            case "host":
                cluster.kill("n1", "host")
            case "daemon":
                machine.kill_daemon()
                machine.start()
            case "want" | "unwant":
                mishaps._do_want(resource, "online" if word == "want" else "offline")
            case "offline" | "online" | "move":
                ask(cluster, wishes, word, "web")
            case "maintain" | "end-maintenance":
                command = wishes.find(word)
                assert command is not None
                command("group", "web")
            case "reset":
                ask(cluster, mishaps, word, "web")
            case _:
                cluster.dials[resource] = dials[word]
    except ValueError:
        return


def ask(cluster: SimCluster, operator: Mishaps | Wishes, word: str, what: str) -> None:
    """Every wish of a story has an id of its own, though its operator counts from the beginning."""
    operator._count = len(cluster.trace)
    command = operator.find(word)
    assert command is not None
    command(what)


def calm(cluster: SimCluster, names: list[str]) -> None:
    """Everything behaves, everybody wants it online, and somebody starts what rests."""
    cluster.dials.clear()
    cluster.run_for(8000)  # until there is a leader that can take wishes
    for name in names:
        befall(cluster, "want", name)
    befall(cluster, "end-maintenance", "")
    befall(cluster, "online", "")
    cluster.run_for(8000)
    befall(cluster, "reset", "")
    cluster.run_until(lambda: cluster.is_online("web"), patience_ms=30_000)
    cluster.run_for(500)


def judge_report(cluster: SimCluster) -> None:
    """What is reported is bounded, and true."""
    report = cluster.view().report("web")
    assert report is not None
    assert report.was_online
    assert not report.is_released
    assert len(report.steps) <= 24
    assert all(not each.evidence for each in report.resources)
