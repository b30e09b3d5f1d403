"""Are nodes, types, rules and sets of a manifest applied together, refused together and pruned, and safe beside others?"""

from aiohttp.test_utils import TestClient
from asking import apply, get, post
from pretend_cluster import PretendCluster

from clusterd.api import edits_groups, edits_rules
from clusterd.api.plans import Asked
from clusterd.database import Draft
from clusterd.model import keys
from clusterd.model.ids import GroupId
from clusterd.model.records import GroupRecord
from clusterd.model.states import RuleKind

WHOLE = """\
cluster: {properties: {preferred_site: EAST}}
nodes:
  - {name: N1, properties: {fault_domain: site:east}}
resource_types:
  - {name: generic_service, properties: {pending_timeout: 4min}}
groups:
  - {name: db, properties: {preferred_site: East}}
  - {name: web}
group_sets:
  - {name: base, groups: [DB], properties: {startup_setting: online}}
  - {name: top, groups: [web], providers: [base]}
rules:
  - {name: apart, kind: different-node, groups: [db, Web]}
"""


async def test_everything_at_once_and_again(client: TestClient, cluster: PretendCluster) -> None:
    found = await apply(client, WHOLE)
    assert [f"{each['action']} {each['kind']} {each['name']}" for each in found["changes"]] == [
        "update node n1",
        "update cluster test",
        "update resource type generic_service",
        "create group db",
        "create group web",
        "create group set base",
        "create group set top",
        "create rule apart",
    ]
    view = cluster.view()
    assert view.cluster().properties["preferred_site"] == "east"
    assert view.group("db").properties["preferred_site"] == "east"
    assert [(each.name, each.groups) for each in view.rules()] == [("apart", ("db", "web"))]
    assert (await apply(client, WHOLE))["changed"] is False
    text = await (await client.get("/v1/export")).text()
    assert (await apply(client, text, prune="1"))["changes"] == []


async def test_all_that_is_wrong_is_told_at_once(client: TestClient, cluster: PretendCluster) -> None:
    """What the text shows and what only the cluster knows; nothing hides anything."""
    bad = """\
surprise: 1
cluster: {properties: {preferred_site: north}}
nodes: [{name: n4}]
resource_types: [{name: generic_servic}]
groups:
  - name: web
    colour: red
    preferred_owners: [n9]
    properties: {preferred_site: south}
    resources:
      - {name: a, type: generic_scrip, depends_on: "[zz]"}
      - {depends_on: "[a]"}
group_sets:
  - {name: s, groups: [wb], providers: [t]}
  - {name: u, groups: [web], properties: {startup_count: 2}}
  - {name: v, groups: [web]}
rules:
  - {name: r, kind: same-node, groups: [web, shop]}
  - {name: q, kind: same-node, groups: [web]}
"""
    before = cluster.database.revision
    found = await apply(client, bad)
    told = [f"{each['line']} {each['path']}: {each['message']}" for each in found["error"]["problems"]]
    assert told == [
        "1 surprise: a manifest has no key surprise: valid are cluster, group_sets, groups, nodes, resource_types, rules",
        "2 cluster.properties.preferred_site: no node is at site north: first say where nodes are: clusterctl node set "
        "NODE fault_domain=site:north (rule site-has-node)",
        "3 nodes[0].name: there is no node n4: there are n1, n2, n3",
        "4 resource_types[0].name: there is no resource type generic_servic: did you mean generic_service?",
        "7 groups[0].colour: a group has no key colour: valid are failback, name, preferred_owners, properties, "
        "resources, wanted",
        "8 groups[0].preferred_owners[0]: there is no node n9: there are n1, n2, n3",
        "9 groups[0].properties.preferred_site: no node is at site south: first say where nodes are: clusterctl node set "
        "NODE fault_domain=site:south (rule site-has-node)",
        "11 groups[0].resources[0].type: there is no resource type generic_scrip: did you mean generic_script?",
        "12 groups[0].resources[1]: a resource needs a name",
        "12 groups[0].resources[1]: a resource needs a type, as in type: generic_service",
        "14 group_sets[0].groups[0]: there is no group wb: did you mean web?",
        "14 group_sets[0].providers[0]: there is no group set t: there are s, u, v",
        "15 group_sets[1].properties.startup_count: startup_count is 2 and set u has 1 groups: it would never be ready; "
        "lower it, or say all (rule count-within-set)",
        "16 group_sets[2].groups[0]: group web is in set u already: a group is in at most one set; take it out there "
        "(rule one-set-per-group)",
        "18 rules[0].groups[1]: there is no group shop: there are web",
        "19 rules[1].groups: a rule needs at least 2 groups, q has 1: name more, or delete it (rule two-groups-at-least)",
    ]
    assert cluster.database.revision == before


