"""Is the cluster configured to keep its promises? Pure."""

from clusterd.validation.situation import Group, Situation
from clusterd.validation.verdicts import Category, Finding, Test, failed, passed, warned


def _quorum(situation: Situation) -> list[Finding]:
    cluster = situation.cluster
    votes = [each.name for each in cluster.nodes if each.has_vote]
    if not cluster.is_quorate:
        return [failed("", f"{cluster.asked} has no quorum", "clusterctl quorum show says who is missing")]
    spare = (len(votes) - 1) // 2
    saw = f"{len(votes)} votes ({', '.join(votes)}): {_counted(spare)} may be lost at once"
    if len(votes) % 2 == 0:
        return [warned("", saw, "an even number of votes survives no more than one vote less: add a node or a witness")]
    if spare == 0:
        return [warned("", saw, "a single vote means that its loss stops the cluster: have three nodes")]
    return [passed("", saw)]


def _counted(spare: int) -> str:
    return "none" if not spare else str(spare)


def _times(situation: Situation) -> list[Finding]:
    cluster = situation.cluster
    saw = (
        f"heartbeats every {cluster.delay_ms} ms, silence limit {cluster.silence_max_ms} ms, "
        f"run lease {cluster.run_lease_ms} ms, stop budget {cluster.stop_budget_ms} ms"
    )
    found = [failed("", each, "clusterctl cluster set") for each in cluster.setting_problems]
    found += [warned("", each, "clusterctl cluster set") for each in cluster.setting_notes]
    return found or [passed("", saw)]


def _nodes_up(situation: Situation) -> list[Finding]:
    return [
        passed(each.name, "up")
        if each.state == "up"
        else warned(each.name, each.state, f"clusterctl explain node {each.name}")
        for each in situation.cluster.nodes
    ]


def _fencing(situation: Situation) -> list[Finding]:
    """The agent was asked about the present run of every node, by every other node. Nothing was switched off."""
    cluster = situation.cluster
    found = []
    for node in cluster.nodes:
        agents = cluster.fence_agents.get(node.name, ())
        if not agents:
            saw = "no fence agent serves it"
            advice = (
                "its groups wait for the run lease after a loss, and a machine that froze as a whole is not stopped"
            )
            found.append(warned(node.name, saw, advice))
    for asking, answer in situation.answers.items():
        for each in answer.fences:
            pair = f"{each.node} (asked by {asking})"
            if each.answer == "running":
                found.append(passed(pair, f"{each.agent} sees its run"))
            elif each.answer == "ended" and each.node in situation.silent:
                found.append(passed(pair, f"{each.agent} says that its run has ended, and it is silent"))
            elif each.answer == "ended":
                saw = f"{each.agent} says that its present run has ended: {each.text}"
                found.append(failed(pair, saw, "the agent looks at another machine: correct its parameters"))
            else:
                saw = f"{each.agent} cannot tell: {each.text}"
                found.append(warned(pair, saw, "a loss of this node would wait for the run lease: mend the agent"))
    return found


def _groups_well(situation: Situation) -> list[Finding]:
    found = []
    for each in situation.cluster.groups:
        if each.state == "failed":
            found.append(failed(each.name, f"failed: {each.because}", f"clusterctl explain group {each.name}"))
        elif each.wanted == "online" and each.state != "online":
            found.append(warned(each.name, f"{each.state}: {each.because}", f"clusterctl explain group {each.name}"))
        else:
            found.append(passed(each.name, f"{each.state}, as wanted"))
    return found


def _parts(situation: Situation) -> list[Finding]:
    return [
        passed(each.name, f"on {each.owner or 'no node'}: {'; '.join(each.parts) or 'it has no resources'}")
        for each in situation.cluster.groups
    ]


def _owners(situation: Situation) -> list[Finding]:
    return [_owners_of(situation, each) for each in situation.cluster.groups]


def _owners_of(situation: Situation, group: Group) -> Finding:
    nodes = {each.name for each in situation.cluster.nodes}
    owners = [each for each in group.possible_owners if each in nodes]
    if not owners:
        return failed(group.name, "no node may run it", "clusterctl resource set NAME --possible-owners …")
    if len(owners) == 1 and len(nodes) > 1:
        advice = f"nothing takes it over when {owners[0]} is lost: add a possible owner"
        return warned(group.name, f"only {owners[0]} may run it", advice)
    return passed(group.name, f"possible owners: {', '.join(owners)}")


def _types(situation: Situation) -> list[Finding]:
    """A group can go only where its resource types are."""
    cluster = situation.cluster
    found = []
    for group in cluster.groups:
        missing = [
            f"{node} lacks {kind}"
            for kind in group.types
            for node in group.possible_owners
            if node not in cluster.types.get(kind, ())
        ]
        if missing:
            advice = "install the resource type there, or take the node out of the possible owners"
            found.append(failed(group.name, "; ".join(missing), advice))
        else:
            found.append(passed(group.name, f"{', '.join(group.types) or 'nothing'} on every possible owner"))
    for kind, versions in cluster.type_versions.items():
        if len(versions) > 1:
            found.append(warned(kind, "; ".join(versions), "install one version on every node"))
    return found


def _contained(situation: Situation) -> list[Finding]:
    """What a resource starts has to stay a child of the cluster's: only that can be ended for certain."""
    found = [
        warned(resource, f"it starts {program}: {because}", f"use {instead}")
        for resource, program, because, instead in situation.cluster.outside
    ]
    return found or [passed("", "no command is known to hand its work to somebody else")]


def _capacity(situation: Situation) -> list[Finding]:
    cluster = situation.cluster
    if cluster.is_capacity_enough:
        return [passed("", cluster.capacity)]
    advice = "clusterctl capacity --failures 1 shows what would happen; free memory, or add a node"
    return [warned(each, cluster.capacity, advice) for each in cluster.stranded or ("",)]


TESTS = (
    Test("quorum-votes", Category.CLUSTER, "Votes", "An odd number, with some to spare.", _quorum),
    Test("time-settings", Category.CLUSTER, "Times", "The relations between the cluster's times hold.", _times),
    Test("nodes-up", Category.CLUSTER, "Nodes", "Every node is up and takes groups.", _nodes_up),
    Test(
        "fence-agents",
        Category.CLUSTER,
        "Fence agents",
        "Every node asks every agent about the runs of the others; nothing is switched off.",
        _fencing,
    ),
    Test("groups-well", Category.CLUSTER, "Groups", "Everything is as it is wanted.", _groups_well),
    Test(
        "group-resources",
        Category.CLUSTER,
        "Resources of groups",
        "Where each group is, its resources, their states and what they depend on.",
        _parts,
    ),
    Test("possible-owners", Category.CLUSTER, "Possible owners", "Every group has more than one.", _owners),
    Test("resource-types", Category.CLUSTER, "Resource types", "Where a group may go, its types are.", _types),
    Test(
        "contained-commands",
        Category.CLUSTER,
        "Commands stay contained",
        "What services start stays where the cluster can end it.",
        _contained,
    ),
    Test("capacity", Category.CLUSTER, "Capacity", "The loss of any one node leaves every group room.", _capacity),
)
