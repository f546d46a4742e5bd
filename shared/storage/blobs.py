"""Blobs for what no queue message can hold: large delivery bodies, and the files of batches."""

from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
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

    async def part(self, name: str, start: int, length: int) -> bytes | None:
        """Read at most `length` bytes from `start` on; empty behind the end, None when there is no such body."""
        try:
            download = await self._container.download_blob(name, offset=start, length=length)
            return await download.readall()
        except ResourceNotFoundError:
            return None
        except HttpResponseError as error:
            if error.status_code == 416:  # the range begins behind the end
                return b""
            raise

    async def delete(self, name: str) -> None:
        """Delete a body. It is no error when it is gone."""
        try:
            await self._container.delete_blob(name)
        except ResourceNotFoundError:
            return
