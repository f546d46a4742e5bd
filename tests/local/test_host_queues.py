"""One queue listener on Azurite, where a test must look closer than through a host."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

import pytest
from azure.storage.queue.aio import QueueServiceClient

from local.host.protos import TypedData
from local.host.queues import Invoke, QueueListener
from local.host.settings import Queues


@pytest.fixture
async def service(azurite: str) -> AsyncIterator[QueueServiceClient]:
    async with QueueServiceClient.from_connection_string(azurite) as client:
        yield client


@asynccontextmanager
async def listening(
    service: QueueServiceClient, queue: str, invoke: Invoke, lease: timedelta, **options: object
) -> AsyncIterator[QueueListener]:
    values = {"maxPollingInterval": "00:00:00.100", "messageEncoding": "none", **options}
    listener = QueueListener(service, queue, Queues.model_validate(values), invoke, lambda: listener.hint(), lease)
    await listener.create()
    run = asyncio.create_task(listener.run())
    try:
        yield listener
    finally:
        run.cancel()
        with suppress(asyncio.CancelledError):
            await run


def counting(results: list[bool]) -> tuple[list[dict[str, TypedData]], Invoke, Callable[[int], asyncio.Event]]:
    """An invocation that ends in these results one after the other; an event for the n-th."""
    seen: list[dict[str, TypedData]] = []
    events = [asyncio.Event() for _ in results]

    async def invoke(text: str, metadata: dict[str, TypedData]) -> bool:
        seen.append(metadata)
        events[len(seen) - 1].set()
        return results[len(seen) - 1]

    return seen, invoke, lambda number: events[number - 1]


async def test_failed_message_is_visible_again_after_the_visibility_timeout(service: QueueServiceClient) -> None:
    seen, invoke, event = counting([False, True])
    async with listening(service, "released", invoke, timedelta(minutes=10), visibilityTimeout="00:00:01") as listener:
        await service.get_queue_client("released").send_message("x")
        await asyncio.wait_for(event(2).wait(), 30)
        await listener.drained()
        assert [metadata["DequeueCount"].json for metadata in seen] == ["1", "2"]
        assert await listener.length() == 0


async def test_last_failure_is_poisoned_at_once(service: QueueServiceClient) -> None:
    _, invoke, _ = counting([False])
    options = {"maxDequeueCount": 1, "visibilityTimeout": "00:01:00"}
    async with listening(service, "hopeless", invoke, timedelta(minutes=10), **options) as listener:
        await service.get_queue_client("hopeless").send_message("x")
        await listener.drained()
        assert listener.poisoned == 1
        assert await listener.length() == 0


async def test_lease_is_renewed_while_the_function_runs(service: QueueServiceClient) -> None:
    later = asyncio.Event()
    calls = 0

    async def ring(text: str, metadata: dict[str, TypedData]) -> bool:
        later.set()
        return True

    async def invoke(text: str, metadata: dict[str, TypedData]) -> bool:
        nonlocal calls
        calls += 1
        # A message that stays hidden for three leases says when they are over.
        await service.get_queue_client("long-clock").send_message("", visibility_timeout=3)
        await asyncio.wait_for(later.wait(), 30)
        return True

    lease = timedelta(seconds=1)
    async with listening(service, "long-clock", ring, lease), listening(service, "long", invoke, lease) as listener:
        await service.get_queue_client("long").send_message("x")
        await listener.drained()
        assert await listener.length() == 0
    assert calls == 1


async def test_message_with_too_many_deliveries_is_moved_without_a_call(service: QueueServiceClient) -> None:
    queue = service.get_queue_client("crashed")
    await queue.create_queue()
    await queue.send_message("<x> & y")
    for _ in range(2):
        message = await queue.receive_message(visibility_timeout=60)
        assert message is not None
        await queue.update_message(message.id, message.pop_receipt, visibility_timeout=0)
    seen, invoke, _ = counting([])
    async with listening(service, "crashed", invoke, timedelta(minutes=10), maxDequeueCount=2) as listener:
        await listener.drained()
        assert await listener.length() == 0
        assert listener.poisoned == 1
    assert seen == []
    poison = service.get_queue_client("crashed-poison")
    assert [message.content for message in await poison.peek_messages()] == ["<x> & y"]


async def test_message_that_the_function_deleted_is_no_trouble(service: QueueServiceClient) -> None:
    queue = service.get_queue_client("taken")

    async def invoke(text: str, metadata: dict[str, TypedData]) -> bool:
        await queue.clear_messages()
        return text == "good"

    async with listening(service, "taken", invoke, timedelta(minutes=10)) as listener:
        for text in ("good", "bad"):
            await queue.send_message(text)
            await listener.drained()
            assert await listener.length() == 0
    assert listener.poisoned == 0
