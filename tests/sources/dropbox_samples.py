"""A Dropbox team, its stand-in in this process, and whoever plays its people."""

import copy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import aiohttp
from aiohttp import web

from local.platforms.dropbox import App, Dropbox, signed
from local.platforms.dropbox_team import Team
from local.platforms.standin import serve
from shared.domain.connections import Connection
from shared.domain.events import ShareEvent
from shared.domain.sources import Page, PermissionSet
from shared.sources.dropbox.source import FEED, DropboxSource

NOW = datetime(2026, 11, 22, 8, 45, tzinfo=UTC)
SECRETS = {"app_key": "app-key-0123456", "app_secret": "app-secret-0123", "refresh_token": "refresh-token"}
CONNECTION = Connection.model_validate(
    {
        "id": "dropbox-main",
        "platform": "dropbox",
        "internal_domains": ["contoso.example"],
        "routes": [{"source": "/", "drive": "d"}],
        "secrets": {},
    }
)
ADMIN, ANNA = "admin@contoso.example", "anna@contoso.example"
ERIKA, OTTO = "erika@partner.example", "otto@partner.example"

# A real event, from the tests of panther-labs/panther-analysis (rules/dropbox_rules/dropbox_external_share.yml).
REAL_EVENT: dict[str, Any] = {
    "timestamp": "2023-04-18T22:31:03Z",
    "event_category": {".tag": "sharing"},
    "event_type": {
        ".tag": "shared_content_add_member",
        "description": "Added users and/or groups to shared file/folder",
    },
    "actor": {
        ".tag": "user",
        "user": {
            ".tag": "team_member",
            "account_id": "dbid:AAACjvKy90uezyOiLRadIuCy66dK5d1vGGw",
            "email": "alice.bob@company.com",
            "team_member_id": "dbmid:AADSERs2cAsByYt8yQEDU4_qdNQiSdxgCl8",
        },
    },
    "involve_non_team_member": True,
    "participants": [
        {
            ".tag": "user",
            "user": {
                ".tag": "non_team_member",
                "account_id": "dbid:AABbWylBrTJ3Je-M37jeWShWuMAFHchEsKM",
                "email": "david.davidson@david.co",
            },
        }
    ],
    "assets": [
        {
            ".tag": "file",
            "display_name": "paper1.paper",
            "file_id": "id:lUP4ZxMYmc4AAAAAAAAAaA",
            "path": {
                "contextual": "/pathtest/paper1.paper",
                "namespace_relative": {
                    "ns_id": "3590048721",
                    "relative_path": "/paper1.paper",
                    "is_shared_namespace": True,
                },
            },
        }
    ],
    "details": {".tag": "shared_content_add_member_details", "shared_content_access_level": {".tag": "viewer"}},
}


