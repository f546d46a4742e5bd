"""The tenant as a source: signing in, drives and where they are, groups, and what its people do."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.local.tenant.client import Client, refusal
from tests.sources.microsoft365_samples import SECRETS, TENANT, running_tenant

OLGA, ANN = "olga@contoso.com", "ann@fabrikam.com"
GOOD = {
    "grant_type": "client_credentials",
    "client_id": SECRETS["client_id"],
    "client_secret": SECRETS["client_secret"],
    "scope": "https://graph.microsoft.com/.default",
}


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with running_tenant() as tenant, httpx.AsyncClient(base_url=tenant.url) as http:
        yield http


@pytest.fixture
async def source(http: httpx.AsyncClient) -> Client:
    """A client that has signed in with the app's secret."""
    answer = await http.post(f"/{TENANT}/oauth2/v2.0/token", data=GOOD)
    return Client(http, answer.json()["access_token"])


async def act(client: Client, person: str, path: str, act: str = "share", **more: Any) -> None:
    answer = await client.http.post("/control/act", json={"act": act, "person": person, "path": path, **more})
    assert answer.status_code == 204, answer.text


async def listed(client: Client, path: str, **params: str) -> list[dict[str, Any]]:
    answer = await client.graph("GET", path, params=params)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["value"])


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"client_secret": "wrong"}, 401),
        ({"client_secret": "é"}, 401),
        ({"client_id": "another"}, 400),
        ({"grant_type": "password"}, 400),
        ({"scope": "https://elsewhere/.default"}, 400),
    ],
)
async def test_who_may_not_sign_in(http: httpx.AsyncClient, change: dict[str, str], status: int) -> None:
    answer = await http.post(f"/{TENANT}/oauth2/v2.0/token", data={**GOOD, **change})
    assert answer.status_code == status
    assert "error" in answer.json()


async def test_another_tenant_does_not_know_the_app(http: httpx.AsyncClient) -> None:
    assert (await http.post(f"/{TENANT[::-1]}/oauth2/v2.0/token", data=GOOD)).status_code == 400


async def test_a_tenant_without_a_registered_app_lets_nobody_in(client: Client) -> None:
    form = {**GOOD, "client_id": "", "client_secret": ""}
    tenant = "00000000-0000-0000-0000-000000000001"
    assert (await client.http.post(f"/{tenant}/oauth2/v2.0/token", data=form)).status_code == 400


async def test_a_onedrive_belongs_to_its_owner(source: Client) -> None:
    await act(source, ANN, f"/{OLGA}/Projects")
    drive = (await source.graph("GET", "/users/u-olga/drive")).json()
    assert (drive["driveType"], drive["owner"]["user"]["id"]) == ("business", "u-olga")
    assert (await source.graph("GET", f"/users/{OLGA}/drive")).json()["id"] == drive["id"]
    assert len(drive["id"]) == 66
    assert refusal(await source.graph("GET", "/users/u-paul/drive")) == (404, "ResourceNotFound")
    (site,) = await listed(source, "/sites/getAllSites")
    assert (site["isPersonalSite"], site["webUrl"]) == (
        True,
        "https://contoso-my.sharepoint.com/personal/olga_contoso_com",
    )


async def test_the_site_s_address_comes_only_when_it_is_selected(source: Client) -> None:
    await act(source, ANN, "/sites/Legal/Documents/x")
    (site,) = await listed(source, "/sites/getAllSites")
    assert site["isPersonalSite"] is False
    (drive,) = await listed(source, f"/sites/{site['id']}/drives")
    path = f"/drives/{drive['id']}"
    assert "sharePointIds" not in (await source.graph("GET", path)).json()
    selected = (await source.graph("GET", path, params={"$select": "id,sharePointIds"})).json()
    assert selected["sharePointIds"]["siteUrl"] == site["webUrl"] == "https://contoso.sharepoint.com/sites/Legal"
    assert "name" not in selected


async def test_sites_come_in_pages_and_by_both_ways(source: Client) -> None:
    for number in range(3):
        await act(source, ANN, f"/sites/s{number}/Documents/x")
    first = (await source.graph("GET", "/sites/getAllSites()", params={"$top": "2"})).json()
    assert len(first["value"]) == 2
    rest = (await source.graph("GET", first["@odata.nextLink"].partition("/v1.0")[2])).json()
    assert len(rest["value"]) == 1
    assert len(await listed(source, "/sites", search="*")) == 3
    assert (await source.graph("GET", "/sites/root")).json()["webUrl"] == "https://contoso.sharepoint.com"
    assert (await source.graph("GET", "/sites/none")).status_code == 404
    assert (await source.graph("GET", "/sites/none/drives")).status_code == 404
    assert (await source.graph("GET", "/drives/none")).status_code == 404
    assert (await source.graph("GET", "/groups/none/transitiveMembers")).status_code == 404


@pytest.mark.parametrize("method", ["POST", "DELETE", "PATCH"])
async def test_places_are_only_read(client: Client, method: str) -> None:
    assert (await client.graph(method, "/sites/root", json={})).status_code >= 400


