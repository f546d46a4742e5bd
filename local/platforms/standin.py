"""What the stand-ins of platforms' APIs share: the door, faults on demand, the log of requests, and deliveries.

Every stand-in is a process of its own: `python -m local.platforms.<name> --port N ...`. Besides the platform's API it
has a control for whoever plays the platform's users:

    POST /control/act         one thing that a user does there, see `Act`
    POST /control/faults      [{"path": <prefix>, "status", "retry_after", "body", "code", "times"}, ...], used up by
                              the next requests that match; status 0 breaks the connection
    GET  /control/requests    the API requests that came: "GET /path?query"
    GET  /control/deliveries  the notifications that were sent: [{"status", "address", "attempts"}, ...]
    POST /control/idle        answers when no notification is on its way
"""

import argparse
import asyncio
import itertools
from abc import ABC, abstractmethod
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import aiohttp
from aiohttp import web

type Notify = Literal["once", "twice", "never"]


@dataclass(frozen=True)
class Act:
    """What a user does at the platform: shares something, changes a role, takes a share back.

    `path` is as the connection's routes have it (docs/platforms.md); folders on the way are made. `notify`: how often
    the platform tells of it; "never" is a notification that gets lost. `shared_at` is when it was first shared.
    """

    act: Literal["share", "role", "remove"]
    person: str
    path: str
    kind: Literal["root", "folder", "file"] = "folder"
    role: str | None = None
    sharer: str | None = None
    shared_at: datetime | None = None
    expires_at: datetime | None = None
    pending: bool = False
    notify: Notify = "once"

    @classmethod
    def parse(cls, body: Mapping[str, Any]) -> "Act":
        """Read the body of a request."""
        times = {name: datetime.fromisoformat(body[name]) for name in ("shared_at", "expires_at") if body.get(name)}
        return cls(**{**body, **times})


class StandIn(ABC):
    """One platform's account. Subclasses add the API's routes to `routes` and judge requests in `refuse`.

    `repeats_after`: the statuses (0: none came) after which the platform sends a notification again; None: all but 2xx.
    """

    repeats_after: Container[int] | None = None

    def __init__(self) -> None:
        self.faults: list[dict[str, Any]] = []
        self.requests: list[str] = []
        self.deliveries: list[dict[str, Any]] = []
        self._on_their_way: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None

    @abstractmethod
    def routes(self) -> Sequence[web.RouteDef]:
        """The platform's API."""

    @abstractmethod
    def refuse(self, request: web.Request) -> web.Response | None:
        """Return the platform's refusal of a request that is not authenticated; None lets it in."""

    @abstractmethod
    def error(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> web.Response:
        """Return an error as the platform writes it."""

    @abstractmethod
    async def carry_out(self, act: Act) -> None:
        """Do what a user does, and tell about it with `deliver`. Raises web.HTTPBadRequest."""

    def deliver(self, address: str, headers: Mapping[str, str], body: bytes, attempts: int = 3) -> None:
        """Send a notification in the background, again at once after any answer that is not a 2xx."""
        task = asyncio.create_task(self._deliver(address, headers, body, attempts))
        self._on_their_way.add(task)
        task.add_done_callback(self._on_their_way.discard)

    async def _deliver(self, address: str, headers: Mapping[str, str], body: bytes, attempts: int) -> None:
        entry: dict[str, Any] = {"address": address, "status": 0, "attempts": 0}
        self.deliveries.append(entry)
        assert self._session is not None
        for number in range(1, attempts + 1):
            entry["attempts"] = number
            try:
                async with self._session.post(address, headers=headers, data=body) as answer:
                    entry["status"] = answer.status
            except aiohttp.ClientError:
                entry["status"] = 0
            status = entry["status"]
            if 200 <= status < 300 or (self.repeats_after is not None and status not in self.repeats_after):
                return

    def app(self) -> web.Application:
        """Return the stand-in as an application."""
        app = web.Application(middlewares=[self._guard])
        app.add_routes(
            [
                *self.routes(),
                web.post("/control/act", self._act),
                web.post("/control/faults", self._break_things),
                web.get("/control/requests", self._came),
                web.get("/control/deliveries", self._went),
                web.post("/control/idle", self._idle),
            ]
        )
        app.cleanup_ctx.append(self._open)
        return app

    async def _open(self, _: web.Application) -> Any:
        async with aiohttp.ClientSession() as self._session:
            yield
            for task in self._on_their_way:
                task.cancel()

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if request.path.startswith("/control/"):
            control: web.StreamResponse = await handler(request)
            return control
        query = f"?{request.query_string}" if request.query_string else ""
        self.requests.append(f"{request.method} {request.path}{query}")
        fault = next((fault for fault in self.faults if request.path.startswith(fault["path"])), None)
        if fault is not None:
            return self._fail(fault, request)
        if (refusal := self.refuse(request)) is not None:
            return refusal
        try:
            answer: web.StreamResponse = await handler(request)
        except web.HTTPException as error:
            return self.error(error.status, "not_found" if error.status == 404 else "method_not_allowed", error.reason)
        return answer

    def _fail(self, fault: dict[str, Any], request: web.Request) -> web.Response:
        fault["times"] = fault.get("times", 1) - 1
        if fault["times"] <= 0:
            self.faults.remove(fault)
        if fault["status"] == 0:
            assert request.transport is not None
            request.transport.close()
        headers = {"Retry-After": str(fault["retry_after"])} if "retry_after" in fault else {}
        if "body" in fault:
            return web.Response(status=fault["status"] or 500, headers=headers, text=fault["body"])
        return self.error(fault["status"] or 500, fault.get("code", "unavailable"), "Unavailable", headers)

    async def _act(self, request: web.Request) -> web.Response:
        await self.carry_out(Act.parse(await request.json()))
        return web.Response(status=204)

    async def _break_things(self, request: web.Request) -> web.Response:
        self.faults += await request.json()
        return web.Response(status=204)

    async def _came(self, _: web.Request) -> web.Response:
        return web.json_response(self.requests)

    async def _went(self, _: web.Request) -> web.Response:
        return web.json_response(self.deliveries)

    async def _idle(self, _: web.Request) -> web.Response:
        while self._on_their_way:
            await asyncio.wait(set(self._on_their_way))
        return web.Response(status=204)


def repeats(notify: Notify) -> range:
    """Return one number for each time that the platform tells of something."""
    return range({"never": 0, "once": 1, "twice": 2}[notify])


numbers = itertools.count(1)
"""Numbers for ids that the platforms give in sequence."""


async def serve(app: web.Application, port: int) -> tuple[web.AppRunner, int]:
    """Start on localhost; with port 0 on a free one. Returns the runner, to be cleaned up, and the port."""
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    return runner, runner.addresses[0][1]


def run(name: str, parser: argparse.ArgumentParser, make: Any) -> None:
    """Serve until ended. `make` gets the parsed command line and returns the stand-in."""
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()

    async def main() -> None:
        runner, port = await serve(make(options).app(), options.port)
        print(f"{name}'s stand-in listens on http://127.0.0.1:{port}", flush=True)
        try:
            await asyncio.Event().wait()
        finally:
            await runner.cleanup()

    asyncio.run(main())
