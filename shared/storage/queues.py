"""The storage queues."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from math import ceil

from azure.storage.queue import TextBase64EncodePolicy
from azure.storage.queue.aio import QueueServiceClient

from shared import telemetry
from shared.domain.messages import Message, Queue
from shared.storage.account import QUEUES
from shared.storage.envelope import encode

_LONGEST_DELAY = timedelta(days=7)  # Microsoft, "Put Message": visibilitytimeout
_FOR_EVER = -1  # the default of seven days would lose work


class StorageQueues:
    """Sends messages. Receiving is the Functions host's work."""

    def __init__(self, service: QueueServiceClient) -> None:
        """Send to the queues of this account, base64-encoded as the host expects."""
        self._service = service
        self._clients = {
            queue: service.get_queue_client(queue.value, message_encode_policy=TextBase64EncodePolicy())
            for queue in Queue
        }

    async def send(
        self,
        queue: Queue,
        body: Message,
        *,
        delay: timedelta = timedelta(0),
        attempt: int = 0,
    ) -> None:
        """Send a message that becomes visible after `delay`: rounded up to seconds, and at most seven days.

        Raises ValueError when the queue cannot hold the message.
        """
        await self._clients[queue].send_message(
            encode(body, attempt, telemetry.current()),
            visibility_timeout=max(0, ceil(min(delay, _LONGEST_DELAY).total_seconds())),
            time_to_live=_FOR_EVER,
        )

    async def depths(self) -> Mapping[str, int]:
        """Count the messages of each queue and its poison queue; Azure calls its number approximate."""
        found = await asyncio.gather(*(self._service.get_queue_client(n).get_queue_properties() for n in QUEUES))
        return {name: properties.approximate_message_count or 0 for name, properties in zip(QUEUES, found, strict=True)}
