"""Deliveries become share events."""

import azure.functions as func

from functions.queue_work import STORAGE, work_off
from shared.domain.messages import DeliveryMessage, Queue
from shared.workflows import deliveries

blueprint = func.Blueprint()


@blueprint.queue_trigger("message", Queue.DELIVERIES.value, STORAGE)
async def read_delivery(message: func.QueueMessage) -> None:
    """Read one delivery into share events."""
    await work_off(Queue.DELIVERIES, DeliveryMessage, message, deliveries.read_delivery)
