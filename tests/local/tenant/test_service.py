"""Budgets, faults, control and contract of the simulated tenant."""

import os
from typing import Any

import pytest

from tests.contract.graph import check_exchanges, item_path
from tests.local.tenant.client import DRIVE, Client, refusal

OPENAPI = os.environ.get("GRAPH_OPENAPI")


# Budgets.


async def test_sharing_calls_are_throttled_and_rejected_ones_count(client: Client) -> None:
    await client.control("settings", {"sharingCallsPer5Minutes": 5})
    headers = [(await client.grant("i-plan", "u-bob")).headers for _ in range(5)]
    assert "RateLimit-Remaining" not in headers[2]
    assert headers[3]["RateLimit-Remaining"] == "1"
    await client.control("clock", {"seconds": 100})
    rejected = await client.grant("i-plan", "u-bob")
    assert refusal(rejected) == (429, "activityLimitReached")
    wait = int(rejected.headers["Retry-After"])
    assert wait < 300
    await client.control("clock", {"seconds": wait})
    assert (await client.grant("i-plan", "u-bob")).status_code == 200
    spent = [(await client.grant("i-plan", "u-bob")).status_code for _ in range(4)]
    assert spent == [200, 200, 200, 429]


async def test_resource_units_cost_five_for_permissions(client: Client) -> None:
    await client.control("settings", {"resourceUnitsPerMinute": 11})
    path = f"/drives/{DRIVE}/items/i-plan"
    for address in (f"{path}/permissions", f"{path}/permissions", path):
        assert (await client.graph("GET", address)).status_code == 200
    assert (await client.graph("GET", path)).status_code == 429
    assert (await client.graph("GET", "/users")).status_code == 200


async def test_invitations_and_sharing_mails_have_budgets(client: Client) -> None:
    await client.control("settings", {"invitationsPer5Seconds": 1, "sharingMailsPerHour": 1})
    assert (await client.invite("eva@fabrikam.com")).status_code == 201
    assert refusal(await client.invite("fay@fabrikam.com")) == (429, "TooManyRequests")
    assert (await client.grant("i-plan", "u-bob", sendInvitation=True)).status_code == 200
    assert (await client.grant("i-other", "u-bob", sendInvitation=True)).status_code == 429
    assert [
        row["itemId"] for row in (await client.read("permissions"))["value"] if row["mail"] == "bob@fabrikam.com"
    ] == ["i-plan"]


# Faults.


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("429", 429, "activityLimitReached"),
        ("503", 503, "serviceNotAvailable"),
        ("500", 500, "generalException"),
        ("404", 404, "itemNotFound"),
        ("noResolvedUsers", 400, "noResolvedUsers"),
        ("sharingDisabled", 403, "accessDenied"),
        ("423", 423, "notAllowed"),
    ],
)
async def test_faults_hit_once_and_change_nothing(client: Client, kind: str, status: int, code: str) -> None:
    await client.control(
        "faults", {"match": {"method": "POST", "pathRegex": "/invite$"}, "kind": kind, "retryAfter": 7}
    )
    answer = await client.grant("i-plan", "u-bob")
    assert refusal(answer) == (status, code)
    assert answer.headers.get("Retry-After") == ("7" if kind in ("429", "503") else None)
    assert "bob@fabrikam.com" not in await client.entries("i-plan")
    assert (await client.grant("i-plan", "u-bob")).status_code == 200


async def test_a_504_after_its_effect_has_done_the_work(client: Client) -> None:
    await client.control("faults", {"match": {"pathRegex": "/invite$"}, "kind": "504-after-effect", "times": 2})
    assert (await client.grant("i-plan", "u-bob")).status_code == 504
    assert "bob@fabrikam.com" in await client.entries("i-plan")
    assert (await client.grant("i-plan", "u-bob")).status_code == 504
    assert (await client.grant("i-plan", "u-bob")).status_code == 200


async def test_a_200_without_effect_has_not(client: Client) -> None:
    await client.control("faults", {"match": {"pathRegex": "/invite$"}, "kind": "200-without-effect"})
    assert len((await client.grant("i-plan", "u-bob")).json()["value"]) == 1
    assert "bob@fabrikam.com" not in await client.entries("i-plan")


async def test_html_and_truncated_answers(client: Client) -> None:
    await client.control("faults", {"kind": "html"})
    answer = await client.graph("GET", "/users")
    assert (answer.status_code, answer.headers["Content-Type"].partition(";")[0]) == (502, "text/html")
    await client.control("faults", {"kind": "truncated"})
    answer = await client.graph("GET", "/users")
    assert answer.status_code == 200
    with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
        answer.json()


# Control.


async def test_unknown_settings_and_faults_are_refused(client: Client) -> None:
    assert (await client.http.post("/control/settings", json={"lag": 1})).status_code == 422
    assert (await client.http.post("/control/faults", json={"kind": "gremlin"})).status_code == 422


