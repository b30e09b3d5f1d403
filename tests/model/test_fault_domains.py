"""Is it understood where a machine stands, and refused with an example when it is not?"""

import pytest

from clusterd.model.fault_domains import fault_domain_problem
from clusterd.model.settings import parse_fault_domain


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ()),
        ("site:east", (("site", "east"),)),
        ("rack:r1", (("rack", "r1"),)),
        ("site:east/chassis:c2", (("site", "east"), ("chassis", "c2"))),
        ("Site: east / RACK:r1/chassis:c2", (("site", "east"), ("rack", "r1"), ("chassis", "c2"))),
    ],
)
def test_good_ones(text: str, parts: tuple[tuple[str, str], ...]) -> None:
    assert fault_domain_problem(text) is None
    assert parse_fault_domain(text) == parts


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("east", "'east' is no site, rack or chassis with its name: write it like site:east/rack:r1/chassis:c2"),
        ("room:7", "'room:7' is no site, rack or chassis with its name"),
        ("site", "'site' is no site, rack or chassis with its name"),
        ("site:", "site '': a name is not empty"),
        ("site:e st", "site 'e st': a name has letters, digits"),
        ("site:" + "x" * 64, "site 'xxxx"),
        ("site:a/site:b", "site is given twice"),
        (
            "rack:r1/site:east",
            "site stands inside rack: write it from the outside in, like site:east/rack:r1/chassis:c2",
        ),
        ("chassis:c/rack:r", "rack stands inside chassis"),
        ("site:a//rack:b", "'' is no site"),
        ("/", "'' is no site"),
        ("site:a/", "'' is no site"),
    ],
)
def test_bad_ones(text: str, says: str) -> None:
    found = fault_domain_problem(text)
    assert found is not None and found.startswith(says), found
