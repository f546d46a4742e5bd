"""A stand-in of Application Insights' ingestion endpoint: takes what the exporter sends, and keeps it.

It answers as the service does ("Track", in the exporter's generated client): a list of envelopes in, how many were
received and accepted out. What was sent stands in `Insights.envelopes`, as it came.
"""

import gzip
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

# One of a made-up resource: the exporter wants a UUID.
_KEY = "b5c1f0de-1b6b-4c35-9a57-3f0e1e6d2a11"

# Spans of libraries would hold the URLs that they call, and table keys in them hold addresses and paths.
QUIET = "azure_sdk,django,fastapi,flask,httpx,httpx2,psycopg2,requests,urllib,urllib3"


class Insights:
    """What was exported, and the app settings with which an app exports here."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.envelopes: list[dict[str, Any]] = []
        self.settings: dict[str, str] = {}

    async def track(self, request: web.Request) -> web.Response:
        """Take envelopes: a JSON list, or a line each, perhaps compressed."""
        body = await request.read()
        if body[:2] == b"\x1f\x8b":
            body = gzip.decompress(body)
        text = body.decode()
        found = json.loads(text) if text.lstrip().startswith("[") else [json.loads(line) for line in text.splitlines()]
        self.envelopes += found
        return web.json_response({"itemsReceived": len(found), "itemsAccepted": len(found), "errors": []})


async def _not_watched(_: web.Request) -> web.Response:
    """Answer the live metrics' ping: nobody looks."""
    return web.Response(headers={"x-ms-qps-subscribed": "false"})


@asynccontextmanager
async def insights() -> AsyncIterator[Insights]:
    """Listen on a free port."""
    kept = Insights()
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.add_routes([web.post("/{place:.*}/track", kept.track), web.post("/{place:.*}", _not_watched)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    address = f"http://127.0.0.1:{runner.addresses[0][1]}"
    kept.settings = {
        "APPLICATIONINSIGHTS_CONNECTION_STRING": ";".join(
            (f"InstrumentationKey={_KEY}", f"IngestionEndpoint={address}", f"LiveEndpoint={address}")
        ),
        "APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL": "true",
        "PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY": "true",
        "PYTHON_APPLICATIONINSIGHTS_LOGGER_NAME": "guestpass",
        "OTEL_SERVICE_NAME": "guestpass",
        "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": QUIET,
        "OTEL_TRACES_SAMPLER": "always_on",
        "OTEL_METRIC_EXPORT_INTERVAL": "5000",
        "OTEL_BLRP_SCHEDULE_DELAY": "1000",
        "OTEL_BSP_SCHEDULE_DELAY": "1000",
    }
    try:
        yield kept
    finally:
        await runner.cleanup()
