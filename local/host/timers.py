"""NCRONTAB schedules and the timers that run functions by them."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

MONTHS = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]
WEEKDAYS = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"]

# 29 February on a given weekday comes again after at most 40 years (over the year 2100).
_HORIZON = timedelta(days=41 * 366)


class ScheduleError(ValueError):
    """The text is no NCRONTAB expression of six fields, or names no moment that ever comes."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """An NCRONTAB expression {second} {minute} {hour} {day} {month} {day-of-week}, in UTC, as NCrontab 3 reads it.

    Unlike in Unix cron, day and day-of-week must both match, a reversed range is read forwards (5-2 is 2-5), Sunday is
    0 only, and names may be shortened to any prefix.
    """

    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...]
    months: tuple[int, ...]
    weekdays: tuple[int, ...]

    @classmethod
    def parse(cls, expression: str) -> "Schedule":
        """Raises ScheduleError."""
        if re.fullmatch(r"(\d+\.)?\d+:\d+(:\d+)?", expression):
            raise ScheduleError(
                f"'{expression}' is a time span, which only an App Service plan runs; "
                "Consumption and Flex Consumption need an NCRONTAB expression of six fields"
            )
        texts = expression.split()
        if len(texts) != 6:
            raise ScheduleError(
                f"'{expression}' has {len(texts)} fields, not six: second minute hour day month day-of-week"
            )
        schedule = cls(
            _field(texts[0], range(60)),
            _field(texts[1], range(60)),
            _field(texts[2], range(24)),
            _field(texts[3], range(1, 32)),
            _field(texts[4], range(1, 13), MONTHS),
            _field(texts[5], range(7), WEEKDAYS),
        )
        schedule.next_after(datetime(2000, 1, 1, tzinfo=UTC))
        return schedule

    def next_after(self, moment: datetime) -> datetime:
        """The first occurrence strictly after a moment (aware, UTC).

        Raises:
            ScheduleError: there is none, as on 30 February.
        """
        earliest = (moment + timedelta(seconds=1)).replace(microsecond=0)
        day, floor = earliest.date(), (earliest.hour, earliest.minute, earliest.second)
        for offset in range(_HORIZON.days):
            candidate = day + timedelta(days=offset)
            if self._on(candidate) and (at := self._time_from(floor if offset == 0 else (0, 0, 0))):
                return datetime.combine(candidate, at, UTC)
        raise ScheduleError("the schedule names a date that never comes")

    def _on(self, day: date) -> bool:
        return day.month in self.months and day.day in self.days and day.isoweekday() % 7 in self.weekdays

    def _time_from(self, floor: tuple[int, int, int]) -> time | None:
        for hour in self.hours:
            if hour < floor[0]:
                continue
            for minute in self.minutes:
                if (hour, minute) < floor[:2]:
                    continue
                for second in self.seconds:
                    if (hour, minute, second) >= floor:
                        return time(hour, minute, second)
        return None


def _field(text: str, allowed: range, names: list[str] | None = None) -> tuple[int, ...]:
    values: set[int] = set()
    for item in text.split(","):
        values.update(_item(item, allowed, names or []))
    return tuple(sorted(values))


def _item(text: str, allowed: range, names: list[str]) -> Iterable[int]:
    span, slash, step_text = text.partition("/")
    if slash and (not step_text.isdecimal() or step_text == "0"):
        raise ScheduleError(f"'{text}' has no step: a whole number above 0 after the slash")
    step = int(step_text) if slash else 1
    if span == "*":
        return allowed[::step]
    first_text, dash, last_text = span.partition("-")
    first = _value(first_text, allowed, names)
    if dash:
        first, last = sorted((first, _value(last_text, allowed, names)))
    else:
        last = allowed[-1] if slash else first
    return range(first, last + 1, step)


def _value(text: str, allowed: range, names: list[str]) -> int:
    if text.isdecimal() and int(text) in allowed:
        return int(text)
    if text.isalpha():
        for number, name in enumerate(names, start=allowed[0]):
            if name.startswith(text.lower()):
                return number
    raise ScheduleError(f"'{text}' is not a value from {allowed[0]} to {allowed[-1]}")


class Timer:
    """Runs a function at the occurrences of a schedule; occurrences that pass while it runs are left out.

    Args:
        fire: runs the function with a TimerRequest as JSON, the shape that azure.functions decodes.
    """

    def __init__(self, schedule: Schedule, run_on_startup: bool, fire: Callable[[str], Awaitable[object]]) -> None:
        self._schedule = schedule
        self._run_on_startup = run_on_startup
        self._fire = fire
        self._last: datetime | None = None
        self._running = asyncio.Lock()

    async def run(self) -> None:
        """Until cancelled."""
        if self._run_on_startup:
            await self.fire()
        due = datetime.now(UTC)
        while True:
            # The clock may stand a little before the moment that the sleep was for: never find that moment again.
            due = self._schedule.next_after(max(due, datetime.now(UTC)))
            await asyncio.sleep((due - datetime.now(UTC)).total_seconds())
            await self.fire()

    async def fire(self) -> None:
        """Run the function now, after the run that may be under way."""
        async with self._running:
            now = datetime.now(UTC)
            last = (self._last or datetime(1, 1, 1, tzinfo=UTC)).isoformat()
            status = {"Last": last, "LastUpdated": last, "Next": self._schedule.next_after(now).isoformat()}
            self._last = now
            await self._fire(
                json.dumps({"Schedule": {"AdjustForDST": True}, "ScheduleStatus": status, "IsPastDue": False})
            )