async def permissions(client: Client, name: str) -> list[dict[str, Any]]:
    """The permissions of the item with that name in olga's OneDrive that are neither hers nor inherited."""
    drive = (await client.graph("GET", "/users/u-olga/drive")).json()["id"]
    answer = await client.graph("GET", f"/drives/{drive}/root:/{name}:/permissions")
    return [entry for entry in answer.json()["value"] if entry["roles"] != ["owner"] and "inheritedFrom" not in entry]


async def test_a_direct_share_names_who_shared(source: Client) -> None:
    await act(source, ANN, f"/{OLGA}/plan", kind="file", role="write", sharer=OLGA)
    (entry,) = await permissions(source, "plan")
    assert (entry["roles"], entry["grantedToV2"]["user"]["email"]) == (["write"], ANN)
    assert entry["grantedToV2"]["siteUser"]["loginName"].endswith("#ext#@contoso.onmicrosoft.com")
    assert entry["invitation"]["invitedBy"]["user"]["email"] == OLGA


async def test_an_invitation_is_nobody_s_until_it_is_redeemed(source: Client) -> None:
    await act(source, ANN, f"/{OLGA}/plan", pending=True)
    (entry,) = await permissions(source, "plan")
    assert entry["invitation"]["email"] == ANN
    assert entry["expirationDateTime"] == "0001-01-01T00:00:00Z"
    assert "grantedToV2" not in entry
    await act(source, ANN, f"/{OLGA}/plan")
    (entry,) = await permissions(source, "plan")
    assert entry["grantedToV2"]["user"]["email"] == ANN


async def test_a_link_is_shared_by_its_people(source: Client) -> None:
    for person in (ANN, "ben@tailspin.com"):
        await act(source, person, f"/{OLGA}/plan", by="link", role="write")
    (entry,) = await permissions(source, "plan")
    assert (entry["link"]["type"], entry["link"]["scope"]) == ("edit", "users")
    assert [one["user"]["email"] for one in entry["grantedToIdentitiesV2"]] == [ANN, "ben@tailspin.com"]
    await act(source, ANN, f"/{OLGA}/plan", "role", by="link", role="read")
    assert [entry["link"]["type"] for entry in await permissions(source, "plan")] == ["edit", "view"]
    await act(source, ANN, f"/{OLGA}/plan", "remove")
    assert [entry["grantedToIdentitiesV2"] for entry in await permissions(source, "plan")][1] == []


async def test_a_link_for_anyone_and_a_link_that_shows_only(source: Client) -> None:
    await act(source, "anyone", f"/{OLGA}/plan", by="link")
    await act(source, ANN, f"/{OLGA}/plan", by="link", role="blocksDownload")
    anyone, shows = await permissions(source, "plan")
    assert (anyone["link"]["scope"], anyone["link"]["type"]) == ("anonymous", "view")
    assert shows["link"]["preventsDownload"] is True
    await act(source, "anyone", f"/{OLGA}/plan", "remove")
    assert len(await permissions(source, "plan")) == 1


@pytest.mark.parametrize(
    ("person", "path", "what"),
    [(ANN, "/", "share"), (ANN, "/sites/Legal", "share"), (ANN, f"/{OLGA}/plan", "role"), (ANN, f"/{OLGA}", "remove")],
)
async def test_acts_that_cannot_be(source: Client, person: str, path: str, what: str) -> None:
    answer = await source.http.post("/control/act", json={"act": what, "person": person, "path": path})
    assert answer.status_code == 400


async def test_accounts_that_are_nobody_s(source: Client) -> None:
    assert (await source.http.post("/control/account", json={"mail": "nobody@x.example"})).status_code == 404


async def test_groups_hold_groups(source: Client) -> None:
    seed = {
        "users": [{"id": "u-a", "mail": ANN}, {"id": "u-olga", "mail": OLGA, "userType": "Member"}],
        "groups": [
            {"id": "g", "displayName": "Partners", "members": ["u-a", "inner"]},
            {"id": "inner", "displayName": "Inner", "members": ["g", "u-a", "u-olga"]},
        ],
    }
    await source.control("seed", seed)
    members = await listed(source, "/groups/g/transitiveMembers", **{"$select": "id,mail"})
    assert [(one["@odata.type"].rpartition(".")[2], one["id"]) for one in members] == [
        ("user", "u-a"),
        ("group", "inner"),
        ("group", "g"),
        ("user", "u-olga"),
    ]
    assert members[0]["mail"] == ANN
    page = (await source.graph("GET", "/groups/g/transitiveMembers", params={"$top": "2"})).json()
    assert len(page["value"]) == 2
    assert "@odata.nextLink" in page
    await act(source, "group:g", f"/{OLGA}/plan", role="write")
    (entry,) = await permissions(source, "plan")
    assert entry["grantedToV2"]["group"] == {"id": "g", "displayName": "Partners"}
    await source.control("settings", {"groupsHideMembers": True})
    refused = await source.graph("GET", "/groups/g/transitiveMembers")
    assert refusal(refused) == (403, "Authorization_RequestDenied")
