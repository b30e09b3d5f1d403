"""Is every common property bounded, typed and spelled as the catalogue says? Each refusal is asked of each property."""

import pytest

from clusterd.model.settings_catalogue import ALL_ONES, NOT_YET, SETTINGS, Kind, Scope, Setting, settings_of
from clusterd.model.settings_check import check_properties, find_setting, snake_case

EVERY = [pytest.param(each, id=f"{each.scope.replace(' ', '-')}:{each.name}") for each in SETTINGS]
NUMBERS = [each for each in EVERY if each.values[0].kind in (Kind.COUNT, Kind.DURATION)]  # type: ignore[attr-defined]
CHOICES = [each for each in EVERY if each.values[0].kind is Kind.CHOICE]  # type: ignore[attr-defined]
SWITCHES = [each for each in EVERY if each.values[0].kind is Kind.SWITCH]  # type: ignore[attr-defined]
TEXTS = [each for each in EVERY if each.values[0].kind is Kind.TEXT]  # type: ignore[attr-defined]
NAMES = [each for each in EVERY if each.values[0].kind is Kind.NAMES]  # type: ignore[attr-defined]


def stored(setting: Setting, value: object, *, name: str = "") -> object:
    found = check_properties(setting.scope, {name or setting.name: value})  # type: ignore[dict-item]  # any JSON
    assert found.problems == [], found.problems
    assert list(found.values) == [setting.name]
    return found.values[setting.name]


def refused(setting: Setting, value: object) -> str:
    found = check_properties(setting.scope, {setting.name: value})  # type: ignore[dict-item]  # any JSON
    assert found.values == {} and len(found.problems) == 1
    text = found.problems[0].text
    assert text.startswith(setting.name)
    return text


@pytest.mark.parametrize("setting", NUMBERS)
def test_a_number_at_its_ends_is_taken_and_past_them_refused(setting: Setting) -> None:
    assert stored(setting, setting.least) == setting.least
    assert stored(setting, setting.most) == setting.most
    if setting.least > 0 and not (setting.least == 1 and setting.name == "is_alive_poll_interval"):
        assert "is between" in refused(setting, setting.least - 1)
    below = refused(setting, -2)
    assert "is between" in below or "is no length of time" in below
    above = refused(setting, max(setting.most, ALL_ONES) + 1)
    assert "is between" in above
    if setting.most < ALL_ONES - 1:
        assert "is between" in refused(setting, setting.most + 1)


@pytest.mark.parametrize("setting", NUMBERS)
def test_a_number_has_no_other_type(setting: Setting) -> None:
    for wrong in (True, None, [1], {"a": 1}, "soon", "", "1e3", 1.5):
        refused(setting, wrong)


@pytest.mark.parametrize("setting", NUMBERS)
def test_words_numbers_and_all_ones_mean_the_same(setting: Setting) -> None:
    for word, number in setting.words.items():
        assert stored(setting, word) == stored(setting, word.upper()) == stored(setting, number) == number
        assert stored(setting, str(number)) == number
    if ALL_ONES in setting.words.values():
        assert stored(setting, -1) == stored(setting, "-1") == stored(setting, 0xFFFFFFFF) == ALL_ONES
        assert stored(setting, "0xFFFFFFFF") == stored(setting, "0xffffffff") == ALL_ONES
    else:
        refused(setting, -1)
        if setting.most < ALL_ONES:
            refused(setting, ALL_ONES)


@pytest.mark.parametrize("setting", [each for each in NUMBERS if each.values[0].kind is Kind.DURATION])  # type: ignore[attr-defined]
def test_a_length_of_time_takes_a_unit_or_has_the_propertys(setting: Setting) -> None:
    number = max(setting.least, 60)
    assert (
        stored(setting, f"{number}{setting.unit}") == stored(setting, number) == stored(setting, str(number)) == number
    )
    assert "is no unit of time" in refused(setting, "3 fortnights")


@pytest.mark.parametrize("setting", CHOICES)
def test_a_choice_is_a_word_or_the_references_number(setting: Setting) -> None:
    for number, word in enumerate(setting.choices, setting.first_choice):
        assert stored(setting, word) == stored(setting, word.upper()) == word
        assert stored(setting, number) == stored(setting, str(number)) == word
    for wrong in (setting.first_choice - 1, setting.first_choice + len(setting.choices), "often", True, None, [], 1.5):
        text = refused(setting, wrong)
        assert all(f"{word} ({number})" in text for number, word in enumerate(setting.choices, setting.first_choice))


@pytest.mark.parametrize("setting", SWITCHES)
def test_a_switch_is_true_or_false(setting: Setting) -> None:
    assert [stored(setting, each) for each in (True, 1, "1", "yes", "On", "true")] == [True] * 6
    assert [stored(setting, each) for each in (False, 0, "0", "no", "OFF", "false")] == [False] * 6
    for wrong in (2, -1, "maybe", "", None, []):
        assert "is true or false" in refused(setting, wrong)


@pytest.mark.parametrize("setting", TEXTS)
def test_a_text_is_short_and_can_be_printed(setting: Setting) -> None:
    assert stored(setting, "") == ""
    assert "has at most" in refused(setting, "x" * (setting.most + 1))
    assert "can be printed" in refused(setting, "a\nb")
    assert "can be printed" in refused(setting, "a\x1b[31m")
    for wrong in (1, True, None, ["a"]):
        assert "is a text" in refused(setting, wrong)


