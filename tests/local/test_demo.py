"""The demo as a person runs it: a process of its own, its exit code and its last words.

The story, with 500 events more, is told by the package as it is uploaded to Azure, with its pruned libraries; and what
it exports is asked as the portal does.
"""

import asyncio
import json
import os
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import local.portal
from infra.package import LIBRARIES, Size, build
from local.kql import Store
from local.world import ROOT
from tests.contract.graph import check_exchanges

KEPT = ("graph-exchanges", "telemetry", "ledger")
VERDICT = "AS EXPECTED: not one permission missing, not one more"


@dataclass(frozen=True)
class Run:
    code: int | None
    text: str
    exchanges: list[dict[str, Any]]
    telemetry: list[dict[str, Any]]
    ledger: list[dict[str, Any]]

    @property
    def shares(self) -> dict[str, str]:
        """The reason of every share in the ledger."""
        return {share["id"]: share["reason"] for person in self.ledger for share in person["shares"]}


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
    kept = [json.loads((ROOT / ".local" / f"{name}.json").read_text()) for name in KEPT]
    return Run(process.returncode, output.decode(), *kept)


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
    return await run_demo("--app", str(package.folder), "--events", "500", "--telemetry")


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


@pytest.fixture(scope="module")
def panels(demo: Run) -> dict[str, list[dict[str, Any]]]:
    """The rows of every panel of the workbook."""
    return {panel["name"]: panel["rows"] for panel in local.portal.panels(Store(demo.telemetry))}


async def test_ends_as_expected_also_with_500_events_more(demo: Run) -> None:
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


async def test_every_panel_of_the_workbook_has_rows(panels: dict[str, list[dict[str, Any]]]) -> None:
    assert [name for name, rows in panels.items() if not rows] == ["poison"], "nothing fails for good in the demo"


async def test_the_portal_shows_the_people_whom_the_ledger_knows(
    demo: Run, panels: dict[str, list[dict[str, Any]]]
) -> None:
    heads = Counter(head for person in demo.ledger for head in person["views"])
    assert {row["state"]: row["people"] for row in panels["waiting"]} == dict(heads)
    assert sum(row["number"] for row in panels["funnel"] if row["step"].startswith("2 ")) >= len(demo.shares)


async def test_the_last_thing_told_of_a_share_is_what_the_ledger_says(demo: Run) -> None:
    """But for what only waits for the person: that is told of the person."""
    told: dict[str, str] = {}
    query = (
        "traces | where message in ('share decided', 'access settled') | order by timestamp asc"
        " | project share = tostring(customDimensions.share), reason = tostring(customDimensions.reason)"
    )
    for row in Store(demo.telemetry).ask(query):
        told[row["share"]] = row["reason"]
    final = {share: reason for share, reason in demo.shares.items() if reason.startswith(("granted/", "revoked/"))}
    assert len(final) > 100
    assert {share: told.get(share) for share in final} == final


async def test_what_needs_attention_can_be_followed_down_to_its_trace(
    demo: Run, panels: dict[str, list[dict[str, Any]]]
) -> None:
    ailing = {share for share, reason in demo.shares.items() if reason.startswith("needs-attention/")}
    assert ailing <= {row["share"] for row in panels["failures"]}
    assert panels["failures"][0]["reason"] in {row["reason"] for row in panels["share"]}, "its story tells it"
    assert "process share-events" in {row["name"] for row in panels["trace"]}


async def test_a_grant_links_back_to_the_trace_in_which_its_share_was_told(demo: Run) -> None:
    store, linked = Store(demo.telemetry), 0
    shown = " | project share = tostring(customDimensions.share), trace = operation_Id"
    given = "message == 'access settled' and tostring(customDimensions.state) == 'granted'"
    told, settled = (store.ask(f"traces | where {which}{shown}") for which in ("message == 'share decided'", given))
    links: dict[str, str] = {}
    for envelope in demo.telemetry:
        data, trace = envelope["data"]["baseData"], envelope["tags"].get("ai.operation.id", "")
        if envelope["name"].endswith("Request") and data["name"] == "process grants":
            links[trace] = links.get(trace, "") + data["properties"].get("_MS.links", "")
    heard: dict[str, set[str]] = {}
    for row in told:
        heard.setdefault(row["share"], set()).add(row["trace"])
    for row in settled:
        linked += any(trace == row["trace"] or trace in links.get(row["trace"], "") for trace in heard[row["share"]])
    assert linked == len(settled) > 100
