"""The simulated SharePoint judges requests as strictly as the real one does."""

import base64
import re
from typing import Any

import pytest

from tests.local.tenant.client import DRIVE, Client, refusal

# Items.


@pytest.mark.parametrize(
    "form",
    [
        "items/i-plan",
        "root:/Team/a%20b/c%23d%25:",
        "root:/team/A%20B/C%23D%25",
        "items/root:/Team/a%20b/c%23d%25:",
        "items/root%3A%2FTeam%2Fa%20b%2Fc%23d%25%3A",
        "items/i-team:/a%20b/c%23d%25:",
    ],
)
async def test_an_item_has_many_addresses(client: Client, form: str) -> None:
    answer = await client.graph("GET", f"/drives/{DRIVE}/{form}")
    assert answer.json().get("id") == "i-plan", answer.text
    if form.endswith((":", "%3A", "plan")):
        listed = await client.graph("GET", f"/drives/{DRIVE}/{form}/permissions")
        assert len(listed.json()["value"]) == 2


async def test_a_missing_item_is_404_without_inner_error(client: Client) -> None:
    for path in (f"/drives/{DRIVE}/items/none", f"/drives/{DRIVE}/root:/Team/none:", "/drives/none/root"):
        answer = await client.graph("GET", path)
        assert refusal(answer) == (404, "itemNotFound")
        assert "innerError" not in answer.json()["error"]
    await client.control("items", {"drive": DRIVE, "delete": ["/Team"], "add": [{"id": "i-new", "path": "/New/x"}]})
    assert (await client.graph("GET", f"/drives/{DRIVE}/items/i-plan")).status_code == 404
    assert (await client.graph("GET", f"/drives/{DRIVE}/root:/new/X")).json()["id"] == "i-new"


# Permissions.


async def test_permission_id_is_the_claims_login_and_the_same_everywhere(client: Client) -> None:
    first = (await client.grant("i-plan", "u-bob")).json()["value"][0]["id"]
    second = (await client.grant("i-other", "u-bob")).json()["value"][0]["id"]
    login = base64.urlsafe_b64decode(first + "=" * (-len(first) % 4)).decode()
    assert login == "i:0#.f|membership|bob_fabrikam.com#ext#@contoso.onmicrosoft.com"
    assert first == second
    assert "=" not in first


async def test_a_new_role_replaces_the_old_one(client: Client) -> None:
    for role in ("read", "write", "read"):
        await client.grant("i-plan", "u-bob", role=role)
        assert (await client.entries("i-plan"))["bob@fabrikam.com"]["roles"] == [role]


async def test_only_the_list_shows_the_site_user(client: Client) -> None:
    answer = await client.grant("i-plan", "u-bob")
    assert answer.json()["value"][0]["grantedToV2"].keys() == {"user"}
    assert answer.headers["Deprecation"]
    assert (await client.entries("i-plan"))["bob@fabrikam.com"]["grantedToV2"].keys() == {"user", "siteUser"}


async def test_the_first_grant_breaks_inheritance(client: Client) -> None:
    before = await client.entries("i-plan")
    assert {name: entry["inheritedFrom"] for name, entry in before.items()} == {
        "Documents Owners": {},
        "anna@contoso.com": {},
    }
    await client.grant("i-plan", "u-bob")
    after = await client.entries("i-plan")
    assert after.keys() == {"Documents Owners", "anna@contoso.com", "bob@fabrikam.com"}
    assert not any("inheritedFrom" in entry for entry in after.values())
    await client.grant("i-team", "u-dora")
    assert "dora@tailspin.com" not in await client.entries("i-plan")


@pytest.mark.parametrize(("flag", "kept"), [(True, True), (None, True), (..., True), (False, False)])
async def test_only_a_literal_false_wipes_the_inherited_entries(client: Client, flag: Any, kept: bool) -> None:
    await client.grant("i-plan", "u-bob", retainInheritedPermissions=flag)
    assert ("anna@contoso.com" in await client.entries("i-plan")) is kept


async def test_an_inherited_entry_cannot_be_changed_at_the_child(client: Client) -> None:
    anna = (await client.entries("i-plan"))["anna@contoso.com"]["id"]
    path = f"/drives/{DRIVE}/items/i-plan/permissions/{anna}"
    assert refusal(await client.graph("DELETE", path)) == (403, "notAllowed")
    assert refusal(await client.graph("PATCH", path, json={"roles": ["read"]})) == (403, "notAllowed")
    assert (await client.entries("i-team"))["anna@contoso.com"]["roles"] == ["write"]


