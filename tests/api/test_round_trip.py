"""Does an exported manifest, applied again, change nothing, whatever was configured? Generated configurations."""

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pretend_cluster import PretendCluster, service

from clusterd.api.apply import apply_manifest
from clusterd.api.export import export_manifest
from clusterd.api.plans import Asked
from clusterd.database import Draft
from clusterd.model.ids import GroupId, NodeId
from clusterd.model.manifest import parse_manifest
from clusterd.model.records import (
    ClusterRecord,
    GroupRecord,
    GroupSetRecord,
    Json,
    NodeRecord,
    RuleRecord,
    TypeSettingsRecord,
)
from clusterd.model.settings_catalogue import Kind, Scope, Setting, settings_of
from clusterd.model.settings_check import check_properties
from clusterd.model.settings_relations import relation_problems
from clusterd.model.states import RuleKind, Wanted

GROUPS = ("a", "b", "c")


def values_of(setting: Setting) -> st.SearchStrategy[Json]:
    match setting.kind:
        case Kind.COUNT | Kind.DURATION:
            return st.integers(setting.least, setting.most) | st.sampled_from([setting.least, *setting.words.values()])
        case Kind.CHOICE:
            return st.sampled_from(setting.choices)
        case Kind.SWITCH:
            return st.booleans()
        case Kind.NAMES:
            names = st.text(
                st.characters(categories=["L", "N", "P", "S"], exclude_characters=","), min_size=1, max_size=9
            )
            return st.lists(names, max_size=3, unique=True)
        case Kind.TEXT if setting.name == "fault_domain":
            return st.sampled_from(["", "site:east", "site:west/rack:r1", "rack:r2/chassis:c"])
        case Kind.TEXT if setting.name == "preferred_site":
            return st.just("")
        case Kind.TEXT:
            return st.text(st.characters(categories=["L", "N", "P", "S"]) | st.just(" "), max_size=20)


def properties_of(scope: Scope) -> st.SearchStrategy[dict[str, Json]]:
    """Values of some properties of a scope, as they would be stored."""
    each = {name: values_of(setting) for name, setting in settings_of(scope).items()}
    given_values = st.fixed_dictionaries({}, optional=each)
    checked = given_values.map(lambda values: check_properties(scope, values))
    return checked.filter(lambda found: not found.problems and not relation_problems(scope, found.values)).map(
        lambda found: found.values
    )


rules = st.builds(
    RuleRecord,
    st.just("r"),
    st.sampled_from(RuleKind),
    st.lists(st.sampled_from(GROUPS), min_size=2, unique=True).map(tuple),
    st.booleans(),
)
readiness = properties_of(Scope.GROUP_SET).map(
    lambda values: {
        name: value
        for name, value in values.items()
        if not (name == "startup_setting" and value in ("os-heartbeat", "application-ready"))
        and not (name == "startup_delay" and value >= 60)  # type: ignore[operator]  # a number
        and name not in ("is_global", "startup_count")
    }
)


# Not minimised: that takes minutes, and what differs is named by the assertion anyway.
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)
@given(st.data())
def test_export_then_apply_changes_nothing(data: st.DataObject) -> None:
    cluster = PretendCluster(acts=False)
    view = cluster.view()
    own = data.draw(properties_of(Scope.CLUSTER))
    own = {name: value for name, value in own.items() if name != "group_dependency_timeout"}
    before = view.cluster()
    draft = Draft(view).put(ClusterRecord(before.id, before.name, own))
    node = view.node("n1")
    assert node is not None
    draft.put(NodeRecord(node.name, node.number, node.peer_address, properties=data.draw(properties_of(Scope.NODE))))
    draft.put(TypeSettingsRecord("generic_service", data.draw(properties_of(Scope.RESOURCE_TYPE))))
    for name in GROUPS:
        owners = data.draw(st.lists(st.sampled_from(["n1", "n2", "n3"]), unique=True))
        properties = data.draw(properties_of(Scope.GROUP))
        wanted = data.draw(st.sampled_from(Wanted))
        draft.put(GroupRecord(GroupId(name), wanted, tuple(NodeId(each) for each in owners), properties))
        draft.put(service(f"{name}-server", name, properties=data.draw(properties_of(Scope.RESOURCE))))
    draft.put(GroupSetRecord("s", (GroupId("a"),), (), data.draw(readiness)))
    draft.put(GroupSetRecord("t", (GroupId("b"), GroupId("c")), ("s",), data.draw(readiness)))
    draft.put(data.draw(rules))
    cluster.write(draft)

    text = export_manifest(view)
    asked = Asked("round-trip", "a test", cluster.status())
    for prune in (False, True):
        plan = apply_manifest(parse_manifest(text), prune=prune)(view, asked)
        assert [str(each) for each in plan.changes] == []
        assert plan.draft.is_empty
    assert export_manifest(view) == text
