"""Poison queues: record the failure where an administrator sees it. These functions must not raise: a poison queue
has no poison queue, a message that fails here would come back for ever."""

import logging

import azure.functions as func

from functions.queue_work import STORAGE
from shared import telemetry
from shared.domain.messages import Message, Queue
from shared.storage.envelope import decode
from shared.wiring import get_ports
from shared.workflows.reconciliation import record_failure

blueprint = func.Blueprint()
log = logging.getLogger("guestpass.poison")


async def _drain(queue: Queue, message: func.QueueMessage) -> None:
    telemetry.poisoned(queue)
    text = message.get_body().decode(errors="replace")
    body: Message | None = None
    try:
        body, _, _ = decode(text)
    except ValueError:
        log.warning("message unreadable", extra={"queue": queue})
    try:
        await record_failure(await get_ports(), queue, body, text)
    except Exception as trouble:
        log.error("failure not recorded", extra={"queue": queue, "reason": type(trouble).__name__})


@blueprint.queue_trigger("message", f"{Queue.DELIVERIES}-poison", STORAGE)
async def drain_deliveries(message: func.QueueMessage) -> None:
    """Record a delivery that could not be read."""
    await _drain(Queue.DELIVERIES, message)


@blueprint.queue_trigger("message", f"{Queue.SHARE_EVENTS}-poison", STORAGE)
async def drain_share_events(message: func.QueueMessage) -> None:
    """Record a share event that could not be decided."""
    await _drain(Queue.SHARE_EVENTS, message)


@blueprint.queue_trigger("message", f"{Queue.INVITATIONS}-poison", STORAGE)
async def drain_invitations(message: func.QueueMessage) -> None:
    """Record an invitation that could not be made."""
    await _drain(Queue.INVITATIONS, message)


@blueprint.queue_trigger("message", f"{Queue.GRANTS}-poison", STORAGE)
async def drain_grants(message: func.QueueMessage) -> None:
    """Record access that could not be settled."""
    await _drain(Queue.GRANTS, message)


@blueprint.queue_trigger("message", f"{Queue.MOVES}-poison", STORAGE)
async def drain_moves(message: func.QueueMessage) -> None:
    """Record a move that failed; the reconciler begins it again."""
    await _drain(Queue.MOVES, message)


@blueprint.queue_trigger("message", f"{Queue.FEEDS}-poison", STORAGE)
async def drain_feeds(message: func.QueueMessage) -> None:
    """Record a feed that could not be worked on."""
    await _drain(Queue.FEEDS, message)


@blueprint.queue_trigger("message", f"{Queue.BATCHES}-poison", STORAGE)
async def drain_batches(message: func.QueueMessage) -> None:
    """Record a batch that could not go on."""
    await _drain(Queue.BATCHES, message)
