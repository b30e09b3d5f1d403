"""The shipped types and the template keep the contract; a sloppy type is found out."""

from pathlib import Path
from typing import Any

import pytest

from clusterd.reshost.conformance import conformance
from clusterd.reshost.template import new_resource_type
from tests.reshost.conftest import contained

__all__ = ["contained"]

SLOPPY = """
import subprocess
from clusterd.resource_api import Context, Health, ResourceType

class Sloppy(ResourceType):
    name = "sloppy"

    def online(self, context: Context) -> None:
        context.processes.start(["sleep", "1000"])

    def offline(self, context: Context) -> None:
        raise RuntimeError("cannot")

    def is_alive(self, context: Context) -> Health:
        return Health.YES
"""


@pytest.fixture
def script(tmp_path: Path) -> str:
    path = tmp_path / "script"
    path.write_text(
        f"""#!/bin/sh
case "$1" in
online) sleep 100000 & echo $! > {tmp_path}/pid;;
offline) kill "$(cat {tmp_path}/pid)";;
looks_alive|is_alive) kill -0 "$(cat {tmp_path}/pid)";;
*) exit 3;;
esac
"""
    )
    path.chmod(0o755)
    return str(path)


async def broken_rules(path_or_type: str, properties: dict[str, Any]) -> list[str]:
    results = await conformance(path_or_type, properties)
    assert len(results) > 10, results
    return [f"{each.name}: {each.message}" for each in results if not each.passed]


async def test_generic_service_conforms() -> None:
    assert await broken_rules("generic_service", {"command": ["sleep", "1000"]}) == []


async def test_generic_script_conforms(script: str) -> None:
    assert await broken_rules("generic_script", {"script_filepath": script}) == []


async def test_template_conforms(tmp_path: Path) -> None:
    path = tmp_path / "lava_lamp.py"
    path.write_text(new_resource_type("lava_lamp"))
    assert await broken_rules(str(path), {}) == []


async def test_sloppy_type_is_found_out(tmp_path: Path) -> None:
    path = tmp_path / "sloppy.py"
    path.write_text(SLOPPY)
    broken = await broken_rules(str(path), {})
    assert any("online, checked, offline" in each and "cannot" in each for each in broken)
    assert any("a killed workload is noticed" in each for each in broken)


TYPE = """
import os, subprocess, sys
from clusterd.resource_api import Context, Health, ResourceType

class Careless(ResourceType):
    name = "careless"

    def online(self, context: Context) -> None:
        ONLINE

    def offline(self, context: Context) -> None:
        OFFLINE

    def is_alive(self, context: Context) -> Health:
        ALIVE
"""
DAEMONISED = (
    "import os\nif os.fork(): os._exit(0)\nos.setsid()\nif os.fork(): os._exit(0)\n"
    "os.execve('/bin/sleep', ['sleep', '1000'], ENVIRONMENT)"
)
DAEMON = f"subprocess.run([sys.executable, '-SEIc', {DAEMONISED!r}])"


@pytest.mark.parametrize(
    ("parts", "rule", "message"),
    [
        ({"    def online": "    async def online"}, "it loads", "online would do nothing"),
        ({"OFFLINE": "yield"}, "it loads", "offline would do nothing"),
        ({"    def is_alive": "    async def is_alive"}, "it loads", "is_alive would do nothing"),
        ({"ONLINE": "return self.later()"}, "online, checked, offline", "online returned a coroutine"),
        ({"ALIVE": "return True"}, "online, checked, offline", "answered True, which is no Health"),
        ({"ALIVE": "raise ValueError('?')"}, "online, checked, offline", "ValueError"),
        ({"ONLINE": "subprocess.Popen(['sleep', '1000'])"}, "online, checked, offline", "outside of its containment"),
        (
            {"ONLINE": "subprocess.Popen(['sleep', '1000'], env={})"},
            "online, checked, offline",
            "outside of its containment",
        ),
        ({"ONLINE": DAEMON.replace("ENVIRONMENT", "os.environ")}, "online, checked, offline", "outside of "),
        ({"ONLINE": DAEMON.replace("ENVIRONMENT", "{}")}, "online, checked, offline", "outside of "),
        (
            {"ONLINE": "context.processes.start(['sleep', '1000'])", "OFFLINE": "subprocess.Popen(['sleep', '1000'])"},
            "online, checked, offline",
            "outside of its containment",
        ),
    ],
)
async def test_careless_types_are_found_out(
    contained: str, tmp_path: Path, parts: dict[str, str], rule: str, message: str
) -> None:
    text = TYPE + "\n    async def later(self): pass\n"
    for name, instead in {**parts, "ONLINE": "pass", "OFFLINE": "pass", "ALIVE": "return Health.YES"}.items():
        text = text.replace(name, parts.get(name, instead))
    path = tmp_path / "careless.py"
    path.write_text(text)
    broken = [each for each in await conformance(str(path), {}) if not each.passed]
    assert broken and broken[0].name == rule
    assert message in broken[0].message


async def test_a_short_helper_of_its_own_is_let_be(contained: str, tmp_path: Path) -> None:
    """What has ended when the call does can outlive nothing."""
    path = tmp_path / "careless.py"
    text = TYPE.replace("ONLINE", "subprocess.run(['true'])").replace("OFFLINE", "pass")
    path.write_text(text.replace("ALIVE", "return Health.YES"))
    assert await broken_rules(str(path), {}) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import no_such_module", "ModuleNotFoundError"),
        ("x = 1", "it defines no subclass"),
        ("def (", "SyntaxError"),
    ],
)
async def test_file_that_is_no_plugin(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "plugin.py"
    path.write_text(text)
    results = await conformance(str(path), {})
    assert [each.passed for each in results] == [False]
    assert message in results[0].message


async def test_what_is_not_there() -> None:
    assert "there is no file" in (await conformance("/no/such.py", {}))[0].message
    assert "there is no resource type lamp" in (await conformance("lamp", {}))[0].message


@pytest.mark.parametrize("name", ["", "a b", "Web", "1st", "../x", "class-name"])
def test_names_that_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cannot name a resource type"):
        new_resource_type(name)
