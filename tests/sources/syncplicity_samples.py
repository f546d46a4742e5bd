"""A company at Syncplicity: its stand-in in this process, and what is read from it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from local.platforms.standin import Act
from local.platforms.syncplicity import Syncplicity, serve
from shared.domain.connections import Connection
from shared.domain.events import ShareEvent
from shared.domain.sources import Page, PermissionSet
from shared.sources.syncplicity.source import FEED, SyncplicitySource

SECRETS = {
    "app_key": "app-key",
    "app_secret": "app-secret",
    "application_token": "application-token",
    "company_id": "8f2811ac-b0a7-48ee-b10d-d81649a066d8",
}
CONNECTION = Connection.model_validate(
    {
        "id": "syncplicity-main",
        "platform": "syncplicity",
        "internal_domains": ["contoso.com"],
        "routes": [{"source": "/", "drive": "d"}],
        "secrets": {},
    }
)
ANN, PAULA = "ann@contoso.com", "paula@contoso.com"
EVE, BEN = "eve@partner.example", "ben@partner.example"


def make(**secrets: str) -> SyncplicitySource:
    return SyncplicitySource(CONNECTION, {**SECRETS, **secrets})


@dataclass
class World:
    """The company on a free port, and a source that asks it."""

    company: Syncplicity
    url: str
    source: SyncplicitySource

    def fail(self, path: str, **fault: Any) -> None:
        self.company.faults.append({"path": path, **fault})

    def requests(self, part: str = "") -> list[str]:
        """The calls that came, without those for tokens."""
        return [one for one in self.company.requests if part in one and "/oauth/" not in one]

    async def act(self, act: str, person: str, path: str, **more: Any) -> None:
        await self.company.carry_out(Act.parse({"act": act, "person": person, "path": path, **more}))

    async def scan(self) -> list[PermissionSet]:
        """Everything, over all pages."""
        pages = await self.scan_pages()
        return [one for page in pages for one in page.seen]

    async def scan_pages(self) -> list[Page]:
        pages = [await self.source.scan(None)]
        while pages[-1].more:
            pages.append(await self.source.scan(pages[-1].cursor))
        return pages

    async def begin(self) -> str:
        """Where the feed ends now, found without reading a folder."""
        page = await self.source.poll(FEED, None)
        while page.more or "since" in _position(page):
            assert (page.seen, page.events, page.rescan) == ((), (), False)
            page = await self.source.poll(FEED, page.cursor)
        return page.cursor or ""

    async def news(self, cursor: str) -> tuple[list[PermissionSet], str]:
        """What came since, and where to go on."""
        seen: list[PermissionSet] = []
        while True:
            page = await self.source.poll(FEED, cursor)
            seen += page.seen
            cursor = page.cursor or ""
            if not page.more:
                return seen, cursor


def _position(page: Page) -> str:
    return (page.cursor or "").replace('"since":null', "")


@asynccontextmanager
async def company() -> AsyncIterator[World]:
    made = Syncplicity(SECRETS)
    runner, port = await serve(made.app(), 0)
    url = f"http://127.0.0.1:{port}"
    yield World(made, url, make(api_url=url))
    await runner.cleanup()


def facts(*seen: PermissionSet) -> list[ShareEvent]:
    return [fact for one in seen for fact in one.facts]


def roles(*seen: PermissionSet) -> dict[str | None, str | None]:
    """Who has which role."""
    return {fact.principal.address: fact.role for fact in facts(*seen)}


def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)
