"""What every queue function does around its workflow: read the message, and put it off when it has to wait."""

import logging
from collections.abc import Awaitable, Callable

import azure.functions as func

from shared import telemetry
from shared.domain.messages import Message, Queue
from shared.domain.trouble import PASSING_TROUBLE
from shared.storage.envelope import decode
from shared.wiring import get_ports
from shared.workflows.ports import Ports
from shared.workflows.reconciliation import put_off

STORAGE = "AzureWebJobsStorage"
log = logging.getLogger("guestpass.queues")


async def work_off[M: Message](
    queue: Queue,
    kind: type[M] | tuple[type[M], ...],
    message: func.QueueMessage,
    workflow: Callable[[Ports, M], Awaitable[None]],
) -> None:
    """Give the message to the workflow; waiting sends it again for later instead of failing.

    Any other exception fails the delivery: the host tries again and moves it to the poison queue in the end.
    """
    body, attempt, sender = decode(message.get_body().decode())
    if not isinstance(body, kind):
        raise TypeError(f"a {type(body).__name__} does not belong on the queue {queue}")
    ports = await get_ports()
    # Each page of a batch is a trace of its own: one for a whole account could not be looked at.
    with telemetry.work_on(queue, sender if queue is not Queue.BATCHES else None):
        try:
            await workflow(ports, body)
        except PASSING_TROUBLE as trouble:
            log.warning("put off", extra={"queue": queue.value, "attempt": attempt, "reason": str(trouble)})
            await put_off(ports, queue, body, attempt, trouble)
