"""Source accounts and batches over HTTP, under Microsoft's worker library: uploads, refusals, progress, handshakes."""

import asyncio
import base64
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.local.hosting import ROOT, RunningHost, hosting
from tests.sources.inbound_samples import SECRET

HEAD = "address,role,item_id,item_kind,path"
AS_OF = "asOf=2026-01-01T00:00:00Z"


@pytest.fixture
async def host(azurite: str, tmp_path: Path) -> AsyncIterator[RunningHost]:
    """The app with one SecuriSync connection and one Dropbox connection."""
    path = tmp_path / "connections.json"
    routes = [{"source": "/", "drive": "d"}]
    common = {"internal_domains": ["contoso.com"], "routes": routes}
    dropbox = {"app_key": "DROPBOX_KEY", "app_secret": "DROPBOX_SECRET", "refresh_token": "DROPBOX_TOKEN"}
    connections = [
        {"id": "sync", "platform": "securisync", "secrets": {"signing_secret": "SYNC_SECRET"}, **common},
        {"id": "box", "platform": "dropbox", "secrets": dropbox, **common},
    ]
    path.write_text(json.dumps({"connections": connections}))
    settings = {
        "GUESTPASS_ACCEPTANCE_SCHEDULE": "0 0 0 1 1 *",
        "HOME": "/nonexistent",
        "AzureWebJobsStorage": azurite,
        "GUESTPASS_CONNECTIONS_FILE": str(path),
        "GUESTPASS_DEVELOPMENT_PRINCIPAL": "tester",
        "SYNC_SECRET": SECRET,
        "DROPBOX_KEY": "dropbox-key",
        "DROPBOX_SECRET": base64.b16encode(os.urandom(16)).decode(),
        "DROPBOX_TOKEN": "refresh-token-of-the-team",
    }
    async with hosting(settings, ROOT) as running:
        yield running


async def call(host: RunningHost, method: str, path: str, **request: Any) -> tuple[int, Any]:
    async with host.http.request(method, f"/api/{path}", **request) as response:
        return response.status, await response.json()


async def upload(host: RunningHost, content: str, query: str = AS_OF, kind: str = "text/csv") -> tuple[int, Any]:
    headers = {"Content-Type": kind}
    return await call(host, "POST", f"sources/sync/shares?{query}", data=content.encode(), headers=headers)


async def test_a_file_is_taken_and_its_outcomes_are_counted(host: RunningHost) -> None:
    lines = [f"p{number}@partner.example,Emperor,{number},folder,/Plans" for number in range(120)]
    status, batch = await upload(host, "\n".join([HEAD, *lines]))
    assert (status, batch["state"], batch["lines"], batch["by"]) == (202, "running", 120, "tester")
    await host.idle()
    status, shown = await call(host, "GET", f"batches/{batch['batch']}")
    assert (status, shown["state"], shown["shares"]) == (200, "done", 120)
    assert shown["outcomes"] == {"refused/unknown-role": 120}
    _, listed = await call(host, "GET", "batches")
    assert listed["batches"][0]["batch"] == batch["batch"]
    status, cancelled = await call(host, "POST", f"batches/{batch['batch']}/cancel", json={})
    assert (status, cancelled["state"]) == (200, "done"), "what has ended stays as it is"


async def test_a_bad_file_is_refused_whole_with_every_line(host: RunningHost) -> None:
    _, before = await call(host, "GET", "batches")
    status, answer = await upload(host, f"{HEAD}\n,View,1,folder,/Plans\nben@partner.example,View,1,folder,Plans\n")
    assert status == 422
    assert [fault["line"] for fault in answer["faults"]] == [2, 3]
    assert answer["faultCount"] == 2
    assert await call(host, "GET", "batches") == (200, before)


@pytest.mark.parametrize(
    ("path", "kind", "status"),
    [
        (f"sources/sync/shares?{AS_OF}", "text/plain", 415),
        (f"sources/sync/shares?{AS_OF}", "application/x-www-form-urlencoded", 415),
        (f"sources/nowhere/shares?{AS_OF}", "text/csv", 404),
        ("sources/sync/shares?asOf=yesterday", "text/csv", 400),
        ("sources/sync/shares?asOf=2026-01-01T00:00:00", "text/csv", 400),
        ("sources/sync/shares", "application/x-ndjson", 422),
        ("sources/sync/scan", "application/json", 409),
        ("sources/nowhere/scan", "application/json", 404),
        ("sources/sync/scan", "text/plain", 415),
        ("batches/nothing/cancel", "application/json", 404),
    ],
)
async def test_what_is_not_understood_is_refused(host: RunningHost, path: str, kind: str, status: int) -> None:
    answered, body = await call(host, "POST", path, data=b"{}", headers={"Content-Type": kind})
    assert answered == status
    assert body["message"]


async def test_a_file_that_is_too_large_is_not_read(host: RunningHost) -> None:
    status, _ = await upload(host, "x" * (32 * 1024 * 1024 + 1))
    assert status == 413


async def test_a_batch_that_does_not_exist(host: RunningHost) -> None:
    assert (await call(host, "GET", "batches/..%2F..%2Fguests"))[0] == 404
    assert (await call(host, "GET", "batches/nothing"))[0] == 404


async def test_the_source_accounts_are_listed(host: RunningHost) -> None:
    status, answer = await call(host, "GET", "sources")
    assert status == 200
    assert [(one["connection"], one["platform"]) for one in answer["sources"]] == [
        ("sync", "securisync"),
        ("box", "dropbox"),
    ]


async def test_what_does_not_answer_is_named(host: RunningHost) -> None:
    """There is no Graph here, and nobody who gives a token for it."""
    status, answer = await call(host, "GET", "health/ready")
    assert (status, answer["status"]) == (503, "not ready")
    assert answer["checks"] == {"settings": "ok", "tables": "ok", "queues": "ok", "graph": "does not answer"}
    assert (await call(host, "GET", "health"))[0] == 200


async def test_a_handshake_is_answered_as_plain_text_that_no_browser_runs(host: RunningHost) -> None:
    async with host.http.get("/api/webhooks/box?challenge=abc123") as response:
        assert (response.status, await response.text()) == (200, "abc123")
        assert response.headers["Content-Type"].startswith("text/plain")
        assert response.headers["X-Content-Type-Options"] == "nosniff"
    hostile = ["%3Cscript%3Ealert(1)%3C/script%3E", "x" * 5000, "%00", "%0d%0aSet-Cookie:%20a=b"]
    for challenge in hostile:
        async with host.http.get(f"/api/webhooks/box?challenge={challenge}") as response:
            assert response.status in (200, 400)
            assert "<script" not in await response.text()
            assert "Set-Cookie" not in response.headers
    async with host.http.get("/api/webhooks/box") as response:
        assert response.status == 405
    async with host.http.get("/api/webhooks/sync?challenge=abc123") as response:
        assert response.status == 405, "a platform without handshakes answers none"
    statuses = await asyncio.gather(*(call(host, "POST", "webhooks/box", data=b"{}") for _ in range(2)))
    assert [status for status, _ in statuses] == [401, 401]
