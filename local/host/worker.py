"""Drives Microsoft's worker library: index an app directory, then invoke its functions."""

import asyncio
import json
import logging
import secrets
import sys
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import azure_functions_runtime as runtime  # type: ignore[import-untyped]

from local.host import protos
from local.host.errors import HostError, IndexingError

logger = logging.getLogger("local.host")

type Binding = Mapping[str, Any]

TRIGGERS = frozenset({"queueTrigger", "timerTrigger", "httpTrigger"})


@dataclass(frozen=True, slots=True)
class Function:
    """A function as the worker indexed it; bindings are the worker's raw bindings, parsed."""

    name: str
    id: str
    bindings: tuple[Binding, ...]

    @property
    def trigger(self) -> Binding:
        return next(binding for binding in self.bindings if binding["type"] in TRIGGERS)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an invocation came to: an error text, or the value that the function returned."""

    error: str | None = None
    value: protos.TypedData | None = None


# The library keeps one app in module-level state and refuses to index it twice.
_indexed: tuple[Path, dict[str, Function]] | None = None


class Worker:
    """The worker library with one app. It counts what it runs; `functions` is filled by start()."""

    def __init__(self, app_dir: Path) -> None:
        self._app_dir = app_dir.resolve()
        self._quiet = asyncio.Event()
        self._quiet.set()
        self.functions: dict[str, Function] = {}
        self.running = 0
        self.invocations = 0
        self.failures = 0

    async def start(self) -> None:
        """Index the app.

        Raises:
            IndexingError: the worker refused it.
            HostError: another app lives in this process, or a function needs what this host does not do.
        """
        global _indexed
        runtime.start_threadpool_executor()
        if _indexed is None:
            _indexed = self._app_dir, await _index(self._app_dir)
        if _indexed[0] != self._app_dir:
            raise HostError(f"this process already holds the app {_indexed[0]}; one process can hold one app")
        self.functions = _indexed[1]

    def stop(self) -> None:
        runtime.stop_threadpool_executor()

    async def quiet(self) -> None:
        """Wait until no invocation is running."""
        await self._quiet.wait()

    async def invoke(
        self,
        function: Function,
        data: protos.TypedData,
        metadata: Mapping[str, protos.TypedData] | None = None,
        trace: protos.TraceContext | None = None,
    ) -> Outcome:
        """Run one invocation. An exception of the function is an Outcome with an error, never raised here."""
        self.invocations += 1
        self.running += 1
        self._quiet.clear()
        try:
            request = protos.InvocationRequest(
                invocation_id=str(uuid.uuid4()),
                function_id=function.id,
                input_data=[protos.ParameterBinding(name=function.trigger["name"], data=data)],
                trigger_metadata=metadata or {},
                trace_context=trace or new_trace(),
            )
            response = await runtime.invocation_request(_request(invocation_request=request))
        finally:
            self.running -= 1
            if not self.running:
                self._quiet.set()
        if response.result.status == protos.StatusResult.Success:
            logger.info("%s succeeded", function.name)
            return Outcome(value=response.return_value)
        self.failures += 1
        error = response.result.exception
        logger.error("%s failed: %s", function.name, " ".join(error.message.split()))
        logger.info("%s", error.stack_trace)
        return Outcome(error=error.message)


def new_trace() -> protos.TraceContext:
    """A trace context that begins a trace (W3C Trace Context, version 00, sampled)."""
    return protos.TraceContext(trace_parent=f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01")


async def _index(app_dir: Path) -> dict[str, Function]:
    if not (app_dir / "function_app.py").is_file():
        raise IndexingError(f"{app_dir} has no function_app.py")
    # Microsoft's worker takes a package's own libraries before what else there is.
    sys.path[:0] = [str(app_dir), str(app_dir / ".python_packages" / "lib" / "site-packages")]
    library_log = logging.getLogger("azure.functions")
    library_log.setLevel(logging.CRITICAL)  # it logs what the response says anyway, with the whole of sys.path
    response = await runtime.worker_init_request(
        _request(worker_init_request=SimpleNamespace(capabilities={}, function_app_directory=str(app_dir)))
    )
    library_log.setLevel(logging.WARNING)
    if response.result.status != protos.StatusResult.Success:
        error = IndexingError(response.result.exception.message)
        error.add_note(response.result.exception.stack_trace)
        raise error
    metadata = await runtime.functions_metadata_request(_request())
    found = [_function(item) for item in metadata.function_metadata_results or ()]
    if not found:
        logger.warning("no function found in %s; is every blueprint registered?", app_dir)
    return {function.name: function for function in found}


def _function(metadata: protos.RpcFunctionMetadata) -> Function:
    bindings = tuple(json.loads(raw) for raw in metadata.raw_bindings)
    for binding in bindings:
        if binding["type"] not in TRIGGERS and (binding["type"], binding["name"]) != ("http", "$return"):
            raise HostError(
                f"function {metadata.name}: the local host serves queue, timer and HTTP triggers and the HTTP "
                f"response, not the binding '{binding['name']}' of type {binding['type']}"
            )
    if metadata.retry_options is not None:
        raise HostError(f"function {metadata.name}: the local host has no retry policies (@app.retry)")
    return Function(metadata.name, metadata.function_id, bindings)


def _request(**message: Any) -> SimpleNamespace:
    return SimpleNamespace(request=SimpleNamespace(**message), properties={"host": "127.0.0.1", "protos": protos})
