"""Can the page be made to run what it shows, and does it keep to its own content policy?"""

import asyncio
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient

CONSOLE = Path(__file__).parents[2] / "clusterd" / "api" / "console"


@pytest.mark.parametrize(
    "forbidden",
    ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "DOMParser"],
)
def test_the_script_never_turns_text_into_markup(forbidden: str) -> None:
    assert forbidden not in (CONSOLE / "console.js").read_text(encoding="utf-8")


def test_the_page_has_nothing_inline_and_nothing_from_elsewhere() -> None:
    page = (CONSOLE / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", page)
    assert not re.search(r"<script(?![^>]*\ssrc=)", page)
    for path in CONSOLE.iterdir():
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in text and "https://" not in text, path.name


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html"),
        ("/console.js", "text/javascript"),
        ("/console.css", "text/css"),
        ("/icon.svg", "image/svg+xml"),
    ],
)
async def test_its_files_are_served_without_a_token(client: TestClient, path: str, kind: str) -> None:
    response = await client.get(path, headers={"Authorization": "none"})
    assert (response.status, response.content_type) == (200, kind)


@pytest.mark.parametrize(
    "path", ["/server.py", "/../server.py", "/console/index.html", "/index.html", "/%2e%2e/server.py"]
)
async def test_nothing_else_is(client: TestClient, path: str) -> None:
    assert (await client.get(path)).status == 404


def test_every_element_that_the_script_looks_for_exists() -> None:
    page = (CONSOLE / "index.html").read_text(encoding="utf-8")
    script = (CONSOLE / "console.js").read_text(encoding="utf-8")
    for name in set(re.findall(r'byId\("([\w-]+)"\)', script)):
        assert f'id="{name}"' in page, name


async def test_the_page_of_a_node_that_died_says_so_and_goes_to_another(client: TestClient) -> None:
    """Its session comes from the code in the address, which is gone from there at once; the token is nowhere."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no node to run the page's script")
    status = await (await client.get("/v1/status")).json()
    status["as_of"]["node"] = "n1"
    command = [node, str(Path(__file__).parent / "page_alone.js"), str(CONSOLE / "console.js"), json.dumps(status)]
    for each in status["nodes"]:
        assert each["api_address"]
    done = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    async with asyncio.timeout(60):
        said, _ = await done.communicate()
    found = json.loads(said)
    assert (found["address"], found["authorization"]) == ("/", "Bearer session of first")
    assert found["stored"] == "session of first"
    assert found["left"] == "http://127.0.0.1:7402/#code=way-out"
    assert found["board"] is True, "nothing looks well any more"
    assert found["link"].startswith("n1 has not answered for")
    assert "7402" in found["link"]
    assert found["title"] == "? test"
    assert re.search(r"revision \d+, [\d.]+ (ms|s) old", found["freshness"])
