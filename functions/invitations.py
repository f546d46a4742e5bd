"""Invitations: send them, and notice who accepted."""

import azure.functions as func

from functions.queue_work import STORAGE, work_off
from functions.timer_work import on_time
from shared.domain.messages import InvitationMessage, Queue
from shared.workflows import invitations
from shared.workflows.ports import Ports

blueprint = func.Blueprint()


@blueprint.queue_trigger("message", Queue.INVITATIONS.value, STORAGE)
async def invite_guest(message: func.QueueMessage) -> None:
    """Do what is to be done for one person's invitation: make it, or send the mail that is owed."""
    await work_off(Queue.INVITATIONS, InvitationMessage, message, _invite)


async def _invite(ports: Ports, message: InvitationMessage) -> None:
    await invitations.work_on_invitation(ports, message.guest)


@blueprint.timer_trigger("timer", "%GUESTPASS_ACCEPTANCE_SCHEDULE%")
async def poll_acceptance(timer: func.TimerRequest) -> None:
    """Ask once who accepted since the last time."""
    await on_time("poll_acceptance", invitations.poll_acceptance)


@blueprint.timer_trigger("timer", "50 */5 * * * *")
async def follow_up_invitations(timer: func.TimerRequest) -> None:
    """Remind whom it is time to remind, and end what nobody accepted in time."""
    await on_time("follow_up_invitations", invitations.follow_up)
