"""Work that the budget of sharing calls cuts goes on later, and nothing is left over."""

from datetime import datetime, timedelta

import pytest

from shared.domain.addresses import guest_key
from shared.domain.decision import explain
from shared.domain.events import Change
from shared.domain.reasons import Reason
from tests.workflows.world import ITEMS, World, event

GUEST = "guest@partner.example"
BENEATH = ("/a/b", "/a/x", "/a/y", "/a/y/z")


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """A folder with four items beneath where other people's permissions have ended inheritance."""
    for path in BENEATH:
        monkeypatch.setitem(ITEMS, path, f"item{path}")
    world = World(calls=5)
    for number, path in enumerate(BENEATH):
        other = f"other{number}@partner.example"
        await world.tenant.invite(other, None, mail=False)
        world.tenant.accept(other)
        await world.handle(event(f"o{number}", 1, who=other, path=path))
    await world.tenant.invite(GUEST, None, mail=False)
    world.tenant.accept(GUEST)
    await world.drain()
    return world


def reached(world: World) -> set[str]:
    return {path for who, path in world.access() if who == GUEST}


async def reason(world: World) -> Reason:
    book = await world.ledger.read(guest_key(GUEST), None)
    (share,) = book.shares.values()
    assert not book.grants or explain(share, book.guest) is Reason.GRANTED
    return explain(share, book.guest)


async def test_a_gift_and_its_removal_reach_everything_beneath_however_often_they_are_cut(world: World) -> None:
    await world.handle(event("e1", 1))
    await world.drain()
    assert reached(world) == {"/a", *BENEATH}
    assert await reason(world) is Reason.GRANTED
    await world.handle(event("e2", 2, Change.LOST))
    while (waiting := world.take()) is not None:
        await world.handle(waiting.body, waiting.attempt)
        book = await world.ledger.read(guest_key(GUEST), None)
        (share,) = book.shares.values()
        done = explain(share, book.guest) is Reason.REMOVED_AT_SOURCE
        assert done is (not reached(world)), "taken back only when nothing is left"
    assert reached(world) == set()
    assert await reason(world) is Reason.REMOVED_AT_SOURCE


async def test_no_more_calls_are_made_than_the_budget_allows(world: World) -> None:
    started, before = world.clock.now(), world.tenant.sharing_calls
    await world.handle(event("e1", 1))
    await world.drain()
    assert world.tenant.sharing_calls - before == 1 + len(BENEATH)
    assert (world.clock.now() - started).total_seconds() >= 300, "the second half had to wait for its time"


async def test_a_slot_further_ahead_than_a_queue_hides_a_message_is_waited_for() -> None:
    """Work that comes out of the queue after seven days, before its slot, goes back instead of going over the limit."""
    world = World()
    await world.tenant.invite(GUEST, None, mail=False)
    world.tenant.accept(GUEST)
    slot = world.clock.now() + timedelta(days=20)
    world.pacer.slots.append(slot)
    await world.handle(event("e1", 1))
    given: dict[datetime, bool] = {}
    while (waiting := world.take()) is not None:
        await world.handle(waiting.body, waiting.attempt)
        given[world.clock.now()] = "/a" in reached(world)
    assert len(given) > 3
    assert {at: is_given for at, is_given in given.items() if is_given is (at < slot)} == {}
