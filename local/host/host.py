"""Joins worker, queues, timers and HTTP into one host."""

import asyncio
import json
import os
import uuid
from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Self

from aiohttp import web

from local.host.admin import Admin, Run
from local.host.errors import SettingsError
from local.host.http import BODY_LIMIT, HttpTriggers
from local.host.protos import TypedData
from local.host.queues import LEASE, QueueListener
from local.host.settings import HostJson, queue_service, resolve
from local.host.timers import Schedule, ScheduleError, Timer
from local.host.worker import Binding, Function, Worker


class Host:
    """Hosts one function app while the context is open.

    One process can hold one app, because the worker library keeps it in module-level state; the same app can be hosted
    again, but is not imported again. Its settings are put into the environment and taken out at the end.

    Args:
        app_dir: the directory of function_app.py and host.json.
        settings: app settings on top of the environment, as Values of local.settings.json would be.
        port: the TCP port on 127.0.0.1; 0 takes a free one.

    Raises (on entering):
        IndexingError: the worker refused the app.
        SettingsError: host.json or an app setting is missing or wrong.
        HostError: the app needs what this host does not do.
    """

    def __init__(self, app_dir: Path | str, settings: Mapping[str, str] | None = None, *, port: int = 0) -> None:
        self._app_dir = Path(app_dir)
        self._own_settings = dict(settings or {})
        self._port = port
        self._worker = Worker(self._app_dir)
        self._admin = Admin(self)
        self._listeners: list[QueueListener] = []
        self._timers: dict[str, Timer] = {}
        self._loops: list[asyncio.Task[None]] = []
        self._stack = AsyncExitStack()
        self._broken: asyncio.Future[None]
        self.url = ""

    @property
    def functions(self) -> Mapping[str, tuple[Binding, ...]]:
        """The bindings of each function, by name."""
        return {name: function.bindings for name, function in self._worker.functions.items()}

    async def __aenter__(self) -> Self:
        self._broken = asyncio.get_running_loop().create_future()
        async with AsyncExitStack() as stack:
            self._set_environment(stack)
            settings = dict(os.environ)
            config = HostJson.read(self._app_dir, settings)
            stack.callback(self._worker.stop)
            await self._worker.start()
            by_type: dict[str, list[Function]] = {"queueTrigger": [], "timerTrigger": [], "httpTrigger": []}
            for function in self._worker.functions.values():
                by_type[function.trigger["type"]].append(function)
            for function in by_type["timerTrigger"]:
                self._timers[function.name] = self._timer(function, settings)
            triggers = HttpTriggers(self._worker, by_type["httpTrigger"], config.extensions.http.route_prefix)
            for function in by_type["queueTrigger"]:
                listener = await self._listener(function, settings, config, stack)
                await listener.create()
                self._listeners.append(listener)
            await self._serve_http(triggers, stack)
            stack.push_async_callback(self._stop_loops)
            runs = [listener.run() for listener in self._listeners] + [timer.run() for timer in self._timers.values()]
            for run in runs:
                loop = asyncio.create_task(run)
                loop.add_done_callback(self._loop_ended)
                self._loops.append(loop)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def serve(self) -> None:
        """Until cancelled. Raises what broke a listener or a timer, if one breaks."""
        await asyncio.shield(self._broken)

    async def idle(self) -> None:
        """Wait until no function runs and no queue with a trigger has a message that is visible or in flight.

        Messages that wait with a visibility delay may remain: see pending().
        """
        quiet = asyncio.create_task(self._quiet())
        try:
            await asyncio.wait({quiet, self._broken}, return_when=asyncio.FIRST_COMPLETED)
            if self._broken.done():
                self._broken.result()
        finally:
            quiet.cancel()

    async def pending(self) -> dict[str, int]:
        """How many messages each queue with a trigger holds; queues that hold none are left out."""
        lengths = {listener.name: await listener.length() for listener in self._listeners}
        return {name: length for name, length in lengths.items() if length}

    def status(self) -> dict[str, Any]:
        """What GET /admin/host/status answers."""
        return {
            "state": "Running",
            "functions": len(self._worker.functions),
            "invocations": self._worker.invocations,
            "failures": self._worker.failures,
            "poisoned": sum(listener.poisoned for listener in self._listeners),
        }

    def runs(self) -> dict[str, Run]:
        """How to run each timer and queue function by hand, given an input text."""
        by_hand: dict[str, Run] = {}
        for name, function in self._worker.functions.items():
            if name in self._timers:
                by_hand[name] = partial(_fire, self._timers[name])
            elif function.trigger["type"] == "queueTrigger":
                by_hand[name] = partial(self._invoke_by_hand, function)
        return by_hand

    async def _quiet(self) -> None:
        while True:
            invocations = self._worker.invocations
            await self._admin.finish()
            await self._worker.quiet()
            await asyncio.gather(*(listener.drained() for listener in self._listeners))
            if self._worker.invocations == invocations and not self._worker.running:
                return

    def _set_environment(self, stack: AsyncExitStack) -> None:
        before = {name: os.environ.get(name) for name in self._own_settings}
        os.environ.update(self._own_settings)

        def restore() -> None:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value

        stack.callback(restore)

    def _timer(self, function: Function, settings: Mapping[str, str]) -> Timer:
        try:
            schedule = Schedule.parse(resolve(function.trigger["schedule"], settings, function.name))
        except ScheduleError as error:
            raise SettingsError(f"function {function.name}: {error}") from error

        async def fire(request: str) -> None:
            await self._invoke(function, TypedData(json=request))

        return Timer(schedule, bool(function.trigger.get("runOnStartup")), fire)

    async def _listener(
        self, function: Function, settings: Mapping[str, str], config: HostJson, stack: AsyncExitStack
    ) -> QueueListener:
        trigger = function.trigger
        queue = resolve(trigger["queueName"], settings, function.name)
        service = await stack.enter_async_context(queue_service(trigger["connection"], settings, function.name))

        async def invoke(text: str, metadata: dict[str, TypedData]) -> bool:
            return await self._invoke(function, TypedData(string=text), metadata)

        return QueueListener(service, queue, config.extensions.queues, invoke, self._hint)

    async def _invoke(
        self, function: Function, data: TypedData, metadata: Mapping[str, TypedData] | None = None
    ) -> bool:
        outcome = await self._worker.invoke(function, data, metadata)
        self._hint()
        return outcome.error is None

    async def _invoke_by_hand(self, function: Function, text: str) -> None:
        now = datetime.now(UTC)
        values = {
            "Id": str(uuid.uuid4()),
            "DequeueCount": 1,
            "PopReceipt": "",
            "InsertionTime": now.isoformat(),
            "ExpirationTime": (now + timedelta(days=7)).isoformat(),
            "NextVisibleTime": (now + LEASE).isoformat(),
        }
        metadata = {name: TypedData(json=json.dumps(value)) for name, value in values.items()}
        await self._invoke(function, TypedData(string=text), metadata)

    def _hint(self) -> None:
        for listener in self._listeners:
            listener.hint()

    async def _serve_http(self, triggers: HttpTriggers, stack: AsyncExitStack) -> None:
        async def answer(request: web.Request) -> web.Response:
            response = await triggers.answer(request)
            self._hint()
            return response

        app = web.Application(client_max_size=BODY_LIMIT)
        app.add_routes([*self._admin.routes(), web.route("*", "/{path:.*}", answer)])
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=5)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        site = web.TCPSite(runner, "127.0.0.1", self._port)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"

    async def _stop_loops(self) -> None:
        for loop in self._loops:
            loop.cancel()
        self._admin.stop()
        await asyncio.gather(*self._loops, return_exceptions=True)

    def _loop_ended(self, loop: asyncio.Task[None]) -> None:
        if not loop.cancelled() and (error := loop.exception()) and not self._broken.done():
            self._broken.set_exception(error)


async def _fire(timer: Timer, _: str) -> None:
    await timer.fire()
