"""The pacer never lets more calls into any window than the budget has."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.storage.account import StorageAccount
from shared.storage.pacer import Budget, TablePacer
from shared.workflows.ports import Pacer
from tests.memory import MemoryClock, MemoryPacer
from tests.storage.worlds import NOON

SECOND = timedelta(seconds=1)
PERIOD = timedelta(minutes=5)

type Make = Callable[[int, timedelta, int, MemoryClock], Pacer]


@pytest.fixture(params=["memory", "azurite"])
async def make(request: pytest.FixtureRequest, account: StorageAccount) -> Make:
    """Return a maker of pacers; those of one maker share one budget's row."""
    if request.param == "memory":
        return lambda limit, period, burst, clock: MemoryPacer(limit, period, clock)
    table = await account.tables.create_table(f"pacer{uuid4().hex}")
    return lambda limit, period, burst, clock: TablePacer(table, limit, period, burst, clock)


def most_in_a_window(slots: Sequence[tuple[datetime, int]], period: timedelta) -> int:
    """Return the largest number of calls in a window of `period`; the fullest window begins at a slot."""
    return max(sum(calls for at, calls in slots if start <= at < start + period) for start, _ in slots)


@given(
    limit=st.integers(2, 60),
    data=st.data(),
    period=(st.integers(1, 4) | st.integers(1, 600)).map(lambda seconds: seconds * SECOND),
)
def test_no_window_of_a_budget_ever_holds_more(limit: int, period: timedelta, data: st.DataObject) -> None:
    budget = Budget(limit, period, burst=data.draw(st.integers(1, limit - 1)))
    passing = st.just(0.0) | st.floats(0, 1) | st.floats(-30, 90)  # the workers' clocks may differ
    pattern = st.tuples(st.integers(1, budget.burst), passing)
    now, horizon, slots = NOON, NOON, []
    for calls, passed in data.draw(st.lists(pattern, min_size=1, max_size=80)):
        now += timedelta(seconds=passed)
        wait, horizon = budget.reserve(calls, now, horizon)
        assert wait >= timedelta(0)
        assert wait % SECOND == timedelta(0)
        slots.append((now + wait, calls))
    assert most_in_a_window(slots, period) <= limit


@given(limit=st.integers(1, 60), data=st.data())
def test_no_window_of_the_one_in_memory_ever_holds_more(limit: int, data: st.DataObject) -> None:
    async def reserve_all() -> list[tuple[datetime, int]]:
        clock, slots = MemoryClock(NOON), []
        pacer = MemoryPacer(limit, PERIOD, clock)
        for calls, passed in data.draw(st.lists(st.tuples(st.integers(1, limit), st.floats(0, 90)), min_size=1)):
            clock.advance(timedelta(seconds=passed))
            slots.append((clock.now() + await pacer.delay(calls), calls))
        return slots

    assert most_in_a_window(asyncio.run(reserve_all()), PERIOD) <= limit


def test_a_budget_is_used_and_not_only_kept() -> None:
    budget, horizon, slots = Budget(limit=270, period=PERIOD, burst=20), NOON, []
    for _ in range(1_000):
        wait, horizon = budget.reserve(1, NOON, horizon)
        slots.append(NOON + wait)
    assert slots.count(NOON) >= 20
    assert slots[-1] - NOON <= PERIOD * 1_000 / 250
    assert most_in_a_window([(slot, 1) for slot in slots], PERIOD) >= 250


def test_a_budget_that_was_left_alone_is_whole_again() -> None:
    budget = Budget(limit=30, period=PERIOD, burst=10)
    wait, horizon = budget.reserve(10, NOON, NOON)
    assert wait == timedelta(0)
    assert budget.reserve(1, NOON, horizon)[0] > timedelta(0)
    assert budget.reserve(10, horizon, horizon)[0] == timedelta(0)


@pytest.mark.parametrize("burst", [0, 10, 11])
def test_a_burst_that_leaves_nothing_is_refused(burst: int) -> None:
    with pytest.raises(ValueError, match="burst"):
        Budget(limit=10, period=PERIOD, burst=burst)


async def test_more_at_once_than_can_be_is_refused(make: Make) -> None:
    pacer = make(10, PERIOD, 9, MemoryClock(NOON))
    for calls in (0, -1, 11):
        with pytest.raises(ValueError, match="at once"):
            await pacer.delay(calls)


async def test_calls_wait_when_the_budget_is_used_up(make: Make) -> None:
    clock = MemoryClock(NOON)
    pacer, slots = make(6, PERIOD, 3, clock), []
    for calls in (3, 1, 2, 3, 1, 3, 2):
        slots.append((clock.now() + await pacer.delay(calls), calls))
        clock.advance(7 * SECOND)
    assert slots[0][0] == NOON
    assert slots[-1][0] > clock.now()
    assert most_in_a_window(slots, PERIOD) <= 6


async def test_workers_that_reserve_at_the_same_time_do_not_share_a_slot(make: Make) -> None:
    clock = MemoryClock(NOON)
    first = make(4, PERIOD, 2, clock)
    workers = [first, first] if isinstance(first, MemoryPacer) else [first, make(4, PERIOD, 2, clock)]
    waits = await asyncio.gather(*(workers[n % 2].delay(1) for n in range(7)))
    assert most_in_a_window([(NOON + wait, 1) for wait in waits], PERIOD) <= 4
    assert max(waits) >= PERIOD, "seven calls do not fit into one period of four"
