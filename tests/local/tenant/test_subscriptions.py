"""Subscriptions: what is accepted, the validation handshake, and what is sent."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web

from tests.local.tenant.client import DRIVE, Client, refusal


class Listener:
    """An address that proves itself and takes what comes."""

    def __init__(self) -> None:
        self.url = ""
        self.proofs: list[str] = []
        self.came: list[dict[str, Any]] = []
        self.statuses = [202]
        self.proof_status, self.proof_type, self.proof_text = 200, "text/plain", ""

    async def take(self, request: web.Request) -> web.Response:
        token = request.query.get("validationToken")
        if token is not None:
            self.proofs.append(request.raw_path.partition("?")[2])
            return web.Response(status=self.proof_status, content_type=self.proof_type, text=self.proof_text or token)
        self.came += (await request.json())["value"]
        return web.Response(status=self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0])


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    listener, app = Listener(), web.Application()
    app.router.add_post("/hook", listener.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    listener.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    yield listener
    await runner.cleanup()


def ends(minutes: float) -> str:
    return (datetime.now(UTC) + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")


async def subscribe(client: Client, listener: Listener, *, prefer: str = "includesecuritywebhooks", **more: Any) -> Any:
    body = {
        "changeType": "updated",
        "resource": f"/drives/{DRIVE}/root",
        "notificationUrl": listener.url,
        "lifecycleNotificationUrl": f"{listener.url}?code=key",
        "clientState": "state",
        "expirationDateTime": ends(60),
        **more,
    }
    body = {name: value for name, value in body.items() if value is not ...}
    return await client.graph("POST", "/subscriptions", json=body, headers={"Prefer": prefer})


async def came(client: Client, listener: Listener) -> list[dict[str, Any]]:
    assert (await client.http.post("/control/idle")).status_code == 204
    found, listener.came = listener.came, []
    return found


async def add_file(client: Client, name: str) -> None:
    await client.control("items", {"drive": DRIVE, "add": [{"path": f"/{name}", "kind": "file"}]})


async def test_both_addresses_have_to_send_the_token_back(client: Client, listener: Listener) -> None:
    made = await subscribe(client, listener)
    assert made.status_code == 201
    assert made.json()["resource"] == f"drives/{DRIVE}/root"
    assert len(listener.proofs) == 2
    assert listener.proofs[1].startswith("code=key&validationToken=Validation%3A+Testing")


@pytest.mark.parametrize(
    ("name", "value"),
    [("proof_status", 202), ("proof_type", "text/html"), ("proof_text", "another"), ("url", "http://127.0.0.1:1/x")],
)
async def test_an_address_that_does_not_prove_itself(client: Client, listener: Listener, name: str, value: Any) -> None:
    setattr(listener, name, value)
    assert refusal(await subscribe(client, listener)) == (400, "ValidationError")


@pytest.mark.parametrize(
    "more",
    [
        {"changeType": "created,updated"},
        {"resource": f"/drives/{DRIVE}/items/i-team"},
        {"resource": f"/drives/{DRIVE}/root:/Team:"},
        {"resource": "/sites/x/lists/y"},
        {"clientState": "x" * 129},
        {"expirationDateTime": ends(50_000)},
        {"expirationDateTime": ends(-1)},
        {"expirationDateTime": ...},
        {"notificationUrl": ...},
        {"somethingElse": 1},
    ],
)
async def test_what_is_refused(client: Client, listener: Listener, more: dict[str, Any]) -> None:
    assert (await subscribe(client, listener, **more)).status_code == 400


async def test_a_drive_that_does_not_exist(client: Client, listener: Listener) -> None:
    assert (await subscribe(client, listener, resource="/drives/none/root")).status_code == 404


async def test_it_is_read_renewed_and_ended(client: Client, listener: Listener) -> None:
    key = (await subscribe(client, listener)).json()["id"]
    path, later = f"/subscriptions/{key}", ends(42_000)
    assert (await client.graph("GET", path)).json()["clientState"] is None
    assert (await client.graph("PATCH", path, json={"expirationDateTime": later})).json()["expirationDateTime"] == later
    assert (await client.graph("PATCH", path, json={"expirationDateTime": ends(43_000)})).status_code == 400
    assert len((await client.graph("GET", "/subscriptions")).json()["value"]) == 1
    assert (await client.graph("DELETE", path)).status_code == 204
    for method, rest in (("GET", {}), ("PATCH", {"json": {"expirationDateTime": later}}), ("DELETE", {})):
        assert refusal(await client.graph(method, path, **rest)) == (404, "ResourceNotFound")


async def test_it_ends_by_itself(client: Client, listener: Listener) -> None:
    key = (await subscribe(client, listener)).json()["id"]
    await client.control("clock", {"seconds": 3_700})
    assert (await client.graph("GET", f"/subscriptions/{key}")).status_code == 404


async def test_a_notification_says_only_where(client: Client, listener: Listener) -> None:
    key = (await subscribe(client, listener)).json()["id"]
    await add_file(client, "a.txt")
    (told,) = await came(client, listener)
    assert set(told) == {
        "id",
        "subscriptionId",
        "subscriptionExpirationDateTime",
        "clientState",
        "changeType",
        "resource",
        "tenantId",
        "resourceData",
    }
    assert (told["subscriptionId"], told["clientState"], told["resource"]) == (key, "state", f"drives/{DRIVE}/root")
    assert len(told["subscriptionExpirationDateTime"].partition(".")[2]) == len("1234567Z")


async def test_changed_permissions_are_told_only_to_who_asked_for_them(client: Client, listener: Listener) -> None:
    await subscribe(client, listener, prefer="")
    await client.grant("i-team", "u-bob")
    assert await came(client, listener) == []
    await subscribe(client, listener)
    await client.grant("i-team", "u-dora")
    assert len(await came(client, listener)) == 1
    await add_file(client, "a.txt")
    assert len(await came(client, listener)) == 2


async def test_what_is_not_taken_is_sent_again(client: Client, listener: Listener) -> None:
    await subscribe(client, listener)
    listener.statuses = [503, 202]
    await add_file(client, "a.txt")
    first, second = await came(client, listener)
    assert first == second
    delivery = (await client.read("deliveries"))[-1]
    assert (delivery["status"], delivery["attempts"]) == (202, 2)


async def test_lifecycle_notifications_name_no_resource(client: Client, listener: Listener) -> None:
    key = (await subscribe(client, listener)).json()["id"]
    for event in ("missed", "subscriptionRemoved"):
        await client.http.post("/control/subscribed", json={"drive": DRIVE, "event": event})
        (told,) = await came(client, listener)
        assert (told["lifecycleEvent"], told["clientState"]) == (event, "state")
        assert not {"resource", "changeType"} & set(told)
    assert (await client.graph("GET", f"/subscriptions/{key}")).status_code == 404
