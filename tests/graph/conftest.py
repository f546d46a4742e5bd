"""The simulated tenant over HTTP, with managed identity as in Azure, and the client under test."""

import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from azure.core.credentials import AccessToken
from azure.identity.aio import ManagedIdentityCredential

from local.tenant.app import create_app
from shared.graph.client import Graph
from tests.contract.graph import check_exchanges

SECRET = "identity-secret"


@asynccontextmanager
async def listening(app: web.Application) -> AsyncIterator[str]:
    """Serve an application on a free port."""
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


class Tenant:
    """The control interface of the simulated tenant."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url, self._session = url, session

    async def control(self, what: str, **body: Any) -> dict[str, Any]:
        """Post to /control."""
        async with self._session.post(f"{self.url}/control/{what}", json=body) as response:
            assert response.status == 200, await response.text()
            return dict(await response.json())

    async def read(self, what: str) -> dict[str, Any]:
        """Get from /control."""
        async with self._session.get(f"{self.url}/control/{what}") as response:
            return dict(await response.json())

    async def exchanges(self, method: str = "", path: str = "") -> list[dict[str, Any]]:
        """The recorded exchanges with that method and end of path."""
        recorded = (await self.read("exchanges"))["value"]
        return [e for e in recorded if e["method"].startswith(method) and e["path"].endswith(path)]


@pytest.fixture(scope="session")
def said() -> Iterator[list[dict[str, Any]]]:
    """Everything that was said to a tenant; in the end it is held against Microsoft's description, if that is here."""
    exchanges: list[dict[str, Any]] = []
    yield exchanges
    if "GRAPH_OPENAPI" in os.environ:
        assert check_exchanges(exchanges, os.environ["GRAPH_OPENAPI"]) == []


@pytest.fixture
async def tenant(said: list[dict[str, Any]]) -> AsyncIterator[Tenant]:
    """An empty tenant; no grant and no link may ever have left out to keep what is inherited."""
    async with listening(create_app(SECRET)) as url, aiohttp.ClientSession() as session:
        tenant = Tenant(url, session)
        yield tenant
        exchanges = await tenant.exchanges()
        for exchange in exchanges:
            if exchange["path"].endswith(("/invite", "/createLink")):
                assert exchange["requestBody"]["retainInheritedPermissions"] is True
        said += exchanges


@pytest.fixture
async def graph(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Graph]:
    """The client, signed in with a managed identity."""
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{tenant.url}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", SECRET)
    async with ManagedIdentityCredential() as credential:
        graph = Graph(f"{tenant.url}/v1.0", credential)
        yield graph
        await graph.close()


class Token:
    """A credential that counts how often it was asked."""

    def __init__(self) -> None:
        self.scopes: list[str] = []

    async def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        """Hand out a token."""
        self.scopes += scopes
        return AccessToken("secret-token", 2**31)

    async def close(self) -> None:
        """Nothing to close."""

    async def __aenter__(self) -> "Token":
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing to close."""


Handler = Callable[[web.Request], web.StreamResponse]


@asynccontextmanager
async def odd_graph(answer: Handler) -> AsyncIterator[tuple[Graph, list[web.Request], Token]]:
    """A client at a server that gives odd answers; the requests it saw; and the credential."""
    seen: list[web.Request] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        await request.read()
        seen.append(request)
        return answer(request)

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", handle)
    token = Token()
    async with listening(app) as url:
        graph = Graph(f"{url}/v1.0", token)
        try:
            yield graph, seen, token
        finally:
            await graph.close()
