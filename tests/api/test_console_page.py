"""Can the page be made to run what it shows, and does it keep to its own content policy?"""

import re
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
