"""The host's admin API, as far as a developer uses it; the server listens on loopback only."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from aiohttp import web

from local.host.worker import Binding

type Run = Callable[[str], Awaitable[object]]


class Hosted(Protocol):
    """What the admin API asks of the host."""

    @property
    def functions(self) -> Mapping[str, tuple[Binding, ...]]: ...

    def runs(self) -> Mapping[str, Run]: ...

    def status(self) -> Mapping[str, Any]: ...

    async def idle(self) -> None: ...

    async def pending(self) -> Mapping[str, int]: ...


class Admin:
    """Handlers under /admin. `idle` is the local world's own; the others are those of the real host."""

    def __init__(self, host: Hosted) -> None:
        self._host = host
        self._runs: set[asyncio.Task[object]] = set()

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/admin/functions", self.list),
            web.post("/admin/functions/{name}", self.run),
            web.get("/admin/host/status", self.status),
            web.post("/admin/host/idle", self.idle),
        ]

    async def finish(self) -> None:
        """Wait for the runs that were asked for."""
        if self._runs:
            await asyncio.wait(self._runs)

    def stop(self) -> None:
        """Give up the runs that were asked for."""
        for run in self._runs:
            run.cancel()

    async def list(self, _: web.Request) -> web.Response:
        """GET /admin/functions"""
        functions = self._host.functions.items()
        return web.json_response(
            [{"name": name, "config": {"bindings": list(bindings)}} for name, bindings in functions]
        )

    async def run(self, request: web.Request) -> web.Response:
        """POST /admin/functions/{name} {"input": "text"}: run a timer or queue function now; 202 at once."""
        name = request.match_info["name"]
        if name not in self._host.functions:
            return web.Response(status=404)
        if name not in (runs := self._host.runs()):
            return web.Response(status=400, text=f"{name} has an HTTP trigger; call its route instead")
        try:
            text = (await request.json()).get("input") or ""
            if not isinstance(text, str):
                raise TypeError
        except (ValueError, AttributeError, TypeError):
            return web.Response(status=400, text='the body must be JSON: {"input": "text"}')
        task = asyncio.ensure_future(runs[name](text))
        self._runs.add(task)
        task.add_done_callback(self._runs.discard)
        return web.Response(status=202)

    async def status(self, _: web.Request) -> web.Response:
        """GET /admin/host/status"""
        return web.json_response(self._host.status())

    async def idle(self, _: web.Request) -> web.Response:
        """POST /admin/host/idle: answer when the host is idle, with the messages that wait with a delay."""
        await self._host.idle()
        return web.json_response({"pending": await self._host.pending()})