def changed(kind: str, details: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The real event as one of another kind."""
    event = copy.deepcopy(REAL_EVENT)
    event["event_type"] = {".tag": kind, "description": "x"}
    event["details"] = {".tag": f"{kind}_details", **details}
    return {**event, **more}


type Delivered = tuple[dict[str, str], bytes]


def make(**secrets: str) -> DropboxSource:
    return DropboxSource(CONNECTION, {**SECRETS, **secrets})


SOURCE = make()


def notification(body: bytes = b'{"list_folder":{"accounts":["dbid:AAA"]},"delta":{"users":[1]}}') -> Delivered:
    return signed(body, SECRETS["app_secret"]), body


@dataclass
class StandIn:
    """Dropbox's stand-in on a free port. Its webhooks can be sent to `inbox_url`, where they wait in `inbox`."""

    url: str
    session: aiohttp.ClientSession
    team: Team
    inbox_url: str
    inbox: list[Delivered]
    source: DropboxSource

    async def seed(self, **content: Any) -> None:
        await self._post("/control/seed", content)

    async def fail(self, *faults: dict[str, Any]) -> None:
        await self._post("/control/faults", faults)

    async def act(self, act: str, person: str, path: str, **more: Any) -> None:
        await self._post("/control/act", {"act": act, "person": person, "path": path, **more})
        await self._post("/control/idle", {})

    async def happen(self, what: str, **more: Any) -> None:
        await self._post("/control/happen", {"what": what, **more})
        await self._post("/control/idle", {})

    async def log(self, event: dict[str, Any], category: str = "sharing") -> None:
        await self.happen("event", event=event, category=category)

    async def requests(self) -> list[str]:
        async with self.session.get(f"{self.url}/control/requests") as answer:
            return [one.removeprefix("POST /2/") for one in await answer.json() if "oauth2" not in one]

    async def enter_webhook(self, address: str) -> int:
        async with self.session.post(f"{self.url}/control/webhook", json={"address": address}) as answer:
            return answer.status

    async def _post(self, path: str, content: Any) -> None:
        async with self.session.post(self.url + path, json=content) as answer:
            assert answer.status == 204, await answer.text()

    async def start(self) -> str:
        """A cursor of the feed from now on."""
        cursor = (await self.source.poll(FEED, None)).cursor
        assert cursor is not None
        return cursor

    async def polled(self, cursor: str) -> Page:
        """Everything that is new since the cursor."""
        events, seen, rescan, items = list[ShareEvent](), list[PermissionSet](), False, 0
        while True:
            page = await self.source.poll(FEED, cursor)
            events += page.events
            seen += page.seen
            rescan, items = rescan or page.rescan, items + page.items
            assert page.cursor is not None
            cursor = page.cursor
            if not page.more:
                return Page(events, seen, cursor, items=items, rescan=rescan)

    async def told(self, cursor: str) -> list[ShareEvent]:
        """The events since the cursor, completed, the oldest first."""
        found = [one for event in (await self.polled(cursor)).events for one in await self.source.enrich(event)]
        return sorted(found, key=lambda event: event.at)

    async def scanned(self) -> tuple[list[PermissionSet], int]:
        """Everything that a scan finds, and in how many steps."""
        seen, cursor, steps = list[PermissionSet](), None, 0
        while True:
            page = await self.source.scan(cursor)
            seen += page.seen
            steps += 1
            cursor = page.cursor
            if not page.more:
                return seen, steps


@asynccontextmanager
async def stand_in(*, team_space: bool = False) -> AsyncIterator[StandIn]:
    """Start it, and a place for its webhooks, which answers the challenge as the source says."""
    inbox: list[Delivered] = []

    async def take(request: web.Request) -> web.Response:
        inbox.append((dict(request.headers), await request.read()))
        return web.Response(status=200)

    async def answer(request: web.Request) -> web.Response:
        proof = SOURCE.answer_handshake(request.query)
        return web.Response(text=proof, headers={"X-Content-Type-Options": "nosniff"})

    receiver = web.Application()
    receiver.add_routes([web.post("/hook", take), web.get("/hook", answer)])
    post_office, port = await serve(receiver, 0)
    app = App(SECRETS["app_key"], SECRETS["app_secret"], SECRETS["refresh_token"])
    dropbox = Dropbox(app, ADMIN, team_space=team_space)
    runner, own_port = await serve(dropbox.app(), 0)
    url = f"http://127.0.0.1:{own_port}"
    async with aiohttp.ClientSession() as session:
        yield StandIn(url, session, dropbox.team, f"http://127.0.0.1:{port}/hook", inbox, make(api_url=url))
    await runner.cleanup()
    await post_office.cleanup()


def people(found: PermissionSet) -> dict[str, str | None]:
    """Roles by address."""
    return {one.principal.address or one.principal.kind: one.role for one in found.facts}


def by_path(seen: list[PermissionSet]) -> dict[str | None, PermissionSet]:
    """The sets of folders and files by their paths."""
    return {one.item.path: one for one in seen if one.item.id.startswith(("folder:", "file:"))}
