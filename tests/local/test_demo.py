"""The demo as a person runs it: a process of its own, its exit code and its last words."""

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from typing import Any

import pytest

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


@pytest.fixture(scope="module")
async def demo() -> Run:
    return await run_demo()


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
