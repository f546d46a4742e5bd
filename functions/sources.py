"""Deliveries become share events; feeds are polled and watched, batches go on; a timer looks after all of it."""

import azure.functions as func

from functions.queue_work import STORAGE, work_off
from functions.timer_work import on_time
from shared.domain.messages import (
    BatchMessage,
    DeliveryMessage,
    FindFeedsMessage,
    Message,
    PollMessage,
    Queue,
    RenewMessage,
)
from shared.workflows import batches, deliveries, feeds
from shared.workflows.ports import Ports

blueprint = func.Blueprint()


@blueprint.queue_trigger("message", Queue.DELIVERIES.value, STORAGE)
async def read_delivery(message: func.QueueMessage) -> None:
    """Read one delivery into share events."""
    await work_off(Queue.DELIVERIES, DeliveryMessage, message, deliveries.read_delivery)


@blueprint.queue_trigger("message", Queue.FEEDS.value, STORAGE)
async def work_on_feed(message: func.QueueMessage) -> None:
    """Find feeds, poll one, or renew its subscription."""
    await work_off(Queue.FEEDS, (FindFeedsMessage, PollMessage, RenewMessage), message, _work_on_feed)


async def _work_on_feed(ports: Ports, message: Message) -> None:
    match message:
        case FindFeedsMessage():
            await feeds.find_feeds(ports, message)
        case PollMessage():
            await feeds.poll_feed(ports, message)
        case RenewMessage():
            await feeds.renew_subscription(ports, message)


@blueprint.queue_trigger("message", Queue.BATCHES.value, STORAGE)
async def run_batch(message: func.QueueMessage) -> None:
    """Do one page of a batch."""
    await work_off(Queue.BATCHES, BatchMessage, message, batches.run_batch)


@blueprint.timer_trigger("timer", "45 * * * * *")
async def tend_sources(timer: func.TimerRequest) -> None:
    """Send out what is due for feeds and batches."""
    await on_time("tend_sources", feeds.tend_feeds, batches.tend_batches)
