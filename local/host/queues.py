"""A queue listener with the semantics of Microsoft.Azure.WebJobs.Extensions.Storage.Queues 5.x.

The order of receive, lease, invoke, release, poison and delete is that of its QueueListener and QueueProcessor.
"""

import asyncio
import base64
import json
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta

from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError
from azure.storage.queue import QueueMessage
from azure.storage.queue.aio import QueueClient, QueueServiceClient

from local.host.errors import HostError
from local.host.protos import TypedData
from local.host.settings import Queues

logger = logging.getLogger("local.host")

LEASE = timedelta(minutes=10)
POISON_SUFFIX = "-poison"

_LONGEST_QUEUE_NAME = 63
_FIRST_DELAY = 0.1  # seconds; the shortest polling interval of the real host
_HINT_INTERVAL = 0.025  # seconds; hints come with every finished invocation, polls need not
_DRAIN = 5.0  # seconds

type Invoke = Callable[[str, dict[str, TypedData]], Awaitable[bool]]


class QueueListener:
    """Feeds the messages of one queue to one function.

    Args:
        invoke: runs the function with the text and the trigger metadata of a message; true means success.
        on_done: called whenever a message is done with, for it may have caused others.
        lease: how long a message is hidden while it is worked on; it is renewed at half time.
    """

    def __init__(
        self,
        service: QueueServiceClient,
        queue: str,
        options: Queues,
        invoke: Invoke,
        on_done: Callable[[], None],
        lease: timedelta = LEASE,
    ) -> None:
        self.name = queue
        self.poisoned = 0
        self._queue = service.get_queue_client(queue)
        has_poison = not queue.endswith(POISON_SUFFIX) and len(queue + POISON_SUFFIX) <= _LONGEST_QUEUE_NAME
        self._poison = service.get_queue_client(queue + POISON_SUFFIX) if has_poison else None
        self._options = options
        self._invoke = invoke
        self._on_done = on_done
        self._lease = int(lease.total_seconds())
        self._in_flight: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._waiting: list[asyncio.Future[None]] = []
        self._delay = 0.0

    async def create(self) -> None:
        """Create the queue if it is missing.

        Raises:
            HostError: the storage account cannot be reached.
        """
        try:
            await _create(self._queue)
        except AzureError as error:
            raise HostError(f"queue {self.name} cannot be reached: {error}") from error

    async def run(self) -> None:
        """Poll until cancelled; then give what is in flight five seconds to end.

        What does not end is given up: its message comes back after its lease, as after a crash.
        """
        try:
            while True:
                await self._poll()
        finally:
            if self._in_flight:
                _, late = await asyncio.wait(self._in_flight, timeout=_DRAIN)
                for task in late:
                    task.cancel()

    def hint(self) -> None:
        """Poll soon: something happened that may have put a message on the queue."""
        self._wake.set()

    async def drained(self) -> None:
        """Wait until a poll that began after this call found nothing visible, with nothing in flight."""
        waiting = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        self.hint()
        await waiting

    async def length(self) -> int:
        """How many messages the queue holds, hidden ones included."""
        return (await self._queue.get_queue_properties()).approximate_message_count or 0

    async def _poll(self) -> None:
        self._wake.clear()
        begun = asyncio.get_running_loop().time()
        waiting, self._waiting = self._waiting, []
        try:
            batch = await self._receive()
        except AzureError as error:
            logger.warning("queue %s cannot be read: %s", self.name, error)
            self._waiting += waiting
            await self._pause(begun)
            return
        if batch:
            self._waiting += waiting
            self._delay = 0.0
            for message in batch:
                task = asyncio.create_task(self._process(message))
                self._in_flight.add(task)
                task.add_done_callback(self._finished)
            while len(self._in_flight) > self._options.new_batch_threshold:
                await asyncio.wait(self._in_flight, return_when=asyncio.FIRST_COMPLETED)
            return
        if self._in_flight:
            self._waiting += waiting
        else:
            for future in waiting:
                if not future.done():
                    future.set_result(None)
        await self._pause(begun)

    async def _receive(self) -> list[QueueMessage]:
        pages = self._queue.receive_messages(
            messages_per_page=self._options.batch_size,
            max_messages=self._options.batch_size,
            visibility_timeout=self._lease,
        ).by_page()
        page = await anext(pages, None)
        return [message async for message in page] if page is not None else []

    async def _pause(self, begun: float) -> None:
        """Wait for a hint, at most for a random, exponentially growing time."""
        longest = self._options.max_polling_interval.total_seconds()
        self._delay = min(longest, max(_FIRST_DELAY, self._delay * 2 * random.uniform(0.8, 1.2)))  # noqa: S311
        try:
            await asyncio.wait_for(self._wake.wait(), self._delay)
        except TimeoutError:
            return
        await asyncio.sleep(begun + _HINT_INTERVAL - asyncio.get_running_loop().time())

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._in_flight.discard(task)
        self._on_done()

    async def _process(self, message: QueueMessage) -> None:
        try:
            try:
                body = self._decode(message.content)
            except ValueError:
                logger.warning("message %s of queue %s is not base64; see messageEncoding", message.id, self.name)
                await self._move_to_poison(message)
                return
            deliveries = message.dequeue_count or 0
            if deliveries > self._options.max_dequeue_count:
                await self._move_to_poison(message)
                return
            async with self._leased(message):
                succeeded = await self._run(message, body)
            if succeeded:
                await self._delete(message)
            elif deliveries >= self._options.max_dequeue_count:
                await self._move_to_poison(message)
            elif self._poison is not None:
                await self._release(message)
        except AzureError as error:
            logger.warning("message %s of queue %s comes again: %s", message.id, self.name, error)

    def _decode(self, content: str) -> bytes:
        if self._options.message_encoding == "none":
            return content.encode()
        return base64.b64decode("".join(content.split()), validate=True)

    async def _run(self, message: QueueMessage, body: bytes) -> bool:
        try:
            text = body.decode()
        except UnicodeDecodeError:
            logger.error("message %s of queue %s is not UTF-8", message.id, self.name)
            return False
        return await self._invoke(text, trigger_metadata(message))

    @asynccontextmanager
    async def _leased(self, message: QueueMessage) -> AsyncIterator[None]:
        ended = asyncio.Event()
        renewal = asyncio.create_task(self._renew(message, ended))
        try:
            yield
        finally:
            ended.set()  # a renewal on its way must end: it changes the pop receipt
            await renewal

    async def _renew(self, message: QueueMessage, ended: asyncio.Event) -> None:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), self._lease / 2)
                return
            try:
                await self._hide(message, self._lease)
            except AzureError as error:
                logger.warning("the lease of message %s of queue %s is not renewed: %s", message.id, self.name, error)
                return

    async def _hide(self, message: QueueMessage, seconds: int) -> None:
        updated = await self._queue.update_message(message.id, message.pop_receipt, visibility_timeout=seconds)
        message.pop_receipt = updated.pop_receipt

    async def _release(self, message: QueueMessage) -> None:
        try:
            await self._hide(message, int(self._options.visibility_timeout.total_seconds()))
        except ResourceNotFoundError:
            logger.info("message %s of queue %s is gone or taken over", message.id, self.name)

    async def _delete(self, message: QueueMessage) -> None:
        try:
            await self._queue.delete_message(message.id, message.pop_receipt)
        except ResourceNotFoundError:
            logger.info("message %s of queue %s is gone or taken over", message.id, self.name)

    async def _move_to_poison(self, message: QueueMessage) -> None:
        if self._poison is None:
            return  # it stays hidden for the rest of its lease, so that it does not fail in a loop
        try:
            await self._poison.send_message(message.content)
        except ResourceNotFoundError:
            await _create(self._poison)
            await self._poison.send_message(message.content)
        self.poisoned += 1
        logger.warning("message %s moved to queue %s", message.id, self._poison.queue_name)
        await self._delete(message)


def trigger_metadata(message: QueueMessage) -> dict[str, TypedData]:
    """What a queue trigger tells the worker about a message."""
    values = {
        "Id": message.id,
        "DequeueCount": message.dequeue_count,
        "PopReceipt": message.pop_receipt,
        "InsertionTime": _utc(message.inserted_on),
        "ExpirationTime": _utc(message.expires_on),
        "NextVisibleTime": _utc(message.next_visible_on),
    }
    return {name: TypedData(json=json.dumps(value)) for name, value in values.items()}


def _utc(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat() if moment else None


async def _create(queue: QueueClient) -> None:
    try:
        await queue.create_queue()
    except ResourceExistsError:
        return