async def test_prune_takes_rules_and_sets_along(client: TestClient, cluster: PretendCluster) -> None:
    await apply(client, WHOLE)
    short = "groups: [{name: db}, {name: web}]\ngroup_sets: [{name: base, groups: [db]}]\n"
    assert (await apply(client, short))["changes"][0]["details"] == [
        "preferred_site: east → none by default",
    ]
    assert len(cluster.view().rules()) == 1 and len(cluster.view().group_sets()) == 2
    found = await apply(client, short, prune="1")
    assert [f"{each['action']} {each['kind']} {each['name']}" for each in found["changes"]] == [
        "delete group set top",
        "delete rule apart",
    ]


async def test_a_rule_may_not_name_what_prune_deletes(client: TestClient, cluster: PretendCluster) -> None:
    await apply(client, WHOLE)
    rules = "rules: [{name: apart, kind: different-node, groups: [db, web]}]\ngroups: [{name: db}]\n"
    found = await apply(client, rules, prune="1")
    assert "there is no group web: there are db" in found["error"]["message"]


async def test_a_kept_rule_is_held_against_the_manifest(client: TestClient, cluster: PretendCluster) -> None:
    await apply(client, WHOLE)
    found = await apply(client, "rules: [{name: near, kind: same-node, groups: [db, web]}]")
    assert found["http"] == 422
    assert "rule apart (different-node) keeps db and web apart, and rule near" in found["error"]["message"]
    swapped = (
        "rules: [{name: near, kind: same-node, groups: [db, web]}, {name: apart, kind: same-node, groups: [db, web]}]"
    )
    assert (await apply(client, swapped))["changed"]


async def test_a_rule_and_the_end_of_its_group_exclude_each_other(client: TestClient, cluster: PretendCluster) -> None:
    """Two changes planned from the same view: whichever commits first, the other has to look again."""
    for name in ("a", "b"):
        cluster.write(Draft(cluster.view()).put(GroupRecord(GroupId(name))))
    cluster.acts = False
    asked = Asked("x", "two administrators", cluster.status())
    make_rule = edits_rules.rule_create("r", RuleKind.SAME_NODE, edits_rules.RuleEdit(groups=("a", "b")))
    delete_group = edits_groups.group_delete("a")
    first, second = make_rule(cluster.view(), asked), delete_group(cluster.view(), asked)
    assert (await cluster.commit(first.draft.build("first"), 1000)).succeeded
    late = await cluster.commit(second.draft.build("second"), 1000)
    assert (late.succeeded, late.conflict_key) == (False, keys.CLUSTER)
    await client.delete("/v1/rules/r")
    first, second = delete_group(cluster.view(), asked), make_rule(cluster.view(), asked)
    assert (await cluster.commit(first.draft.build("third"), 1000)).succeeded
    assert not (await cluster.commit(second.draft.build("fourth"), 1000)).succeeded


async def test_two_rules_that_contradict_each_other_exclude_each_other(cluster: PretendCluster) -> None:
    for name in ("a", "b"):
        cluster.write(Draft(cluster.view()).put(GroupRecord(GroupId(name))))
    asked = Asked("x", "two administrators", cluster.status())
    edit = edits_rules.RuleEdit(groups=("a", "b"))
    plans = [
        edits_rules.rule_create(kind.value, kind, edit)(cluster.view(), asked)
        for kind in (RuleKind.SAME_NODE, RuleKind.DIFFERENT_NODE)
    ]
    results = [await cluster.commit(each.draft.build(f"r{at}"), 1000) for at, each in enumerate(plans)]
    assert [each.succeeded for each in results] == [True, False]


async def test_a_group_that_begins_to_move_is_not_deleted(client: TestClient, cluster: PretendCluster) -> None:
    """The delete was planned while the group was offline; its owner's next report makes it look again."""
    await apply(client, WHOLE)
    await post(client, "/v1/groups/db/offline")
    asked = Asked("x", "an operator", cluster.status())
    plan = edits_groups.group_delete("db")(cluster.view(), asked)
    assignment = cluster.view().assignment("db")
    cluster.write(Draft(cluster.view()).put(assignment))
    late = await cluster.commit(plan.draft.build("late"), 1000)
    assert (late.succeeded, late.conflict_key) == (False, keys.assignment("db"))


async def test_diff_tells_the_same_and_changes_nothing(client: TestClient, cluster: PretendCluster) -> None:
    before = cluster.database.revision
    found = await apply(client, WHOLE, plan="1")
    assert len(found["changes"]) == 8 and cluster.database.revision == before
    assert (await get(client, "/v1/rules"))["rules"] == []
