"""The permissions that the app is given, over HTTP to the simulated tenant."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import httpx
import pytest

from infra.package import ROOT
from infra.permissions import ALL_SITES, MAIL, SELECTED_SITES, Administrator, give, main, needed
from local.tenant.organization import PERMISSIONS
from tests.local.tenant.client import SECRET, Client, managed_identity_token, running_tenant

APP = "11111111-2222-3333-4444-555555555555"
SITE = "https://contoso.sharepoint.com/sites/Projects"
NEEDED = needed(all_sites=False, mail=False)


@pytest.fixture
async def tenant(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Client]:
    """A tenant in which the app has no permission, with the site Projects and another."""
    async with running_tenant() as url, httpx.AsyncClient(base_url=url) as http:
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{url}/msi/token")
        monkeypatch.setenv("IDENTITY_HEADER", SECRET)
        client = Client(http, await managed_identity_token("https://graph.microsoft.com/.default"))
        await client.control("settings", {"appPermissions": ["Application.Read.All"]})
        for site in ("Projects", "Board"):
            act = {"act": "share", "person": "ann@contoso.com", "path": f"/sites/{site}/Documents/x", "role": "read"}
            assert (await http.post("/control/act", json=act)).status_code == 204
        yield client


async def run[Result](tenant: Client, work: Callable[[Administrator], Result]) -> Result:
    """Do an administrator's work; the script waits for its answers, so in a thread of its own."""

    def signed_in() -> Result:
        with httpx.Client(base_url=f"{tenant.http.base_url}/v1.0", headers=tenant.auth) as http:
            return work(Administrator(http))

    return await asyncio.to_thread(signed_in)


async def permissions(tenant: Client) -> set[str]:
    return set((await tenant.read("state"))["settings"]["appPermissions"])


async def posts(tenant: Client) -> list[dict[str, Any]]:
    return [one for one in (await tenant.read("exchanges"))["value"] if one["method"] == "POST"]


async def test_gives_what_is_needed_and_no_more(tenant: Client) -> None:
    assigned, beyond = await run(tenant, lambda graph: graph.assign(APP, NEEDED))
    assert set(assigned) == {one.name for one in NEEDED} - {"Application.Read.All"}
    assert beyond == []
    assert await permissions(tenant) == {one.name for one in NEEDED}


async def test_a_second_run_changes_nothing(tenant: Client) -> None:
    work = partial(give, client_id=APP, permissions=NEEDED, sites=[SITE])
    assert await run(tenant, work) == 0
    before = await posts(tenant)
    assert await run(tenant, work) == 0
    assert await posts(tenant) == before


async def test_tells_what_the_app_has_beyond(tenant: Client, capsys: pytest.CaptureFixture[str]) -> None:
    await tenant.control("settings", {"appPermissions": ["Application.Read.All", "Sites.FullControl.All"]})
    await run(tenant, partial(give, client_id=APP, permissions=NEEDED, sites=[]))
    assert "It also has Sites.FullControl.All" in capsys.readouterr().out


async def test_opens_only_the_sites_that_are_named(tenant: Client) -> None:
    assert await run(tenant, lambda graph: graph.open_site(SITE, APP)) is True
    assert await run(tenant, lambda graph: graph.open_site(f"{SITE}/", APP)) is False
    assert await run(tenant, lambda graph: graph.open_site(SITE, "another-app")) is True
    opened = {}
    for site in (await tenant.graph("GET", "/sites/getAllSites")).json()["value"]:
        found = (await tenant.graph("GET", f"/sites/{site['id']}/permissions")).json()["value"]
        rights = [(await tenant.graph("GET", f"/sites/{site['id']}/permissions/{one['id']}")).json() for one in found]
        opened[site["name"]] = {(one["grantedToIdentitiesV2"][0]["application"]["id"], *one["roles"]) for one in rights}
    assert opened == {"Projects": {(APP, "fullcontrol"), ("another-app", "fullcontrol")}, "Board": set()}


async def test_a_site_opened_with_less_is_opened_anew(tenant: Client) -> None:
    (site,) = [
        one["id"]
        for one in (await tenant.graph("GET", "/sites/getAllSites")).json()["value"]
        if one["name"] == "Projects"
    ]
    body = {"roles": ["write"], "grantedToIdentities": [{"application": {"id": APP, "displayName": "Guestpass"}}]}
    assert (await tenant.graph("POST", f"/sites/{site}/permissions", json=body)).status_code == 201
    assert await run(tenant, lambda graph: graph.open_site(SITE, APP)) is True


async def test_a_site_that_does_not_exist_is_an_error_that_says_so(tenant: Client) -> None:
    with pytest.raises(httpx.HTTPStatusError, match="404"):
        await run(tenant, lambda graph: graph.open_site("https://contoso.sharepoint.com/sites/Nowhere", APP))


def test_explaining_touches_nothing_and_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--explain"]) == 0
    text = capsys.readouterr().out
    for permission in NEEDED:
        assert f"{permission.name}\n    {permission.why}\n" in text
    assert "no site at all until a site is opened" in text


def test_without_an_identity_nothing_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([])
    assert "--identity is needed" in capsys.readouterr().err


def test_selected_sites_are_the_default_and_options_change_only_what_they_name() -> None:
    assert SELECTED_SITES in NEEDED
    assert set(needed(all_sites=True, mail=False)) ^ set(NEEDED) == {SELECTED_SITES, ALL_SITES}
    assert set(needed(all_sites=False, mail=True)) ^ set(NEEDED) == {MAIL}


def test_every_permission_exists_and_is_what_the_docs_say() -> None:
    names = {one.name for one in needed(all_sites=False, mail=True)} | {ALL_SITES.name}
    assert names <= set(PERMISSIONS)
    documented = set(
        re.findall(
            r"`((?:User|Mail|Policy|Organization|SharePointTenantSettings|Application|Sites|Files)\.[\w.]+)`",
            (ROOT / "docs" / "deploy.md").read_text(),
        )
    )
    assert documented == names
