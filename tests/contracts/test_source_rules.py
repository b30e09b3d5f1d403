"""Rules of style that a machine can keep: size, names, docstrings, and no word of where it was written."""

import ast

from tests.contracts.sources import ROOT, packages, python_files, shown, text_files, tree

FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 60
EMPTY_NAMES = {"utils", "helpers", "common", "manager", "misc", "util", "helper"}
PLACES = ("/wo" + "rk/", "/tmp/br" + "ief", "../sha" + "red", "/ro" + "ot/")


def test_no_file_answers_two_questions() -> None:
    long = {
        shown(path): count for path in python_files() if (count := len(path.read_text().splitlines())) > FILE_LINES_MAX
    }
    assert not long, f"more than {FILE_LINES_MAX} lines: {long}"


def test_a_function_fits_on_a_screen() -> None:
    long = [
        f"{shown(path)}:{node.lineno} {node.name} has {length} lines"
        for path in python_files()
        for node in ast.walk(tree(path))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and (length := (node.end_lineno or node.lineno) - node.lineno + 1) > FUNCTION_LINES_MAX
    ]
    assert not long, f"more than {FUNCTION_LINES_MAX} lines: {long}"


def test_no_module_has_a_name_that_says_nothing() -> None:
    found = [shown(path) for path in python_files() if path.stem in EMPTY_NAMES or path.parent.name in EMPTY_NAMES]
    assert not found


def test_every_module_says_what_it_is_for() -> None:
    silent = [shown(path) for path in python_files() if path.stat().st_size and not ast.get_docstring(tree(path))]
    assert not silent, f"no docstring: {silent}"


def test_every_package_says_whether_it_is_pure() -> None:
    """A package is wholly pure or wholly I/O; the first line of its docstring says which."""
    silent = []
    for folder in packages():
        if folder.name in ("wire", "clusterd"):
            continue  # generated messages; and the root, which holds both kinds
        path = folder / "__init__.py"
        first = (ast.get_docstring(tree(path)) or "").splitlines()[:1] if path.exists() else []
        if not first or not ("Pure" in first[0] or "I/O" in first[0]):
            silent.append(shown(folder))
    assert not silent, f"no __init__.py whose first line says Pure or I/O: {silent}"


def test_nothing_names_the_place_where_it_was_written() -> None:
    found = [
        f"{shown(path)}: {place}"
        for path in text_files()
        for place in PLACES
        if place in path.read_text(encoding="utf-8", errors="replace")
    ]
    assert not found


def test_there_is_something_to_check() -> None:
    assert len(python_files()) > 40 and len(packages()) > 10
    assert ROOT / "pyproject.toml" in text_files()


def test_no_shell_is_built() -> None:
    """Commands are argument lists; preexec_fn runs Python between fork and exec, where gRPC's threads may hold locks."""
    found = [
        f"{shown(path)}:{node.value.lineno} {node.arg}"
        for path in python_files()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.keyword)
        and (node.arg == "preexec_fn" or (node.arg == "shell" and getattr(node.value, "value", None) is True))
    ]
    assert not found


def test_test_files_have_names_of_their_own() -> None:
    """Folders of tests that are no packages share one namespace: of two files of one name, pytest takes neither."""
    found: dict[str, list[str]] = {}
    for path in (ROOT / "tests").rglob("test_*.py"):
        if not (path.parent / "__init__.py").exists():
            found.setdefault(path.name, []).append(str(path.relative_to(ROOT)))
    assert not {name: paths for name, paths in found.items() if len(paths) > 1}
