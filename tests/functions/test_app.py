"""The function app as Microsoft's worker library sees it, in a process of its own."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.local.hosting import ROOT, hosting, refusal

SETTINGS = {"GUESTPASS_ACCEPTANCE_SCHEDULE": "0 0 0 1 1 *", "HOME": "/nonexistent"}
STORAGE = "AzureWebJobsStorage"


def queue(name: str) -> dict[str, object]:
    return {"direction": "IN", "type": "queueTrigger", "name": "message", "queueName": name, "connection": STORAGE}


def timer(schedule: str) -> dict[str, object]:
    return {"direction": "IN", "type": "timerTrigger", "name": "timer", "schedule": schedule}


def route(path: str, *methods: str) -> dict[str, object]:
    return {
        "direction": "IN",
        "type": "httpTrigger",
        "name": "req",
        "methods": list(methods),
        "authLevel": "ANONYMOUS",
        "route": path,
    }


EXPECTED = {
    "receive_delivery": route("webhooks/{connection}", "GET", "POST"),
    "read_delivery": queue("deliveries"),
    "work_on_feed": queue("feeds"),
    "run_batch": queue("batches"),
    "tend_sources": timer("45 * * * * *"),
    "receive_share": queue("share-events"),
    "invite_guest": queue("invitations"),
    "settle_access": queue("grants"),
    "move_shares": queue("moves"),
    "drain_deliveries": queue("deliveries-poison"),
    "drain_share_events": queue("share-events-poison"),
    "drain_invitations": queue("invitations-poison"),
    "drain_grants": queue("grants-poison"),
    "drain_moves": queue("moves-poison"),
    "drain_feeds": queue("feeds-poison"),
    "drain_batches": queue("batches-poison"),
    "list_sources": route("sources", "GET"),
    "start_scan": route("sources/{connection}/scan", "POST"),
    "upload_shares": route("sources/{connection}/shares", "POST"),
    "list_batches": route("batches", "GET"),
    "show_batch": route("batches/{batch}", "GET"),
    "cancel_batch": route("batches/{batch}/cancel", "POST"),
    "poll_acceptance": timer("%GUESTPASS_ACCEPTANCE_SCHEDULE%"),
    "expire_shares": timer("30 * * * * *"),
    "follow_up_invitations": timer("50 */5 * * * *"),
    "repair": timer("15 */10 * * * *"),
    "measure_state": timer("40 */5 * * * *"),
    "list_access_requests": route("access-requests", "GET"),
    "act_on_access_requests": route("access-requests", "POST"),
    "explain_access_request": route("access-requests/{guest}", "GET"),
    "act_on_access_request": route("access-requests/{guest}/{action}", "POST"),
    "open_destination": route("access-requests/{guest}/shares/{share}", "GET"),
    "list_unreadable": route("unreadable", "GET"),
    "list_account_maps": route("account-maps", "GET"),
    "change_account_maps": route("account-maps", "POST"),
    "show_tenant_check": route("tenant-check", "GET"),
    "tell_alive": route("health", "GET"),
    "tell_ready": route("health/ready", "GET"),
    "show_status": route("status", "GET"),
    "describe_interface": route("openapi.json", "GET"),
    "serve_asset": route("assets/{name}", "GET"),
}

_INDEX = """
import asyncio, json, sys
from pathlib import Path
from local.host.worker import Worker

async def main():
    worker = Worker(Path("."))
    await worker.start()
    print(json.dumps({name: [dict(b) for b in f.bindings] for name, f in worker.functions.items()}))
    libraries = ("msgraph", "box_sdk_gen", "kiota_http", "dropbox", "googleapiclient", "jinja2")
    exporters = ("azure.monitor", "opentelemetry.sdk")
    heavy = [m for m in sys.modules if m.split(".")[0] in libraries or m.startswith(exporters)]
    print(json.dumps(heavy))
    worker.stop()

asyncio.run(main())
"""


def test_the_functions_and_their_bindings() -> None:

    done = subprocess.run(
        [sys.executable, "-c", _INDEX],
        cwd=ROOT,
        env={"PATH": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    functions, heavy = (json.loads(line) for line in done.stdout.splitlines()[-2:])
    triggers = {name: next(b for b in bindings if b["direction"] == "IN") for name, bindings in functions.items()}
    assert triggers == EXPECTED
    assert heavy == [], "indexing the app loads no heavy library and reads no setting"


def test_wiring_up_everything_loads_no_model_of_the_graph_sdk() -> None:
    code = """
import asyncio, sys
from shared.graph.client import Graph
import shared.wiring
from azure.identity.aio import DefaultAzureCredential
async def main():
    graph = Graph("https://graph.microsoft.com/v1.0", DefaultAzureCredential())
    await graph.close()
asyncio.run(main())
print([m for m in sys.modules if m.startswith("msgraph.generated.models")])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.strip() == "[]", done.stderr


async def test_a_host_without_the_schedule_refuses_to_start_and_names_it(azurite: str) -> None:
    message = await refusal(ROOT, {STORAGE: azurite})
    assert "GUESTPASS_ACCEPTANCE_SCHEDULE" in message


@pytest.fixture
def connections(tmp_path: Path) -> Path:
    path = tmp_path / "connections.json"
    path.write_text('{"connections": []}')
    return path


async def test_doors_are_closed_by_default(azurite: str, connections: Path) -> None:
    settings = {**SETTINGS, STORAGE: azurite, "GUESTPASS_CONNECTIONS_FILE": str(connections)}
    async with hosting(settings, ROOT) as host:
        for method, path in [
            ("GET", "access-requests"),
            ("POST", f"access-requests/{'0' * 32}/approve"),
            ("GET", "sources"),
            ("POST", "sources/box/scan"),
            ("POST", "sources/box/shares"),
            ("GET", "batches"),
            ("GET", "batches/one"),
            ("POST", "batches/one/cancel"),
        ]:
            async with host.http.request(method, f"/api/{path}", json={}) as response:
                assert response.status == 401
        async with host.http.post("/api/webhooks/nobody", data=b"{}") as response:
            assert response.status == 404
            assert (await response.json())["code"] == "connection-unknown"


async def test_what_is_not_configured_answers_503_so_that_the_platform_tries_again(azurite: str) -> None:
    settings = {**SETTINGS, STORAGE: azurite, "GUESTPASS_CONNECTIONS_FILE": "nowhere.json"}
    async with hosting(settings, ROOT) as host:
        statuses = await asyncio.gather(*(_post(host.http) for _ in range(3)))
        assert statuses == [503, 503, 503]


async def _post(http: object) -> int:
    async with http.post("/api/webhooks/box", data=b"{}") as response:  # type: ignore[attr-defined]
        return int(response.status)


async def test_a_language_without_templates_is_refused_at_the_first_use(azurite: str, connections: Path) -> None:
    settings = {
        **SETTINGS,
        STORAGE: azurite,
        "GUESTPASS_CONNECTIONS_FILE": str(connections),
        "GUESTPASS_DEVELOPMENT_PRINCIPAL": "tester",
        "GUESTPASS_MAIL_LANGUAGE": "tlh",
    }
    async with hosting(settings, ROOT) as host, host.http.get("/api/access-requests") as response:
        assert response.status == 503
        assert (await response.json())["code"] == "not-configured"
