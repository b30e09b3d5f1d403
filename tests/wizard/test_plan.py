"""Which resources and dependencies does a machine get?"""

from machines import PATH, hosts, judged, on_one_machine, told

from clusterd.wizard import ClusterDisk, MachinePlan, Surroundings, Wish, machine_plan

SHOP_DISK = ClusterDisk("shop-disk", "stores", mount_point="/srv/machines")


def resources(plan: MachinePlan) -> dict[str, tuple[str, str]]:
    return {each.name: (each.type, each.depends_on) for each in plan.resources}


def test_a_machine_of_its_own() -> None:
    around = Surroundings(hosts())
    plan = machine_plan(judged(around=around), around, name="shop")
    assert (plan.group, plan.joins, plan.machine) == ("shop", False, "shop")
    assert resources(plan) == {
        "shop-configuration": ("virtual_machine_configuration", ""),
        "shop": ("virtual_machine", "[shop-configuration]"),
    }
    configuration, machine = plan.resources
    assert configuration.private == {"definition": PATH}
    assert machine.private == {"configuration": PATH}
    assert machine.properties == {"memory_demand": 512, "core_demand": 2}
    assert machine.possible_owners == (), "all nodes may own it: one that is added later may, too"


def test_it_joins_the_group_of_its_disk_and_depends_on_it() -> None:
    around = Surroundings(hosts(), (SHOP_DISK,))
    plan = machine_plan(judged(around=around), around, name="shop")
    assert (plan.group, plan.joins) == ("stores", True)
    assert resources(plan)["shop-configuration"][1] == "[shop-disk]"
    assert resources(plan)["shop"][1] == "[shop-configuration] and [shop-disk]"
    assert any("everything in that group moves together" in text for text in plan.warnings)


def test_disks_that_are_given_are_created() -> None:
    planned = ClusterDisk("new-disk", "", mount_point="/srv/machines")
    around = Surroundings(hosts(), (planned,))
    properties = {"image": "/shared/a.img", "mount_point": "/srv/machines"}
    plan = machine_plan(judged(around=around), around, name="shop", new_disks={"new-disk": properties})
    assert not plan.joins
    assert resources(plan) == {
        "new-disk": ("physical_disk", ""),
        "shop-configuration": ("virtual_machine_configuration", "[new-disk]"),
        "shop": ("virtual_machine", "[shop-configuration] and [new-disk]"),
    }


def test_fewer_owners_are_written_on_every_resource() -> None:
    around = Surroundings(hosts())
    plan = machine_plan(judged(around=around, wish=Wish(("n1", "n3"))), around, name="shop")
    assert [each.possible_owners for each in plan.resources] == [("n1", "n3")] * 2


def test_an_unnamed_one_gets_the_first_free_number() -> None:
    taken = Surroundings(
        hosts(),
        group_keys=frozenset({"virtual-machine-1"}),
        resource_keys=frozenset({"virtual-machine-2-configuration"}),
    )
    assert machine_plan(judged(around=taken), taken).group == "virtual-machine-3"


def test_memory_needs_a_way_to_another_machine() -> None:
    around = Surroundings(hosts())
    told_so = "its memory has no way to another machine"
    assert any(told_so in text for text in machine_plan(judged(around=around), around).warnings)
    named = {"migration_network": "10.0.0.0/24"}
    assert machine_plan(judged(around=around), around, machine_properties=named).warnings == ()
    on_one = judged(on_one_machine(told()), around)
    assert not any(told_so in text for text in machine_plan(on_one, around).warnings)
    mounted = Surroundings(hosts(), (SHOP_DISK,))
    assert not any(told_so in text for text in machine_plan(judged(around=mounted), mounted).warnings)