@pytest.mark.parametrize("setting", NAMES)
def test_names_are_a_list_or_stand_between_commas(setting: Setting) -> None:
    assert stored(setting, ["a", "SQL servers", "a"]) == ["a", "SQL servers"]
    assert stored(setting, " a , b ") == ["a", "b"]
    assert stored(setting, []) == stored(setting, "") == []
    assert "has at most" in refused(setting, [f"n{number}" for number in range(setting.most + 1)])
    for wrong in (1, True, None, [1], [""], {"a": 1}):
        assert "is a list of names" in refused(setting, wrong)
    for wrong_name in ("x" * 64, "a,b", "a\nb"):
        assert "is no such name" in refused(setting, [wrong_name])


@pytest.mark.parametrize("setting", EVERY)
def test_both_spellings_in_any_case_name_it(setting: Setting) -> None:
    assert snake_case(setting.reference_name) == setting.name
    for name in (setting.name, setting.name.upper(), setting.reference_name):
        assert find_setting(setting.scope, name) is setting
    default = list(setting.default) if isinstance(setting.default, tuple) else setting.default
    assert stored(setting, default, name=setting.reference_name) == default


@pytest.mark.parametrize("setting", EVERY)
def test_a_slip_of_the_pen_is_answered_with_the_name(setting: Setting) -> None:
    slip = setting.name[:-1] + "x"
    found = check_properties(setting.scope, {slip: 1})
    assert found.values == {}
    assert found.problems[0].text.startswith(f"there is no {setting.scope} property {slip}: did you mean ")


@pytest.mark.parametrize("setting", EVERY)
def test_it_is_explained(setting: Setting) -> None:
    assert setting.says.endswith(".") and setting.says[0].isupper()
    for effect in (setting.too_small, setting.too_large):
        assert not effect or effect.endswith(".")


@pytest.mark.parametrize(("scope", "name"), [(scope, name) for scope, names in NOT_YET.items() for name in names])
def test_what_cannot_be_set_says_why(scope: Scope, name: str) -> None:
    assert name not in settings_of(scope)
    text = check_properties(scope, {name: 1}).problems[0].text
    assert text.startswith(f"{name} cannot be set: ") and text.endswith("; leave it out")
    assert snake_case("".join(part.capitalize() for part in name.split("_"))) == name


REFERENCE = {
    Scope.CLUSTER: """AddEvictDelay AutoBalancerMode AutoBalancerLevel AutoAssignNodeSite BlockCacheSize
        ClusterEnforcedAntiAffinity ClusterGroupWaitDelay ClusterLogLevel ClusterLogSize CrossSiteDelay CrossSiteThreshold
        CrossSubnetDelay CrossSubnetThreshold SameSubnetDelay SameSubnetThreshold CsvBalancer DatabaseReadWriteMode
        DefaultNetworkRole Description DrainOnShutdown DumpPolicy EnabledEventLogs DynamicQuorum FailoverMoveMigrationType
        GracePeriodEnabled GracePeriodTimeout GroupDependencyTimeout HangRecoveryAction IgnorePersistentStateOnStartup
        LogResourceControls LowerQuorumPriorityNodeID MaximumParallelMigrations MessageBufferLength
        MinimumNeverPreemptPriority MinimumPreemptorPriority NetftIPSecEnabled PlacementOptions PlumbAllCrossSubnetRoutes
        PreferredSite QuarantineThreshold QuarantineDuration QuorumArbitrationTimeMax RequestReplyTimeout ResiliencyLevel
        ResiliencyDefaultPeriod RouteHistoryLength SecurityLevel SecurityLevelForStorage SetSMBBandwidthLimit
        SMBBandwidthLimitFactor SharedVolumesRoot ShutdownTimeoutInMinutes UseClientAccessNetworksForSharedVolumes
        WitnessDatabaseWriteTimeout WitnessRestartInterval""",
    Scope.NODE: "NodeWeight FaultDomain FaultDomainId Description",
    Scope.GROUP: """Description GroupType PersistentState DefaultOwner AutoFailbackType FailbackWindowStart
        FailbackWindowEnd FailoverThreshold FailoverPeriod Priority AntiAffinityClassNames ColdStartSetting GroupStartDelay
        ResiliencyPeriod PreferredSite LockedFromMoving PlacementOptions FaultDomain UpdateDomain PreferredOwners""",
    Scope.GROUP_SET: "StartupSetting StartupCount StartupDelay IsGlobal",
    Scope.RESOURCE: """Description LooksAlivePollInterval IsAlivePollInterval PendingTimeout DeadlockTimeout RestartAction
        RestartThreshold RestartPeriod RestartDelay RetryPeriodOnFailure EmbeddedFailureAction PersistentState
        SeparateMonitor ResourceSpecificStatus DebugPrefix AdminExtensions""",
    Scope.RESOURCE_TYPE: """LooksAlivePollInterval IsAlivePollInterval PendingTimeout DeadlockTimeout MaximumMonitors
        DumpPolicy DumpLogQuery DumpServices EnabledEventLogs DisplayName""",
}


@pytest.mark.parametrize(
    ("scope", "name"), [(scope, name) for scope, names in REFERENCE.items() for name in names.split()]
)
def test_every_property_that_people_know_can_be_set_or_is_refused_with_a_reason(scope: Scope, name: str) -> None:
    assert find_setting(scope, name) is not None or snake_case(name) in NOT_YET[scope]
