"""Blobs for the delivery bodies that no queue message can hold."""

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob.aio import ContainerClient


class BlobBodies:
    """Container `deliveries`."""

    def __init__(self, container: ContainerClient) -> None:
        """Keep the bodies in this container."""
        self._container = container

    async def put(self, name: str, body: bytes) -> None:
        """Store a body."""
        await self._container.upload_blob(name, body, overwrite=True)

    async def get(self, name: str) -> bytes | None:
        """Read a body; None when it is not there."""
        try:
            download = await self._container.download_blob(name)
            return await download.readall()
        except ResourceNotFoundError:
            return None

    async def delete(self, name: str) -> None:
        """Delete a body. It is no error when it is gone."""
        try:
            await self._container.delete_blob(name)
        except ResourceNotFoundError:
            return
