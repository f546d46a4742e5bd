"""Moves: bring shares to the account where the account map leads now."""

import azure.functions as func

from functions.queue_work import STORAGE, work_off
from shared.domain.messages import MoveMessage, Queue
from shared.workflows import maps

blueprint = func.Blueprint()


@blueprint.queue_trigger("message", Queue.MOVES.value, STORAGE)
async def move_shares(message: func.QueueMessage) -> None:
    """Bring one source identity's shares forward on their way."""
    await work_off(Queue.MOVES, MoveMessage, message, maps.move_shares)
