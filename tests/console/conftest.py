"""The real page in a real browser, on the local host against the simulated tenant; a world for each module."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest
from playwright.async_api import Browser, BrowserContext, Page, expect

from local.browser import headless
from local.demo.deliver import Sources
from local.demo.places import Json, Places
from local.demo.play import story_began
from local.demo.steps import Step
from local.world import LocalWorld

SENDER = "invitations@contoso.com"
SETTINGS = {"GUESTPASS_MAIL": "own", "GUESTPASS_MAIL_SENDER": SENDER, "GUESTPASS_MAILS_PER_HOUR": "200"}
FOLDERS = [f"/SecuriSync/{name}" for name in ("Alpha", "Beta", "Gamma", "<script>alert(1)</script>")]
PATIENCE = 60.0
expect.set_options(timeout=PATIENCE * 1000)


@dataclass
class Stage:
    """A world, what happens at its source, and what it comes to."""

    world: LocalWorld
    places: Places
    sources: Sources
    _sent: int = field(default=0)

    @property
    def url(self) -> str:
        """The administrator's page."""
        return f"{self.world.host_url}/api/access-requests"

    async def share(self, *people: str, item: str = "/Alpha", role: str = "View", **more: object) -> None:
        """Something is shared with people at the source, and read."""
        for person in people:
            self._sent += 1
            step = Step("test", "securisync", person, item, role, at=self._sent, **more)  # type: ignore[arg-type]
            (answer,) = await self.sources.send(self.places.session, 0, step)
            assert answer.status == 202
        await self.places.idle()

    async def person(self, address: str) -> Json:
        """What the interface tells of a person."""
        found = [person for person in await self.places.people() if person["address"] == address]
        assert len(found) == 1, f"{address} is known {len(found)} times"
        return await self.places.explain(found[0]["guest"])

    async def accept(self, address: str, account: str | None = None) -> None:
        """The person accepts, and the app notices."""
        async with self.places.session.post(
            f"{self.world.tenant_url}/control/accept", json={"mail": address, "account": account}
        ) as response:
            assert response.status == 200
        await self.places.run("poll_acceptance")
        await self.places.idle()

    async def given(self, address: str) -> dict[str, str]:
        """What the person really has in the tenant: path -> role."""
        async with self.places.session.get(f"{self.world.tenant_url}/control/permissions") as response:
            rows = (await response.json())["value"]
        return {row["path"]: row["role"] for row in rows if row.get("mail") == address}

    async def mails(self, address: str) -> list[Json]:
        """The mails to a person."""
        return [mail for mail in (await self.places.tenant())["mails"] if mail["to"] == address]

    async def until(self, condition: Callable[[], Awaitable[bool]], what: str) -> None:
        """Wait for a condition."""
        async with asyncio.timeout(PATIENCE):
            while not await condition():
                await self.places.idle()
                await asyncio.sleep(0.1)
        assert await condition(), what


@asynccontextmanager
async def staged(directory: Path, **settings: str) -> AsyncIterator[Stage]:
    """A world with a library and a sender mailbox."""
    async with (
        LocalWorld(directory, settings=SETTINGS | settings) as world,
        aiohttp.ClientSession() as session,
    ):
        places = Places(world, session)
        tenant = {
            "users": [{"mail": SENDER, "userType": "Member"}],
            "drives": [
                {"id": "drive-sync", "name": "SecuriSync", "items": [{"path": path} for path in FOLDERS]},
            ],
        }
        await places.seed(tenant, {})
        yield Stage(world, places, Sources(world.host_url, world.secrets, story_began()))


@pytest.fixture(scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """The module's world."""
    async with staged(tmp_path_factory.mktemp("world")) as stage:
        yield stage


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    """A headless browser."""
    async with headless() as browser:
        yield browser


@dataclass
class Watch:
    """What a page did that it must not do."""

    origin: str
    faults: list[str] = field(default_factory=list)

    def page(self, page: Page) -> None:
        """Watch a page."""
        page.on("console", lambda said: self.faults.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("request", self._request)

    def _request(self, request: object) -> None:
        url = urlsplit(str(getattr(request, "url", "")))
        if f"{url.scheme}://{url.netloc}" != self.origin:
            self.faults.append(f"a request to {url.netloc}")


@asynccontextmanager
async def opened(browser: Browser, stage: Stage, **options: object) -> AsyncIterator[Page]:
    """A page in a fresh browser; in the end nothing may have stood in its console or have gone elsewhere."""
    watch = Watch(stage.world.host_url)
    context: BrowserContext = await browser.new_context(**options)  # type: ignore[arg-type]
    context.set_default_timeout(PATIENCE * 1000)
    page = await context.new_page()
    watch.page(page)
    page.on("dialog", lambda dialog: asyncio.ensure_future(dialog.accept()))
    try:
        yield page
    finally:
        await context.close()
    assert watch.faults == []


@pytest.fixture
async def page(browser: Browser, stage: Stage) -> AsyncIterator[Page]:
    """A page."""
    async with opened(browser, stage, viewport={"width": 1280, "height": 900}) as page:
        yield page