async def test_own_entries_are_a_flat_list(client: Client) -> None:
    await client.grant("i-plan", "u-bob", role="write")
    rows = {
        (row["path"], row["mail"], row["role"], row["copied"]) for row in (await client.read("permissions"))["value"]
    }
    assert rows == {
        ("/Team", "anna@contoso.com", "write", False),
        ("/Team/a b/c#d%", "anna@contoso.com", "write", True),
        ("/Team/a b/c#d%", "bob@fabrikam.com", "write", False),
    }
    inherited = [row for row in (await client.read("state"))["permissions"] if row["inherited"]]
    assert {row["path"] for row in inherited} == {"/Team/a b"}


async def test_exchanges_are_recorded_without_the_token(client: Client) -> None:
    await client.grant("i-plan", "u-bob")
    (exchange,) = (await client.read("exchanges"))["value"]
    assert (exchange["method"], exchange["status"]) == ("POST", 200)
    assert exchange["requestBody"]["recipients"] == [{"objectId": "u-bob"}]
    assert client.auth["Authorization"] not in str(exchange)
    assert (await client.read(f"exchanges?since={exchange['n']}"))["value"] == []


# The contract.


@pytest.mark.parametrize(
    ("path", "item"),
    [
        ("/drives/d/root", "/drives/d/root"),
        ("/drives/d/root/invite", "/drives/d/items/root/invite"),
        ("/drives/d/root:/a/b:", "/drives/d/items/root"),
        ("/drives/d/root:/a/b", "/drives/d/items/root"),
        ("/drives/d/items/root:/a b/c#d:/createLink", "/drives/d/items/root/createLink"),
        ("/drives/d/items/i/permissions/p", "/drives/d/items/i/permissions/p"),
    ],
)
def test_items_by_path_are_judged_as_items(path: str, item: str) -> None:
    assert item_path(path) == item


async def tour(client: Client) -> list[dict[str, Any]]:
    """Every call once, and documented refusals of well-formed requests."""
    path = f"/drives/{DRIVE}/items/i-plan"
    await client.invite("eva@fabrikam.com", sendInvitationMessage=True)
    await client.invite("anna@contoso.com")
    page = await client.graph("GET", "/users", params={"$top": "2", "$select": "id,identities,externalUserState"})
    await client.http.get(page.json()["@odata.nextLink"], headers=client.auth)
    await client.users("mail eq 'x'")
    await client.graph("GET", "//users/u-bob")
    await client.graph("GET", "/users/nobody")
    await client.graph("GET", "/admin/sharepoint/settings")
    for address in (
        f"/drives/{DRIVE}/root",
        path,
        f"/drives/{DRIVE}/items/root%3A%2FTeam%3A",
        f"/drives/{DRIVE}/items/no",
    ):
        await client.graph("GET", address)
    key = (await client.grant("i-plan", "u-bob", expirationDateTime="2030-01-01T00:00:00Z")).json()["value"][0]["id"]
    await client.grant("i-plan", "nobody")
    await client.entries("i-plan")
    await client.entries("i-team")
    await client.graph("GET", f"{path}/permissions/{key}")
    await client.graph("PATCH", f"{path}/permissions/{key}", json={"roles": ["write"]})
    link = (
        await client.create_link(recipients=[{"objectId": "u-bob"}], expirationDateTime="2030-01-01T00:00:00Z")
    ).json()
    body = {"recipients": [{"objectId": "u-dora"}], "roles": ["read"]}
    await client.graph("POST", f"/shares/{link['shareId']}/permission/grant", json=body)
    await client.entries("i-plan")
    await client.graph("DELETE", f"{path}/permissions/{key}")
    exchanges: list[dict[str, Any]] = (await client.read("exchanges"))["value"]
    return exchanges


needs_description = pytest.mark.skipif(
    OPENAPI is None, reason="GRAPH_OPENAPI does not name Microsoft Graph's OpenAPI description"
)


@needs_description
async def test_every_call_agrees_with_the_description(client: Client) -> None:
    exchanges = await tour(client)
    assert len(exchanges) > 20
    assert check_exchanges(exchanges, str(OPENAPI)) == []


@needs_description
@pytest.mark.parametrize(
    ("change", "violation"),
    [
        ({"path": "/v1.0/nowhere"}, "path is not in the description"),
        ({"method": "PUT"}, "method is not in the description"),
        ({"query": "$skip=1"}, "$skip is not declared"),
        ({"query": "$skiptoken=x"}, "no next link carried"),
        ({"requestBody": None}, "the body is missing"),
        ({"requestBody": {"retain_inherited_permissions": None}}, "retain_inherited_permissions"),
        ({"requestBody": {"recipients": [{"objectid": "x"}]}}, "objectid"),
        ({"requestBody": {"roles": "read"}}, "$.roles"),
        ({"responseBody": {"value": [{"roles": "read"}]}}, "$.value[0].roles"),
        ({"responseBody": {"value": [{"grantedToV2": {"user": {"id": 7}}}]}}, "grantedToV2"),
        ({"status": 404, "responseBody": {"error": {"code": "x"}}}, "message"),
        ({"status": 302}, "status 302 is not declared"),
    ],
)
async def test_the_check_finds_violations(client: Client, change: dict[str, Any], violation: str) -> None:
    await client.grant("i-plan", "u-bob")
    (exchange,) = (await client.read("exchanges"))["value"]
    (found,) = check_exchanges([{**exchange, **change}], str(OPENAPI))
    assert violation in found
