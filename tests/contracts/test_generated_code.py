"""The committed Python code of the schemas is what the schemas give."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.contracts.sources import ROOT


def test_generated_code_equals_regenerated(tmp_path: Path) -> None:
    if not (ROOT / ".venv").exists() and shutil.which("protoc-gen-mypy") is None:
        pytest.skip("the generator of type stubs is not installed")
    subprocess.run(["sh", str(ROOT / "protos" / "generate.sh"), str(tmp_path)], check=True, timeout=60)
    fresh = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    folders = {path.parent for path in fresh}
    kept = {
        path.relative_to(ROOT): path.read_bytes()
        for folder in folders
        for path in (ROOT / folder).glob("*_pb2*")
        if path.suffix in (".py", ".pyi")
    }
    assert fresh
    different = sorted(str(path) for path in fresh.keys() | kept.keys() if fresh.get(path) != kept.get(path))
    assert not different, f"run protos/generate.sh and commit: {different}"
