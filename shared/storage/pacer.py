"""The pacer: time slots for sharing calls, handed out to all workers from one row."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import TYPE_CHECKING

from azure.data.tables.aio import TableClient

from shared import telemetry
from shared.domain.trouble import ConflictError
from shared.storage.rows import find, swap

if TYPE_CHECKING:
    from shared.workflows.ports import Clock

_SECOND = timedelta(seconds=1)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class Budget:
    """At most `limit` calls in any window of `period`, of which `burst` may come at once (GCRA, a token bucket).

    All that is to be remembered is the horizon, the time when the whole burst is free again. A call moves it on by
    `interval`, and no slot lies more than `burst` intervals before the horizon that its own calls make:

        slot    = max(now, horizon + calls * interval - burst * interval)
        horizon = max(horizon, slot) + calls * interval

    Take any window, its first reservation at slot a and its last at slot b. After them the horizon is at least
    a + (calls in the window) * interval, and at most b + burst * interval. So the window holds at most
    burst + (b - a) / interval <= burst + period / interval calls, and `interval = period / (limit - burst)` makes
    that `limit`. Nothing is assumed about the workers' clocks: a wrong one only makes somebody wait.

    Slots lie whole seconds from now, since a queue counts its visibility delay in seconds; rounding up afterwards
    could press two slots together. The promise is about slots: work that is done late can meet later work.
    """

    limit: int
    period: timedelta
    burst: int

    def __post_init__(self) -> None:
        """Raise ValueError unless 1 <= burst < limit."""
        if not 1 <= self.burst < self.limit:
            raise ValueError("burst must be at least 1 and below limit")

    @property
    def interval(self) -> timedelta:
        """The time in which one call of the burst becomes free again."""
        return ceil(self.period / _MICROSECOND / (self.limit - self.burst)) * _MICROSECOND

    def reserve(self, calls: int, now: datetime, horizon: datetime) -> tuple[timedelta, datetime]:
        """Return how long to wait for that many calls, in whole seconds, and the new horizon.

        Raises ValueError for less than one call or more than `burst`.
        """
        if not 1 <= calls <= self.burst:
            raise ValueError(f"between 1 and {self.burst} calls can be reserved at once")
        earliest = horizon + (calls - self.burst) * self.interval
        wait = max(0, ceil((earliest - now) / _SECOND)) * _SECOND
        return wait, max(horizon, now + wait) + calls * self.interval


class TablePacer:
    """Hands out the slots of one budget. The horizon is one row, changed by compare and swap."""

    def __init__(
        self, table: TableClient, limit: int, period: timedelta, burst: int, clock: "Clock", name: str = "sharing"
    ) -> None:
        """Pace to `limit` calls per `period`, of which `burst` may come at once; each `name` is a budget of its own.

        Raises ValueError, see Budget.
        """
        self._table, self._budget, self._clock, self._name = table, Budget(limit, period, burst), clock, name
        self._lock = asyncio.Lock()  # calls of one worker do not compete for the row with each other

    async def delay(self, calls: int) -> timedelta:
        """Reserve that many calls and return how long to wait for them, in whole seconds; zero means now.

        Raises ValueError for less than one call or more than `burst`.
        """
        async with self._lock:
            while True:
                try:
                    return await self._reserve(calls)
                except ConflictError:
                    continue

    async def _reserve(self, calls: int) -> timedelta:
        row = await find(self._table, "pacer", self._name)
        now = self._clock.now().astimezone(UTC)
        horizon = datetime.fromisoformat(row["horizon"]) if row is not None else now
        wait, horizon = self._budget.reserve(calls, now, horizon)
        reserved = {"PartitionKey": "pacer", "RowKey": self._name, "horizon": horizon.isoformat()}
        await swap(self._table, reserved, row.metadata["etag"] if row is not None else None)
        telemetry.reserved(self._name, (horizon - now) / (self._budget.burst * self._budget.interval))
        return wait
