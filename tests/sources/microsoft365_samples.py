"""A tenant with OneDrives and sites, the sources that read it, and permissions as Graph lists them."""

import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

from local.tenant.app import create_app
from local.tenant.login import Registration
from shared.domain.connections import Connection
from shared.domain.events import PrincipalKind, ShareEvent
from shared.domain.sources import Page, PermissionSet
from shared.sources.microsoft365.base import Microsoft365Source
from shared.sources.microsoft365.source import Office365Source, OneDriveSource
from tests.contract.graph import check_exchanges

TENANT = "11111111-2222-3333-4444-555555555555"
SECRETS = {
    "tenant_id": TENANT,
    "client_id": "app",
    "client_secret": "app-secret",
    "channel_secret": "a-channel-secret-of-32-characters",
}
ANN, BEN = "ann@fabrikam.com", "ben@tailspin.com"
OLGA, PAUL = "olga@contoso.com", "paul@contoso.com"
GROUP_ID = "9d1f6bd1-55a1-4d2f-b7c3-0a2a8f9c0e11"
SEED: dict[str, Any] = {
    "users": [
        {"id": "u-olga", "mail": OLGA, "userType": "Member"},
        {"id": "u-paul", "mail": PAUL, "userType": "Member"},
    ]
}


def connection(platform: str) -> Connection:
    return Connection.model_validate(
        {
            "id": f"{platform}-main",
            "platform": platform,
            "internal_domains": ["contoso.com"],
            "routes": [{"source": "/", "drive": "d"}],
            "secrets": {},
        }
    )


def onedrive(**secrets: str) -> OneDriveSource:
    return OneDriveSource(connection("onedrive"), {**SECRETS, **secrets})


def office365(**secrets: str) -> Office365Source:
    return Office365Source(connection("office365"), {**SECRETS, **secrets})


class Tenant:
    """The control of a tenant, and what its people do there."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url, self._session = url, session

    @property
    def urls(self) -> dict[str, str]:
        """The secrets that lead a source here."""
        return {"api_url": f"{self.url}/v1.0", "login_url": self.url}

    async def control(self, what: str, body: Any = None) -> Any:
        async with self._session.post(f"{self.url}/control/{what}", json=body) as answer:
            assert answer.status < 300, await answer.text()
            return await answer.json() if answer.status == 200 else None

    async def show(self, what: str) -> Any:
        async with self._session.get(f"{self.url}/control/{what}") as answer:
            return await answer.json()

    async def act(self, act: str, person: str, path: str, **more: Any) -> None:
        await self.control("act", {"act": act, "person": person, "path": path, **more})

    async def share(self, person: str, path: str, **more: Any) -> None:
        await self.act("share", person, path, **more)

    async def drives(self) -> dict[str, str]:
        """The ids of the drives by their names."""
        return {drive["name"]: drive["id"] for drive in (await self.show("state"))["drives"]}

    async def calls(self, pattern: str = "") -> list[str]:
        """The Graph calls that came."""
        exchanges = (await self.show("exchanges"))["value"]
        return [path for e in exchanges if pattern in (path := f"{e['method']} {e['path']}")]

    async def forget_calls(self) -> None:
        async with self._session.delete(f"{self.url}/control/exchanges"):
            pass


@asynccontextmanager
async def running_tenant(seed: Mapping[str, Any] = SEED) -> AsyncIterator[Tenant]:
    """A tenant with its people. In the end all that was said to it is held against Microsoft's description, where
    that is here and knows the call."""
    app = create_app("unused", Registration(TENANT, SECRETS["client_id"], SECRETS["client_secret"]))
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with aiohttp.ClientSession() as session:
            tenant = Tenant(f"http://127.0.0.1:{runner.addresses[0][1]}", session)
            await tenant.control("seed", dict(seed))
            yield tenant
            if "GRAPH_OPENAPI" in os.environ:
                exchanges = [e for e in (await tenant.show("exchanges"))["value"] if "getAllSites" not in e["path"]]
                violations = check_exchanges(exchanges, os.environ["GRAPH_OPENAPI"])
                assert [one for one in violations if "path is not in the description" not in one] == []
    finally:
        await runner.cleanup()


@asynccontextmanager
async def reading[S: Microsoft365Source](tenant: Tenant, make: Callable[..., S], **secrets: str) -> AsyncIterator[S]:
    """A source of that tenant."""
    source = make(**{**tenant.urls, **secrets})
    try:
        yield source
    finally:
        await source.api.close()


@dataclass
class Read:
    """Everything that several pages have found, the newest set of each item."""

    sets: dict[str, PermissionSet] = field(default_factory=dict)
    pages: list[Page] = field(default_factory=list)

    def take(self, page: Page) -> None:
        self.pages.append(page)
        self.sets |= {one.item.id: one for one in page.seen}

    @property
    def facts(self) -> list[ShareEvent]:
        return [fact for one in self.sets.values() for fact in one.facts]

    @property
    def people(self) -> dict[tuple[str | None, str | None], str | None]:
        """Roles by path and address."""
        return {(f.item.path if f.item else None, f.principal.address): f.role for f in self.facts}

    @property
    def cursor(self) -> str | None:
        return self.pages[-1].cursor


async def scan(source: Microsoft365Source) -> Read:
    read, cursor = Read(), None
    while True:
        read.take(page := await source.scan(cursor))
        cursor = page.cursor
        if not page.more:
            return read


async def poll(source: Microsoft365Source, feed: str, cursor: str | None) -> Read:
    read = Read()
    while True:
        read.take(page := await source.poll(feed, cursor))
        cursor = page.cursor
        if not page.more:
            return read


async def feeds(source: Microsoft365Source) -> list[str]:
    found, cursor = list[str](), None
    while True:
        page = await source.feeds(cursor)
        found += [feed.name for feed in page.feeds]
        cursor = page.cursor
        if cursor is None:
            return found


def outside(read: Read) -> dict[tuple[str | None, str | None], str | None]:
    """Roles by path and address, of people outside the company."""
    people = [fact for fact in read.facts if fact.principal.kind is PrincipalKind.PERSON]
    return {
        (fact.item.path if fact.item else None, fact.principal.address): fact.role
        for fact in people
        if not (fact.principal.address or "").endswith("@contoso.com")
    }


def only(read: Read, address: str = ANN) -> ShareEvent:
    (fact,) = [fact for fact in read.facts if fact.principal.address == address]
    return fact


def guest_login(address: str) -> str:
    return f"i:0#.f|membership|{address.replace('@', '_')}#ext#@contoso.onmicrosoft.com"


def direct(address: str | None = ANN, roles: Sequence[str] = ("read",), **more: Any) -> dict[str, Any]:
    """A direct permission of a guest, as Graph lists it today: in both generations."""
    user = {"displayName": "Ann", "email": address, "id": "u-ann"}
    site_user = {"displayName": "Ann", "email": address, "id": "9", "loginName": guest_login(address or ANN)}
    return {
        "id": "aTowIy5mfG1lbWJlcnNoaXB8YW5u",
        "roles": list(roles),
        "grantedTo": {"user": user},
        "grantedToV2": {"user": user, "siteUser": site_user},
        **more,
    }


def link(scope: str, kind: str, roles: Sequence[str], *people: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "id": "5f1b5d0a-9b53-4f0c-8d57-1c5ae2b9f7f1",
        "roles": list(roles),
        "link": {"scope": scope, "type": kind, "webUrl": "https://contoso.sharepoint.com/:f:/g/x", **more},
        "grantedToIdentitiesV2": [{"user": dict(person)} for person in people],
        "grantedToIdentities": [{"user": dict(person)} for person in people],
    }
