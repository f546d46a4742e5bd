"""Sends notifications in the background, again after any answer that is not a 2xx."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

import aiohttp
from aiohttp import web

from local.tenant.state import Drive, Subscription, World
from local.tenant.subscriptions import notification

ATTEMPTS = 3


class Notifier:
    """What is on its way, and what has been sent."""

    def __init__(self) -> None:
        self.deliveries: list[dict[str, Any]] = []
        self._on_their_way: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None

    async def open(self, _: web.Application) -> AsyncIterator[None]:
        """Keep a session while the application runs."""
        async with aiohttp.ClientSession() as self._session:
            yield
            for task in self._on_their_way:
                task.cancel()

    def tell(self, world: World, tenant_id: str, *, times: int = 1) -> None:
        """Tell every subscription what its drive has not told yet, `times` times; with zero it is never told."""
        for drive in world.drives.values():
            for subscription in _concerned(world, drive):
                for _ in range(times):
                    self.send(subscription.notification_url, [notification(subscription, tenant_id)])
            drive.untold.clear()

    def send(self, address: str, notifications: Iterable[dict[str, Any]]) -> None:
        """Send notifications in one POST."""
        task = asyncio.create_task(self._deliver(address, {"value": list(notifications)}))
        self._on_their_way.add(task)
        task.add_done_callback(self._on_their_way.discard)

    async def idle(self) -> None:
        """Wait until nothing is on its way."""
        while self._on_their_way:
            await asyncio.wait(set(self._on_their_way))

    async def _deliver(self, address: str, body: dict[str, Any]) -> None:
        entry: dict[str, Any] = {"address": address, "status": 0, "attempts": 0}
        self.deliveries.append(entry)
        assert self._session is not None
        for number in range(1, ATTEMPTS + 1):
            entry["attempts"] = number
            try:
                async with self._session.post(address, json=body) as answer:
                    entry["status"] = answer.status
            except aiohttp.ClientError:
                entry["status"] = 0
            if 200 <= entry["status"] < 300:
                return


def _concerned(world: World, drive: Drive) -> list[Subscription]:
    """Changed permissions are told only to those who asked for them."""
    return [
        one
        for one in world.subscriptions.values()
        if one.drive_id == drive.id and ("content" in drive.untold or (one.security and "sharing" in drive.untold))
    ]
