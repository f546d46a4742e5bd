"""The simulated tenant, seeded afresh for each test."""

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.local.tenant.client import SECRET, SEED, Client, managed_identity_token, running_tenant


@pytest.fixture(scope="session")
async def session_client() -> AsyncIterator[Client]:
    async with running_tenant() as url:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("IDENTITY_ENDPOINT", f"{url}/msi/token")
            patch.setenv("IDENTITY_HEADER", SECRET)
            token = await managed_identity_token("https://graph.microsoft.com/.default")
        async with httpx.AsyncClient(base_url=url) as http:
            yield Client(http, token)


@pytest.fixture
async def client(session_client: Client) -> Client:
    await session_client.control("seed", SEED)
    await session_client.http.delete("/control/exchanges")
    return session_client
