"""What failed for good is recorded where an administrator sees it, and can be started again; nothing is lost."""

from datetime import UTC, datetime
from typing import Any

import pytest

from shared.domain.addresses import guest_key
from shared.domain.decision import explain
from shared.domain.events import Change
from shared.domain.guests import GuestState
from shared.domain.maps import Mapped
from shared.domain.messages import DeliveryMessage, GrantMessage, InvitationMessage, Message, MoveMessage, Queue
from shared.domain.platforms import Role
from shared.domain.reasons import Reason
from shared.domain.trouble import LaterError
from shared.workflows.approvals import retry
from shared.workflows.reconciliation import put_off, record_failure, repair
from tests.workflows.world import World, event

GUEST = "guest@partner.example"
KEY = guest_key(GUEST)


async def reasons(world: World) -> list[Reason]:
    book = await world.ledger.read(KEY, None)
    return [explain(share, book.guest) for share in book.shares.values()]


async def history(world: World, partition: str = KEY) -> list[Reason | None]:
    return [record.reason async for record in world.history.read(partition)]


async def test_a_share_event_that_could_not_be_decided_is_on_its_share() -> None:
    world = World()
    await record_failure(world.ports, Queue.SHARE_EVENTS, event("e1", 1), "text")
    assert await reasons(world) == [Reason.PROCESSING_FAILED]
    assert Reason.PROCESSING_FAILED in await history(world)
    await world.handle(event("e2", 2))  # the source speaks again: it is decided now
    assert await reasons(world) == [Reason.APPROVAL]


async def test_an_invitation_that_could_not_be_made_needs_attention_and_can_be_started_again() -> None:
    world = World()
    await world.handle(event("e1", 1, preapproved=True))
    world.queues.waiting.clear()
    await record_failure(world.ports, Queue.INVITATIONS, InvitationMessage(guest=KEY), "text")
    assert await reasons(world) == [Reason.PROCESSING_FAILED]
    assert (await retry(world.ports, KEY, "admin")).state is GuestState.APPROVED
    await world.drain()
    assert await reasons(world) == [Reason.ACCEPTANCE]
    assert world.tenant.mails == [GUEST]


async def test_access_that_could_not_be_settled_needs_attention_and_can_be_started_again() -> None:
    world = World()
    await world.handle(event("e1", 1, preapproved=True))
    await world.drain()
    world.tenant.accept(GUEST)
    await world.settle()
    await world.handle(event("e2", 2, Change.KEPT, role="Modify"))
    world.queues.waiting.clear()
    await record_failure(world.ports, Queue.GRANTS, GrantMessage(guest=KEY), "text")
    assert await reasons(world) == [Reason.PROCESSING_FAILED]
    await retry(world.ports, KEY, "admin")
    await world.drain()
    assert await reasons(world) == [Reason.GRANTED]
    assert world.access()[GUEST, "/a"] is Role.WRITE


async def test_a_removal_that_failed_for_good_still_says_that_the_access_is_there() -> None:
    world = World()
    await world.handle(event("e1", 1, preapproved=True))
    await world.drain()
    world.tenant.accept(GUEST)
    await world.settle()
    await world.handle(event("e2", 2, Change.LOST))
    world.queues.waiting.clear()
    await record_failure(world.ports, Queue.GRANTS, GrantMessage(guest=KEY), "text")
    assert await reasons(world) == [Reason.PROCESSING_FAILED]
    await retry(world.ports, KEY, "admin")
    await world.drain()
    assert await reasons(world) == [Reason.REMOVED_AT_SOURCE]
    assert world.access() == {}


@pytest.mark.parametrize(
    ("message", "partition"),
    [
        (DeliveryMessage(connection="files", id="d1", received_at=datetime.now(UTC), body="{}"), "connection:files"),
        (None, "queue:deliveries"),
    ],
)
async def test_what_cannot_even_be_read_is_listed(message: Message | None, partition: str) -> None:
    world = World()
    await record_failure(world.ports, Queue.DELIVERIES, message, "text with guest@partner.example")
    listed = [entry async for entry in world.worklist.read("unreadable")]
    assert [entry.guest for entry in listed] == [partition]
    assert "partner.example" not in (listed[0].note or "")
    assert len(await history(world, partition)) == 1


async def test_an_event_that_comes_late_is_recorded_as_superseded_once() -> None:
    world = World()
    await world.handle(event("e2", 2, role="Modify"))
    for _ in range(3):
        await world.handle(event("e1", 1))
    assert await reasons(world) == [Reason.APPROVAL]
    assert sorted(str(reason) for reason in await history(world)) == [Reason.SUPERSEDED, Reason.APPROVAL]


async def test_a_message_that_is_put_off_counts_and_waits_longer_each_time() -> None:
    world = World()
    waits: list[Any] = []
    for attempt in range(4):
        await put_off(world.ports, Queue.GRANTS, GrantMessage(guest=KEY), attempt, LaterError(Reason.GRAPH))
        waiting = world.queues.waiting.pop()
        assert waiting.attempt == attempt + 1
        waits.append(waiting.visible_at - world.clock.now())
    assert waits == sorted(set(waits))
    asked = waits[-1] * 3
    await put_off(world.ports, Queue.GRANTS, GrantMessage(guest=KEY), 0, LaterError(Reason.GRAPH, asked))
    assert world.queues.waiting.pop().visible_at - world.clock.now() == asked


async def test_a_move_that_failed_is_recorded_and_begun_again_by_the_reconciler() -> None:
    world = World()
    message = MoveMessage(connection="files", source=GUEST)
    await record_failure(world.ports, Queue.MOVES, message, "text")
    assert await history(world, "connection:files") == [Reason.PROCESSING_FAILED]
    entry = Mapped(connection="files", source=GUEST, destination="new@partner.example", moving_from=("p",))
    await world.ports.account_maps.put(entry)
    await repair(world.ports)
    assert [waiting.body for waiting in world.queues.waiting] == [message]
