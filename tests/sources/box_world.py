"""Box's stand-in, in this process, and whoever plays Box's people."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import aiohttp
from aiohttp import web
from box_sdk_gen import BaseUrls, BoxCCGAuth, BoxClient, CCGConfig, NetworkSession

from local.platforms.box import create_app, serve
from shared.domain.events import ShareEvent
from shared.domain.sources import Page, PermissionSet
from shared.sources.box.source import BoxSource
from tests.sources.box_samples import PRIMARY, SECONDARY, Delivered, make


@dataclass
class StandIn:
    """Box's stand-in on a free port. Its webhooks can be sent to `inbox_url`, where they wait in `inbox`."""

    url: str
    session: aiohttp.ClientSession
    inbox_url: str
    inbox: list[Delivered]

    def source(self, **secrets: str) -> BoxSource:
        return make(api_url=self.url, **secrets)

    async def ask[T](self, call: Callable[[BoxClient], T]) -> T:
        """Use Box's own SDK as anybody would; it is synchronous, and the stand-in lives in this thread."""
        auth = BoxCCGAuth(CCGConfig("app", "app-secret", enterprise_id="4711"))
        client = BoxClient(auth, network_session=NetworkSession(base_urls=BaseUrls(base_url=self.url)))
        return await asyncio.to_thread(call, client)

    async def seed(self, **content: Any) -> None:
        await self._post("/control/seed", content)

    async def fail(self, *faults: dict[str, Any]) -> None:
        await self._post("/control/faults", faults)

    async def act(self, act: str, person: str, path: str, **more: Any) -> None:
        await self._post("/control/act", {"act": act, "person": person, "path": path, **more})
        await self._post("/control/idle", {})

    async def requests(self) -> list[str]:
        async with self.session.get(f"{self.url}/control/requests") as answer:
            return [request for request in await answer.json() if "oauth2" not in request]

    async def deliveries(self) -> list[dict[str, Any]]:
        async with self.session.get(f"{self.url}/control/deliveries") as answer:
            sent: list[dict[str, Any]] = await answer.json()
            return sent

    async def _post(self, path: str, content: Any) -> None:
        async with self.session.post(self.url + path, json=content) as answer:
            answer.raise_for_status()


@asynccontextmanager
async def stand_in() -> AsyncIterator[StandIn]:
    """Start it, and a place for its webhooks."""
    inbox: list[Delivered] = []

    async def take(request: web.Request) -> web.Response:
        inbox.append((dict(request.headers), await request.read()))
        return web.Response(status=202)

    receiver = web.Application()
    receiver.add_routes([web.post("/api/webhooks/{connection}", take)])
    post_office, port = await serve(receiver, 0)
    runner, own_port = await serve(create_app("app", "app-secret", "4711", (PRIMARY, SECONDARY)), 0)
    inbox_url = f"http://127.0.0.1:{port}/api/webhooks/box-main"
    async with aiohttp.ClientSession() as session:
        yield StandIn(f"http://127.0.0.1:{own_port}", session, inbox_url, inbox)
    await runner.cleanup()
    await post_office.cleanup()


async def scanned(source: BoxSource) -> tuple[list[PermissionSet], list[Page]]:
    """Scan to the end; return the sets, and the pages that they came in."""
    pages = [await source.scan(None)]
    while pages[-1].more:
        assert pages[-1].cursor is not None
        pages.append(await source.scan(pages[-1].cursor))
    assert pages[-1].cursor is None
    return [seen for page in pages for seen in page.seen], pages


async def polled(source: BoxSource, cursor: str) -> tuple[list[Page], str]:
    """Poll until there is nothing more; return the pages and where to go on."""
    pages = [await source.poll("events", cursor)]
    while pages[-1].more:
        pages.append(await source.poll("events", pages[-1].cursor))
    assert pages[-1].cursor is not None
    return pages, pages[-1].cursor


def shares(seen: PermissionSet) -> dict[str | None, ShareEvent]:
    """The facts by address."""
    found = {fact.principal.address: fact for fact in seen.facts}
    assert len(found) == len(seen.facts)
    return found


def floor(at: datetime) -> datetime:
    """The whole second."""
    return at.replace(microsecond=0)
