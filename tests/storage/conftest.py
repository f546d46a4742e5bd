"""The fixtures of the storage's tests."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from shared.storage.account import StorageAccount
from tests.azurite import Azurite
from tests.storage.worlds import World, in_memory, in_storage


@pytest.fixture(scope="session")
async def account() -> AsyncIterator[StorageAccount]:
    """An account on an Azurite of its own, with everything made."""
    async with Azurite() as azurite, StorageAccount.from_connection_string(azurite.connection_string) as opened:
        await opened.ensure()
        yield opened


@pytest.fixture(params=["memory", "azurite"])
def world(request: pytest.FixtureRequest, account: StorageAccount) -> World:
    """The ports, of each kind in turn."""
    return in_memory() if request.param == "memory" else in_storage(account)


@pytest.fixture
def name() -> str:
    """A name that no other test uses: the account is shared."""
    return uuid4().hex
