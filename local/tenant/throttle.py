"""The published budgets, as sliding windows in which a rejected call counts too."""

import math
from collections import deque

from local.tenant.errors import throttled
from local.tenant.state import Clock, Settings


class Budget:
    """At most `limit` units within any `window` seconds."""

    def __init__(self, clock: Clock, limit: int, window: float, *, sharepoint: bool = True) -> None:
        self._clock = clock
        self.limit = limit
        self._window = window
        self._sharepoint = sharepoint
        self._spent: deque[tuple[float, int]] = deque()
        self._used = 0

    def spend(self, units: int) -> None:
        """Charge units; raises GraphError 429 when the window does not hold them, and charges them all the same."""
        now = self._clock.now()
        self._forget(now)
        self._spent.append((now, units))
        self._used += units
        if self._used > self.limit:
            raise throttled(self._seconds_until_room(now), sharepoint=self._sharepoint)

    def headers(self) -> dict[str, str]:
        """RateLimit-* headers, which SharePoint sends from 80 % use on."""
        now = self._clock.now()
        self._forget(now)
        if self._used < 0.8 * self.limit:
            return {}
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(max(0, self.limit - self._used)),
            "RateLimit-Reset": str(math.ceil(self._spent[-1][0] + self._window - now)) if self._spent else "0",
        }

    @property
    def use(self) -> float:
        """The used share of the budget."""
        return self._used / max(1, self.limit)

    def _forget(self, now: float) -> None:
        while self._spent and self._spent[0][0] <= now - self._window:
            self._used -= self._spent.popleft()[1]

    def _seconds_until_room(self, now: float) -> float:
        """Seconds until enough has left the window for the newest charge to fit once more."""
        excess = self._used + self._spent[-1][1] - self.limit
        for moment, units in self._spent:
            excess -= units
            if excess <= 0:
                return moment + self._window - now
        return self._window


class Throttle:
    """The tenant's budgets, counted per app and tenant (there is one app here)."""

    def __init__(self, clock: Clock, settings: Settings) -> None:
        self.sharing = Budget(clock, settings.sharing_calls_per_5_minutes, 300)
        self.units = Budget(clock, settings.resource_units_per_minute, 60)
        self.invitations = Budget(clock, settings.invitations_per_5_seconds, 5, sharepoint=False)
        self.mails = Budget(clock, settings.sharing_mails_per_hour, 3_600)

    def apply(self, settings: Settings) -> None:
        """Take over changed limits without forgetting what was spent."""
        self.sharing.limit = settings.sharing_calls_per_5_minutes
        self.units.limit = settings.resource_units_per_minute
        self.invitations.limit = settings.invitations_per_5_seconds
        self.mails.limit = settings.sharing_mails_per_hour

    def sharepoint_headers(self) -> dict[str, str]:
        """RateLimit-* of the budget that is nearest to its end."""
        return max(self.sharing, self.units, key=lambda budget: budget.use).headers()
