"""Can an author begin a resource type, and learn what is wrong with one?"""

import ast
from pathlib import Path


def test_new_writes_a_whole_file_once(bare, tmp_path: Path) -> None:
    result = bare("resource-type", "new", "my_type", "--dir", str(tmp_path))
    assert result.code == 0
    assert "clusterctl resource-type test" in result.out
    assert ast.parse((tmp_path / "my_type.py").read_text(encoding="utf-8"))
    assert bare("resource-type", "new", "my_type", "--dir", str(tmp_path)).code == 3
    assert bare("resource-type", "new", "../x", "--dir", str(tmp_path)).code == 64
    assert bare("resource-type", "new", "x", "--dir", str(tmp_path / "nothing")).code == 64


def test_test_says_which_rule_is_broken(bare, tmp_path: Path) -> None:
    path = tmp_path / "broken.py"
    path.write_text("raise RuntimeError('on purpose')\n", encoding="utf-8")
    result = bare("resource-type", "test", str(path), "-o", "json")
    assert result.code == 1
    assert result.json["passed"] is False
    assert "on purpose" in result.json["checks"][0]["message"]
    assert bare("resource-type", "test", str(path), "novalue").code == 64
