"""Is every expression of the grammar read, every other refused, and every bad relation named?"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterd.model.dependencies import (
    DEPTH_MAX,
    BadDependency,
    Dependency,
    dependency_problems,
    parse_dependency,
)
from clusterd.model.ids import GroupId, ResourceId
from clusterd.model.records import ResourceRecord


@pytest.mark.parametrize(
    ("text", "terms", "rendered"),
    [
        ("", (), ""),
        ("  ", (), ""),
        ("[a]", (("a",),), "[a]"),
        ("([a])", (("a",),), "[a]"),
        (" [ a ] ", (("a",),), "[a]"),
        ("[a] and [b]", (("a",), ("b",)), "([a]) and ([b])"),
        ("([a] or [b])", (("a", "b"),), "([a] or [b])"),
        ("([a] or [b]) and ([c])", (("a", "b"), ("c",)), "([a] or [b]) and ([c])"),
        ("([a] OR [b]) And [c]", (("a", "b"), ("c",)), "([a] or [b]) and ([c])"),
        ("([a]or[b])and[c-d.e_f]", (("a", "b"), ("c-d.e_f",)), "([a] or [b]) and ([c-d.e_f])"),
        ("[and] and [or]", (("and",), ("or",)), "([and]) and ([or])"),
    ],
)
def test_expressions(text: str, terms: tuple, rendered: str) -> None:
    found = parse_dependency(text)
    assert found.terms == terms
    assert str(found) == rendered
    assert parse_dependency(rendered) == found


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a", "'a' at character 1: names stand in brackets, as in [a]"),
        ("web-data", "'web-data' at character 1: names stand in brackets, as in [web-data]"),
        ("[a] or [b]", "'or' at character 5 is outside parentheses"),
        ("([a] or [b]", "expected 'or' at character 12, found the end"),
        ("([a] and [b])", "expected 'or' at character 6, found 'and'"),
        ("[a] [b]", "expected 'and' at character 5, found 'b'"),
        ("[a] and", "expected a name in brackets or '(' at character 8, found the end"),
        ("and [a]", "expected a name in brackets or '(' at character 1, found 'and'"),
        ("(([a]))", "'(' at character 2: parentheses do not nest"),
        ("()", "expected a name in brackets at character 2, found ')'"),
        ("[a])", "expected 'and' at character 4, found ')'"),
        ("[a] and [A]", "A is named twice in one dependency"),
        ("([a] or [a])", "a is named twice in one dependency"),
        ("[]", "[] at character 1: a name is not empty"),
        ("[a b]", "[a b] at character 1: a name has letters, digits, '.', '_' and '-', and begins and ends"),
        ("[a] & [b]", "unexpected '&' at character 5"),
        ("[a", "unexpected '[' at character 1"),
        ("[" + "a" * 9000 + "]", "a dependency has at most 8192 characters"),
    ],
)
def test_what_is_no_expression(text: str, says: str) -> None:
    with pytest.raises(BadDependency) as caught:
        parse_dependency(text)
    assert caught.value.message.startswith(says)
    assert caught.value.hint == "write it like ([a] or [b]) and ([c])"


names = st.lists(st.text("abcdefgh", min_size=1, max_size=3), min_size=1, max_size=8, unique_by=str.lower)


@given(names, st.data())
def test_rendering_reads_back(found: list[str], data: st.DataObject) -> None:
    terms: list[tuple[ResourceId, ...]] = []
    while found:
        size = data.draw(st.integers(1, len(found)))
        terms.append(tuple(ResourceId(each) for each in found[:size]))
        found = found[size:]
    dependency = Dependency(tuple(terms))
    assert parse_dependency(str(dependency)) == dependency


@given(st.text("ab()[] ornd", max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        assert parse_dependency(str(parse_dependency(text))) == parse_dependency(text)
    except BadDependency as error:
        assert error.message


@pytest.mark.parametrize(
    ("text", "online", "expected"),
    [
        ("", set(), True),
        ("[a]", set(), False),
        ("[A]", {"a"}, True),  # what is online is given by folded names
        ("([a] or [b]) and [c]", {"b"}, False),
        ("([a] or [b]) and [c]", {"b", "c"}, True),
        ("([a] or [b]) and [c]", {"a", "b"}, False),
    ],
)
def test_satisfied(text: str, online: set[str], expected: bool) -> None:
    found = parse_dependency(text)
    assert found.is_satisfied(online) is expected
    assert (not found.missing(online)) is expected


def resources(**depends_on: str) -> list[ResourceRecord]:
    return [ResourceRecord(ResourceId(name), GroupId("g"), "t", depends_on=text) for name, text in depends_on.items()]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"a": "", "b": "[A]"}, []),
        ({"a": "[a]"}, [("a", "self", "a cannot depend on itself")]),
        ({"a": "[x]"}, [("a", "not-found", "a depends on x, and there is no such resource")]),
        ({"a": "[far]"}, [("a", "other-group", "a is in group g and far in group h: both must be in one")]),
        ({"a": "[b] [c]"}, [("a", "grammar", "expected 'and' at character 5, found 'c'")]),
        ({"a": "", "b": "[a] and [a]"}, [("b", "twice", "a is named twice in one dependency")]),
        ({"a": "[b]", "b": "[a]"}, [("a", "cycle", "dependencies go in a circle: a → b → a")]),
        (
            {"a": "[b]", "b": "[c]", "c": "[b]", "d": "[a]"},
            [("b", "cycle", "dependencies go in a circle: b → c → b")],
        ),
        (
            {"a": "[b]", "b": "[a]", "c": "[d]", "d": "[c]"},
            [
                ("a", "cycle", "dependencies go in a circle: a → b → a"),
                ("c", "cycle", "dependencies go in a circle: c → d → c"),
            ],
        ),
    ],
)
def test_reasons_to_refuse(given: dict[str, str], expected: list[tuple[str, str, str]]) -> None:
    found = dependency_problems(resources(**given), lambda name: "h" if name == "far" else None)
    assert [(each.resource, each.kind, each.text) for each in found] == expected


def chain(length: int) -> list[ResourceRecord]:
    return resources(**{f"r{n:03d}": f"[r{n - 1:03d}]" if n else "" for n in range(length)})


def test_depth_is_bounded() -> None:
    assert dependency_problems(chain(DEPTH_MAX)) == []
    found = dependency_problems(chain(DEPTH_MAX + 1))
    assert [each.kind for each in found] == ["too-deep"]
