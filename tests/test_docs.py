"""The docs agree with the code."""

import re
from pathlib import Path

import pytest

from docs.generate import PAGES, PARTS, ROOT, fresh
from tests.functions.test_app import EXPECTED


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_generated_parts_are_fresh(page: Path) -> None:
    text = page.read_text()
    assert fresh(text) == text, "run `make docs`"


def test_every_part_stands_on_a_page() -> None:
    used = {name for page in PAGES for name in re.findall(r"<!-- generated: ([a-z-]+) -->", page.read_text())}
    assert used == set(PARTS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_within_the_docs_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_the_readme_names_every_make_target_and_every_route() -> None:
    readme = (ROOT / "README.md").read_text()
    routes = [str(trigger["route"]) for trigger in EXPECTED.values() if "route" in trigger]
    for route in routes:
        assert f"/api/{route}" in readme, route
    for target in ("demo", "run", "test", "lint", "help"):
        assert f"make {target}" in readme
