"""The pages that are made from tables in the code say what the code says."""

import importlib.util
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[2] / "docs"


def test_the_committed_pages_are_what_the_tables_make() -> None:
    made = _generator().pages()
    for name, text in made.items():
        assert (DOCS / name).read_text(encoding="utf-8") == text, f"run: python docs/generate.py ({name} differs)"


def _generator() -> Any:
    spec = importlib.util.spec_from_file_location("generate_pages", DOCS / "generate.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
