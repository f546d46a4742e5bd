"""Timers that keep the ledger honest: expiry every minute, repair and the counts of long lists every ten minutes."""

import azure.functions as func

from shared.wiring import get_ports
from shared.workflows import reconciliation, review

blueprint = func.Blueprint()


@blueprint.timer_trigger("timer", "30 * * * * *")
async def expire_shares(timer: func.TimerRequest) -> None:
    """Take back what has reached its expiry date."""
    await reconciliation.expire_shares(await get_ports())


@blueprint.timer_trigger("timer", "15 */10 * * * *")
async def repair(timer: func.TimerRequest) -> None:
    """Start again whatever stands still."""
    await reconciliation.repair(await get_ports())


@blueprint.timer_trigger("timer", "40 */10 * * * *")
async def recount_people(timer: func.TimerRequest) -> None:
    """Count the lists that are too long to be counted for each page."""
    await review.recount(await get_ports())
