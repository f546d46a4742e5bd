"""The storage account: opens the clients of its services and makes what the ledger needs in them."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import ResourceExistsError
from azure.data.tables.aio import TableServiceClient
from azure.storage.blob.aio import BlobServiceClient
from azure.storage.queue.aio import QueueServiceClient

from shared.domain.messages import Queue

TABLES = (
    "guests",
    "history",
    "worklist",
    "scopes",
    "sources",
    "accountmaps",
    "permissions",
    "batches",
)
QUEUES = tuple(name for queue in Queue for name in (queue.value, f"{queue.value}-poison"))
CONTAINER = "deliveries"

# Seconds and number of repeats. The queue and blob clients' own default begins at 15 s, longer than a webhook's sender
# waits.
_RETRIES: dict[str, Any] = {"initial_backoff": 1, "increment_base": 2, "retry_total": 4}
_TABLE_RETRIES: dict[str, Any] = {"retry_backoff_factor": 0.2, "retry_total": 5}

# Microsoft, "Use the Azurite emulator": its account and key are the same everywhere and public.
_EMULATOR = (
    "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;"
    "AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;"
    "BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1;"
    "QueueEndpoint=http://127.0.0.1:10001/devstoreaccount1;"
    "TableEndpoint=http://127.0.0.1:10002/devstoreaccount1;"
)


@dataclass(frozen=True)
class StorageAccount:
    """The clients of the account's services. Close it, or use it in `async with`."""

    tables: TableServiceClient
    queues: QueueServiceClient
    blobs: BlobServiceClient

    @classmethod
    def from_connection_string(cls, text: str) -> Self:
        """Open the account of a connection string; `UseDevelopmentStorage=true` is Azurite on its usual ports."""
        if text.strip().rstrip(";").lower() == "usedevelopmentstorage=true":
            text = _EMULATOR
        return cls(
            tables=TableServiceClient.from_connection_string(text, **_TABLE_RETRIES),
            queues=QueueServiceClient.from_connection_string(text, **_RETRIES),
            blobs=BlobServiceClient.from_connection_string(text, **_RETRIES),
        )

    @classmethod
    def from_name(cls, name: str, credential: AsyncTokenCredential) -> Self:
        """Open the account of this name in the public cloud."""
        host = "core.windows.net"
        return cls.from_uris(
            table=f"https://{name}.table.{host}",
            queue=f"https://{name}.queue.{host}",
            blob=f"https://{name}.blob.{host}",
            credential=credential,
        )

    @classmethod
    def from_uris(cls, *, table: str, queue: str, blob: str, credential: AsyncTokenCredential) -> Self:
        """Open the services at these addresses. The credential stays the caller's to close."""
        return cls(
            tables=TableServiceClient(table, credential=credential, **_TABLE_RETRIES),
            queues=QueueServiceClient(queue, credential=credential, **_RETRIES),
            blobs=BlobServiceClient(blob, credential=credential, **_RETRIES),
        )

    async def ensure(self) -> None:
        """Make the tables, the queues with their poison queues and the container, where they are missing."""
        await asyncio.gather(
            *(self.tables.create_table_if_not_exists(name) for name in TABLES),
            *(_unless_there(self.queues.create_queue(name)) for name in QUEUES),
            _unless_there(self.blobs.create_container(CONTAINER)),
        )

    async def close(self) -> None:
        """Close the connections."""
        await asyncio.gather(self.tables.close(), self.queues.close(), self.blobs.close())

    async def __aenter__(self) -> Self:
        """Return itself; the connections open at the first call."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        await self.close()


async def _unless_there(creation: Awaitable[object]) -> None:
    try:
        await creation
    except ResourceExistsError:
        return
