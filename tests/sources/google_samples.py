"""A Google Workspace account, its stand-in, and what Google sends."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import aiohttp
from aiohttp import web

from local.platforms.google_account import Account, Grant
from local.platforms.google_keys import new_key
from local.platforms.google_workspace import GoogleWorkspace
from local.platforms.standin import Act, serve
from shared.domain.connections import Connection
from shared.domain.events import ShareEvent
from shared.domain.sources import Delivery, Page, PermissionSet
from shared.domain.trouble import RejectedError
from shared.sources.google_workspace.source import GoogleWorkspaceSource

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
ADMINISTRATOR, OLGA, PAUL = "admin@contoso.com", "olga@contoso.com", "paul@contoso.com"
EXA, MARA = "exa@partner.example", "mara@partner.example"
_TOKEN_URI = "https://oauth2.googleapis.com/token"
KEY = new_key(_TOKEN_URI)
SECRETS = {
    "service_account": KEY,
    "administrator": ADMINISTRATOR,
    "channel_secret": "a-channel-secret-of-32-characters",
}
CONNECTION = Connection.model_validate(
    {
        "id": "google-main",
        "platform": "google-workspace",
        "internal_domains": ["contoso.com"],
        "routes": [{"source": "/", "drive": "d"}],
        "secrets": {},
    }
)


def make(**secrets: str) -> GoogleWorkspaceSource:
    return GoogleWorkspaceSource(CONNECTION, {**SECRETS, **secrets})


SOURCE = make()


@dataclass
class Google:
    """The stand-in, in this process, with a door of ours that notifications come to."""

    stand_in: GoogleWorkspace
    source: GoogleWorkspaceSource
    url: str
    address: str = ""
    came: list[Delivery] = field(default_factory=list)
    turned_away: list[str] = field(default_factory=list)

    @property
    def account(self) -> Account:
        return self.stand_in.account

    async def act(self, act: str, person: str, path: str, role: str | None = "writer", **more: Any) -> None:
        await self.stand_in.carry_out(Act(act, person, path, role=role, **more))  # type: ignore[arg-type]

    def give(self, ident: str, email: str | None, role: str = "writer", **more: Any) -> Grant:
        kind = more.pop("type", "group" if email in self.account.groups else "user")
        return self.account.put(ident, Grant(kind, role, email, **more))

    async def seed_group(self, address: str, *members: str, **more: Any) -> None:
        told = [{"email": member, **more} for member in members]
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{self.url}/control/seed", json={"groups": {address: told}}) as answer,
        ):
            answer.raise_for_status()

    def fail(self, **fault: Any) -> None:
        self.stand_in.faults.append(fault)

    def asked(self) -> list[str]:
        """The API's calls that came since the last question, without their queries."""
        came = [one.partition("?")[0] for one in self.stand_in.requests if "/token" not in one]
        self.stand_in.requests.clear()
        return came

    async def delivered(self) -> list[Delivery]:
        """What came to the door, once nothing is on its way."""
        async with aiohttp.ClientSession() as session, session.post(f"{self.url}/control/idle") as answer:
            answer.raise_for_status()
        came, self.came = self.came, []
        return came

    async def polled(self, feed: str, cursor: str | None) -> tuple[list[Page], str]:
        """Every page that a feed has now, and the cursor behind them."""
        pages = []
        for _ in range(100):
            page = await self.source.poll(feed, cursor)
            pages.append(page)
            cursor = page.cursor
            if not page.more:
                assert cursor is not None
                return pages, cursor
        raise AssertionError("a feed without an end")

    async def start(self, feed: str) -> str:
        page = await self.source.poll(feed, None)
        assert (page.events, page.seen, page.more, page.rescan) == ((), (), False, False)
        assert page.cursor is not None
        return page.cursor

    async def told(self, cursor: str) -> list[ShareEvent]:
        """What the reports tell, completed."""
        pages, _ = await self.polled("reports", cursor)
        events = [event for page in pages for event in page.events]
        return [one for event in events for one in await self.source.enrich(event)]

    async def scanned(self) -> list[Page]:
        pages: list[Page] = []
        cursor = None
        for _ in range(500):
            page = await self.source.scan(cursor)
            pages.append(page)
            cursor = page.cursor
            if not page.more:
                return pages
        raise AssertionError("a scan without an end")


def sets(pages: list[Page]) -> dict[str, PermissionSet]:
    """The sets of pages by item; no item is there twice."""
    found: dict[str, PermissionSet] = {}
    for page in pages:
        for seen in page.seen:
            assert seen.item.id not in found
            found[seen.item.id] = seen
    return found


def roles(seen: PermissionSet | None) -> dict[str, str | None]:
    """Who has which role."""
    assert seen is not None
    return {fact.principal.address or fact.principal.source_id or "": fact.role for fact in seen.facts}


@asynccontextmanager
async def google_workspace(domains: tuple[str, ...] = ("contoso.com",)) -> AsyncIterator[Google]:
    """Return a company with an administrator, Olga and Paul."""
    stand_in = GoogleWorkspace(KEY, domains, ADMINISTRATOR)
    runner, port = await serve(stand_in.app(), 0)
    url = f"http://127.0.0.1:{port}"
    secrets = {**SECRETS, "service_account": KEY.replace(_TOKEN_URI, f"{url}/token"), "api_url": url}
    google = Google(stand_in, GoogleWorkspaceSource(CONNECTION, secrets), url)
    door_runner, door_port = await serve(_door(google), 0)
    google.address = f"http://127.0.0.1:{door_port}/api/webhooks/google-main"
    for person in (OLGA, PAUL):
        google.account.add_person(person)
    try:
        yield google
    finally:
        await runner.cleanup()
        await door_runner.cleanup()


def _door(google: Google) -> web.Application:
    async def receive(request: web.Request) -> web.Response:
        try:
            google.came.append(google.source.authenticate(request.headers, await request.read(), datetime.now(UTC)))
        except RejectedError as refusal:
            google.turned_away.append(refusal.code)
            return web.Response(status=refusal.status)
        return web.Response(status=202)

    app = web.Application()
    app.add_routes([web.post("/api/webhooks/google-main", receive)])
    return app


def activity(*events: Mapping[str, Any], time: str = "2026-11-22T09:30:00.123Z", **more: Any) -> dict[str, Any]:
    """An activity as Admin Reports tells it."""
    return {
        "kind": "admin#reports#activity",
        "id": {"time": time, "uniqueQualifier": "-4477", "applicationName": "drive", "customerId": "C03az79cb"},
        "actor": {"email": OLGA, "profileId": "100000000000000000001"},
        "events": list(events),
        **more,
    }


def event(**values: Any) -> dict[str, Any]:
    """An event of an activity: `None` leaves a parameter out, a list is a `multiValue`, a bool a `boolValue`."""
    name = values.pop("name", "change_user_access")
    about = {
        "primary_event": True,
        "visibility_change": "external",
        "target_user": EXA,
        "old_value": ["none"],
        "new_value": ["can_edit"],
        "doc_id": "1AbC-x_9",
        "doc_type": "folder",
        "doc_title": "Alpha",
        "owner": OLGA,
        "owner_is_shared_drive": False,
        **values,
    }
    parameters = [_parameter(name, value) for name, value in about.items() if value is not None]
    return {"type": "acl_change", "name": name, "parameters": parameters}


def _parameter(name: str, value: Any) -> dict[str, Any]:
    kind = {bool: "boolValue", list: "multiValue"}.get(type(value), "value")
    return {"name": name, kind: value}
