"""How the service does: counts for dashboards, what a timer measures, and whether it can work at all."""

import asyncio
import json
import logging
from collections import Counter
from datetime import datetime, timedelta

from pydantic import AwareDatetime, Field

from shared import telemetry
from shared.domain.feeds import Health
from shared.domain.guests import View
from shared.domain.messages import Queue
from shared.domain.platforms import RULES
from shared.workflows.ports import Ports
from shared.workflows.review import COUNTED, COUNTS, Answer, count_people

log = logging.getLogger("guestpass.status")

# Reserved names are nobody's (RFC 2606), so Entra is asked something that costs little and reveals nothing.
_NOBODY = "nobody@guestpass.invalid"


class AccountStatus(Answer):
    """A source account: its feeds by health, and how long its shortest subscription holds."""

    platform: str
    feeds: dict[Health, int]
    subscription_ends_at: AwareDatetime | None


class StatusView(Answer):
    """Counts for dashboards."""

    people: dict[str, int] = Field(
        description="Under each head; exact up to a thousand, above that of some minutes ago"
    )
    queues: dict[str, int] = Field(description="Messages, also those that wait for their time")
    poison: dict[str, int] = Field(description="Messages that failed for good and are not recorded yet")
    sources: dict[str, AccountStatus]


async def status(ports: Ports) -> StatusView:
    """Return the counts."""
    people, depths, sources = await asyncio.gather(count_people(ports), ports.queues.depths(), _accounts(ports))
    return StatusView(
        people=people.people,
        queues={queue.value: depths[queue.value] for queue in Queue},
        poison={queue.value: depths[f"{queue}-poison"] for queue in Queue},
        sources=sources,
    )


async def _accounts(ports: Ports) -> dict[str, AccountStatus]:
    found = {}
    for connection in ports.connections.values():
        every = RULES[connection.platform].poll_every
        feeds = [feed async for feed in ports.feeds.read(connection.id)]
        ends = [one.subscription.expires_at for one in feeds if one.subscription and one.subscription.expires_at]
        found[connection.id] = AccountStatus(
            platform=connection.platform.value,
            feeds=dict(Counter(feed.health(ports.clock.now(), every, ports.timing.busy) for feed in feeds)),
            subscription_ends_at=min(ends, default=None),
        )
    return found


async def measure(ports: Ports) -> None:
    """Tell operators what stands where; count the long lists to their end, also for the administrators' page."""
    now = ports.clock.now()
    people = {}
    for view in View:
        people[view.value], oldest = await _count(ports, view)
        telemetry.waiting(view.value, people[view.value], now - oldest if oldest else None)
    long = {name: number for name, number in people.items() if number >= COUNTED}
    if long:
        await ports.marks.set(COUNTS, json.dumps({"at": now.isoformat(), "people": long}))
    for queue, messages in (await ports.queues.depths()).items():
        telemetry.queued(queue, messages)
    for name, account in (await _accounts(ports)).items():
        for health in Health:
            telemetry.feeds(account.platform, name, health.value, account.feeds.get(health, 0))
        if account.subscription_ends_at is not None:
            telemetry.subscription(account.platform, name, account.subscription_ends_at - now)


async def _count(ports: Ports, view: View) -> tuple[int, datetime | None]:
    number, oldest = 0, None
    async for entry in ports.worklist.read(view.value):
        number, oldest = number + 1, min(oldest or entry.at, entry.at)
    return number, oldest


async def dependencies(ports: Ports, patience: timedelta) -> dict[str, bool]:
    """Tell which of the things that it needs answer within `patience`; why one does not is in the log."""

    async def answers(name: str, call: asyncio.Future[object]) -> bool:
        try:
            await asyncio.wait_for(call, patience.total_seconds())
        except Exception as trouble:
            log.warning("dependency does not answer", extra={"dependency": name, "reason": type(trouble).__name__})
            return False
        return True

    calls = {
        "tables": ports.marks.get(COUNTS),
        "queues": ports.queues.depths(),
        "graph": ports.directory.find(_NOBODY),
    }
    found = await asyncio.gather(*(answers(name, asyncio.ensure_future(call)) for name, call in calls.items()))
    return dict(zip(calls, found, strict=True))
