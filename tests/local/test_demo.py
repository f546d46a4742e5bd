"""The demo as a person runs it: a process of its own, its exit code and its last words."""

import asyncio
import json
import os
import sys
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest

import local.portal
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


@pytest.fixture(scope="module")
async def demo() -> Run:
    return await run_demo("--events", "500", "--telemetry")


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
    assert {row["reason"] for row in panels["share"]} == {panels["failures"][0]["reason"]}
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
