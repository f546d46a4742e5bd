"""The page's own files: what npm's package holds, nothing from elsewhere, nothing inline."""

import re

import pytest

from shared.console.render import ASSETS, asset
from tests.local.hosting import ROOT

CONSOLE = ROOT / "shared" / "console"


def test_htmx_is_the_package_s_own_file_with_its_licence() -> None:
    package = ROOT / "node_modules" / "htmx.org"
    assert ASSETS["htmx.min.js"].content == (package / "dist" / "htmx.min.js").read_bytes(), "copy it again"
    assert (CONSOLE / "static" / "htmx.LICENSE").read_bytes() == (package / "LICENSE").read_bytes()


def test_an_address_changes_with_the_content() -> None:
    assert re.fullmatch(r"/api/assets/console\.css\?v=[0-9a-f]{12}", asset("console.css"))
    assert set(ASSETS) == {"console.css", "console.js", "htmx.min.js", "icon.svg"}


@pytest.mark.parametrize("path", sorted((CONSOLE / "templates").glob("*.html")), ids=lambda path: path.name)
def test_a_template_holds_nothing_inline_and_nothing_from_elsewhere(path: object) -> None:
    text = path.read_text()  # type: ignore[attr-defined]
    assert not re.search(r"<style|<script(?![^>]*\bsrc=)|\sstyle=|\son[a-z]+=|javascript:", text)
    assert not re.search(r"(?:src|href|action|hx-\w+)=\"(?:https?:)?//", text)
    assert "|safe" not in text.replace(" ", "")
    assert "autoescape" not in text
