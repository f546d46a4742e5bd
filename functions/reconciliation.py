"""Timers that keep the ledger honest, and one that measures."""

import azure.functions as func

from functions.timer_work import on_time
from shared.workflows import reconciliation
from shared.workflows.status import measure

blueprint = func.Blueprint()


@blueprint.timer_trigger("timer", "30 * * * * *")
async def expire_shares(timer: func.TimerRequest) -> None:
    """Take back what has reached its expiry date."""
    await on_time("expire_shares", reconciliation.expire_shares)


@blueprint.timer_trigger("timer", "15 */10 * * * *")
async def repair(timer: func.TimerRequest) -> None:
    """Start again whatever stands still."""
    await on_time("repair", reconciliation.repair)


@blueprint.timer_trigger("timer", "40 */5 * * * *")
async def measure_state(timer: func.TimerRequest) -> None:
    """Tell operators what stands where, and count the lists that are too long to be counted for each page."""
    await on_time("measure_state", measure)
