"""Share events become decisions."""

import azure.functions as func

from functions.queue_work import STORAGE, work_off
from shared.domain.events import ShareEvent
from shared.domain.messages import Queue
from shared.workflows import shares

blueprint = func.Blueprint()


@blueprint.queue_trigger("message", Queue.SHARE_EVENTS.value, STORAGE)
async def receive_share(message: func.QueueMessage) -> None:
    """Take one share event in."""
    await work_off(Queue.SHARE_EVENTS, ShareEvent, message, shares.receive_share)
