"""Grants: bring a guest's permissions in line with their shares."""

import azure.functions as func

from functions.queue_work import STORAGE, work_off
from shared.domain.messages import GrantMessage, Queue
from shared.workflows import grants

blueprint = func.Blueprint()


@blueprint.queue_trigger("message", Queue.GRANTS.value, STORAGE)
async def settle_access(message: func.QueueMessage) -> None:
    """Give, change or take back what the named shares ask for."""
    await work_off(Queue.GRANTS, GrantMessage, message, grants.settle_access)