async def test_an_own_entry_can_be_read_changed_and_deleted(client: Client) -> None:
    key = (await client.grant("i-plan", "u-bob")).json()["value"][0]["id"]
    path = f"/drives/{DRIVE}/items/i-plan/permissions/{key}"
    assert (await client.graph("GET", path)).json()["roles"] == ["read"]
    assert (await client.graph("PATCH", path, json={"roles": ["write"]})).json()["roles"] == ["write"]
    assert (await client.graph("PATCH", path, json={"roles": ["owner"]})).status_code == 400
    assert (await client.graph("DELETE", path)).status_code == 204
    assert refusal(await client.graph("DELETE", path)) == (404, "itemNotFound")
    assert "bob@fabrikam.com" not in await client.entries("i-plan")


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"roles": ["owner"]}, 400, "invalidRequest"),
        ({"roles": []}, 400, "invalidRequest"),
        ({"recipients": []}, 400, "invalidRequest"),
        ({"recipients": [{"objectId": "u-bob", "email": "bob@fabrikam.com"}]}, 400, "invalidRequest"),
        ({"retain_inherited_permissions": None}, 400, "invalidRequest"),
        ({"requireSignIn": False}, 400, "invalidRequest"),
        ({"message": "x" * 2_001}, 400, "invalidRequest"),
        ({"recipients": [{"objectId": "nobody"}]}, 400, "noResolvedUsers"),
        ({"recipients": [{"email": "stranger@fabrikam.com"}]}, 500, "generalException"),
        ({"recipients": [{"alias": "stranger"}]}, 400, "invalidRequest"),
    ],
)
async def test_refused_grants(client: Client, change: dict[str, Any], status: int, code: str) -> None:
    assert refusal(await client.grant("i-plan", "u-bob", **change)) == (status, code)
    assert all("inheritedFrom" in entry for entry in (await client.entries("i-plan")).values())


async def test_one_bad_recipient_fails_the_whole_call(client: Client) -> None:
    assert refusal(await client.grant("i-plan", "u-bob", "nobody")) == (400, "noResolvedUsers")
    assert "bob@fabrikam.com" not in await client.entries("i-plan")


async def test_expiry_of_a_direct_grant_has_no_effect(client: Client) -> None:
    await client.grant("i-plan", "u-bob", expirationDateTime="2020-01-01T00:00:00Z")
    assert "expirationDateTime" not in (await client.entries("i-plan"))["bob@fabrikam.com"]


@pytest.mark.parametrize(
    "settings",
    [
        {"sharingCapability": "disabled"},
        {"sharingDomainRestrictionMode": "blockList", "sharingBlockedDomainList": ["fabrikam.com"]},
        {"sharingDomainRestrictionMode": "allowList", "sharingAllowedDomainList": ["tailspin.com"]},
    ],
)
async def test_sharing_policy_refuses_three_levels_deep(client: Client, settings: dict[str, Any]) -> None:
    await client.control("settings", settings)
    answer = await client.grant("i-plan", "u-bob")
    assert refusal(answer) == (403, "accessDenied")
    inner = answer.json()["error"]["innerError"]
    assert (inner["code"], inner["innerError"]["code"]) == ("sharingFailed", "sharingDisabled")
    assert (await client.grant("i-plan", "u-anna")).status_code == 200


async def test_permissions_are_paged(client: Client) -> None:
    await client.control("settings", {"permissionsPageSize": 2})
    await client.grant("i-plan", "u-bob", "u-dora", "u-carl")
    url: str | None = f"/v1.0/drives/{DRIVE}/items/i-plan/permissions"
    sizes = []
    while url:
        body = (await client.http.get(url, headers=client.auth)).json()
        sizes.append(len(body["value"]))
        url = body.get("@odata.nextLink")
    assert sizes == [2, 2, 1]


# Links.


async def test_a_link_is_new_once(client: Client) -> None:
    first = await client.create_link(recipients=[{"objectId": "u-bob"}])
    second = await client.create_link(recipients=[{"objectId": "u-dora"}])
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["id"] == second.json()["id"]
    assert re.fullmatch(r"[0-9a-f-]{36}", first.json()["id"])
    assert (await client.create_link(type="edit")).status_code == 201


async def test_people_are_added_to_a_link_by_its_share_id(client: Client) -> None:
    link = (await client.create_link()).json()
    token = base64.urlsafe_b64encode(link["link"]["webUrl"].encode()).decode().rstrip("=")
    body = {"recipients": [{"objectId": "u-bob"}], "roles": ["read"]}
    answer = await client.graph("POST", f"/shares/u!{token}/permission/grant", json=body)
    assert answer.json()["value"][0]["id"] == link["id"]
    rows = (await client.read("permissions"))["value"]
    assert [(row["mail"], row["via"], row["linkType"]) for row in rows if row["via"] == "link"] == [
        ("bob@fabrikam.com", "link", "view")
    ]
    assert (await client.graph("POST", "/shares/u!none/permission/grant", json=body)).status_code == 404


async def test_links_refuse_what_the_service_refuses(client: Client) -> None:
    key = (await client.create_link()).json()["id"]
    path = f"/drives/{DRIVE}/items/i-plan/permissions/{key}"
    assert (await client.graph("PATCH", path, json={"roles": ["write"]})).status_code == 400
    assert (await client.create_link(type="embed")).status_code == 400
    assert (await client.create_link(scope="everyone")).status_code == 400
    assert (await client.create_link(password="x")).status_code == 400
    await client.control("settings", {"sharingCapability": "existingExternalUserSharingOnly"})
    assert (await client.create_link(scope="anonymous")).status_code == 403
    assert (await client.graph("DELETE", path)).status_code == 204


async def test_an_expired_link_gives_nothing(client: Client) -> None:
    await client.create_link(recipients=[{"objectId": "u-bob"}], expirationDateTime="2020-01-01T00:00:00Z")
    rows = (await client.read("permissions"))["value"]
    assert not [row for row in rows if row["via"] == "link"]
