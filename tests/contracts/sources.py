"""Which files are the project's own source?"""

import ast
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CODE = ("clusterd", "resource_types", "tests", "bench")


def is_generated(path: Path) -> bool:
    return "_pb2" in path.name


@cache
def python_files() -> tuple[Path, ...]:
    """Every hand-written module."""
    found = (path for folder in CODE for path in (ROOT / folder).rglob("*.py"))
    return tuple(sorted(path for path in found if not is_generated(path)))


@cache
def packages() -> tuple[Path, ...]:
    """Every folder below clusterd with modules in it."""
    return tuple(sorted({path.parent for path in (ROOT / "clusterd").rglob("*.py")}))


@cache
def text_files() -> tuple[Path, ...]:
    """Every text file that belongs to the project: what git knows, else what lies in the source folders."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            check=True,
            text=True,
        ).stdout.split("\0")
        paths = [ROOT / name for name in listed if name]
    except (OSError, subprocess.CalledProcessError):
        paths = [path for folder in (*CODE, "docs", "deploy", "protos") for path in (ROOT / folder).rglob("*")]
    return tuple(path for path in paths if path.is_file() and b"\0" not in path.read_bytes()[:8000])


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))
