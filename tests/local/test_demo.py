"""The demo as a person runs it: a process of its own, its exit code and its last words.

The story is told by the package as it is uploaded to Azure, with its pruned libraries; the one with 500 events more by
this checkout.
"""

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infra.package import LIBRARIES, Size, build
from local.world import ROOT
from tests.contract.graph import check_exchanges

VERDICT = "AS EXPECTED: not one permission missing, not one more"


@dataclass(frozen=True)
class Run:
    code: int | None
    text: str
    exchanges: list[dict[str, Any]]


async def run_demo(*options: str) -> Run:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "local.demo", *options),
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "200"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.terminate()  # it takes its world down
            await process.wait()
    return Run(process.returncode, output.decode(), json.loads((ROOT / ".local" / "graph-exchanges.json").read_text()))


@dataclass(frozen=True)
class Package:
    folder: Path
    sizes: dict[str, tuple[Size, Size]]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    folder = tmp_path_factory.mktemp("package") / "app"
    return Package(folder, build(folder))


@pytest.fixture(scope="module")
async def demo(package: Package) -> Run:
    return await run_demo("--app", str(package.folder))


def test_the_package_is_a_quarter_and_msgraph_nearly_nothing(package: Package) -> None:
    assert package.sizes["msgraph-sdk"][1].files < package.sizes["msgraph-sdk"][0].files / 50
    assert package.sizes["all libraries"][1].bytes < package.sizes["all libraries"][0].bytes / 4


def test_the_package_holds_the_app_and_nothing_of_the_workshop(package: Package) -> None:
    held = {path.name for path in package.folder.iterdir()} - {"connections.json"}
    app = {"function_app.py", "functions", "host.json", "requirements.txt", "shared"}
    assert held == {*app, LIBRARIES.parts[0]}


async def test_the_package_needs_no_library_from_elsewhere(package: Package) -> None:
    """Python sees the package and its own library only, and imports every module of the app and Graph's client."""
    code = """
import pkgutil, sys
sys.path += sys.argv[1:]
import functions, shared
for room in (functions, shared):
    for module in pkgutil.walk_packages(room.__path__, f"{room.__name__}."):
        __import__(module.name)
import function_app, msgraph
from msgraph.graph_service_client import GraphServiceClient
import azure.identity.aio, googleapiclient.discovery, box_sdk_gen, dropbox
foreign = [m.__file__ for m in (function_app, msgraph, box_sdk_gen) if not m.__file__.startswith(sys.argv[1])]
assert not foreign, foreign
"""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", "-c", code, str(package.folder), str(package.folder / LIBRARIES)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()


async def test_ends_as_expected(demo: Run) -> None:
    assert demo.code == 0, demo.text
    assert f"\n{VERDICT} (" in demo.text


async def test_shows_every_share_what_exists_and_the_counts(demo: Run) -> None:
    for title in (
        "Every share",
        "Permissions that really exist at the destination",
        "Every platform; untold and from before: found by a scan",
        "What the scans and the file brought",
        "Counts",
    ):
        assert title in demo.text
    for words in ("pending admin approval", "has not accepted the invitation yet"):
        assert words in demo.text


async def test_speaks_graph_as_its_description_says(demo: Run) -> None:
    if not (description := os.environ.get("GRAPH_OPENAPI")):
        pytest.skip("GRAPH_OPENAPI does not name Microsoft Graph's OpenAPI description")
    assert demo.exchanges
    assert check_exchanges(demo.exchanges, description) == []


async def test_loses_nothing_of_500_events_more() -> None:
    run = await run_demo("--events", "500")
    assert run.code == 0, run.text
    assert f"\n{VERDICT} (" in run.text
