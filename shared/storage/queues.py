"""The storage queues."""

from datetime import timedelta
from math import ceil

from azure.storage.queue import TextBase64EncodePolicy
from azure.storage.queue.aio import QueueServiceClient
from opentelemetry import propagate

from shared.domain.messages import Message, Queue
from shared.storage.envelope import encode

_LONGEST_DELAY = timedelta(days=7)  # Microsoft, "Put Message": visibilitytimeout
_FOR_EVER = -1  # the default of seven days would lose work


class StorageQueues:
    """Sends messages. Receiving is the Functions host's work."""

    def __init__(self, service: QueueServiceClient) -> None:
        """Send to the queues of this account, base64-encoded as the host expects."""
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
        trace: dict[str, str] = {}
        propagate.inject(trace)
        await self._clients[queue].send_message(
            encode(body, attempt, trace.get("traceparent")),
            visibility_timeout=max(0, ceil(min(delay, _LONGEST_DELAY).total_seconds())),
            time_to_live=_FOR_EVER,
        )
