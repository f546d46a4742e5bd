"""What only the ports in memory have: the hook, the clock, and queues that can be looked into."""

from datetime import timedelta

import pytest

from shared.domain.ledger import Book, Changes
from shared.domain.messages import InvitationMessage, Queue
from shared.workflows.ports import Queues
from tests.memory import MemoryClock, MemoryLedger, MemoryMarks, MemoryQueues, Waiting
from tests.storage.worlds import NOON, guest


class Crash(Exception):  # noqa: N818 - not an error of ours
    """The worker ends here."""


async def test_an_operation_that_is_stopped_has_no_effect() -> None:
    seen: list[str] = []

    async def crash(name: str) -> None:
        seen.append(name)
        raise Crash

    ledger, marks = MemoryLedger(crash), MemoryMarks(crash)
    with pytest.raises(Crash):
        await ledger.commit(Book(guest("k")), Changes(guest("k")))
    with pytest.raises(Crash):
        await marks.set("m", "v")
    assert seen == ["ledger.commit", "marks.set"]
    assert (ledger.partitions, marks.values) == ({}, {})


async def test_messages_wait_in_the_order_of_sending_with_their_time() -> None:
    clock = MemoryClock(NOON)
    memory = MemoryQueues(clock)
    queues: Queues = memory
    delays = [timedelta(0), timedelta(seconds=5), timedelta(days=400), timedelta(seconds=-5)]
    for number, delay in enumerate(delays):
        await queues.send(Queue.INVITATIONS, InvitationMessage(guest=f"g{number}"), delay=delay, attempt=number)
        clock.advance(timedelta(seconds=1))
    start = [NOON + timedelta(seconds=number) for number in range(4)]
    assert [(each.body, each.attempt, each.visible_at) for each in memory.waiting] == [
        (InvitationMessage(guest="g0"), 0, start[0]),
        (InvitationMessage(guest="g1"), 1, start[1] + timedelta(seconds=5)),
        (InvitationMessage(guest="g2"), 2, start[2] + timedelta(days=7)),
        (InvitationMessage(guest="g3"), 3, start[3]),
    ]
    assert all(isinstance(each, Waiting) and each.queue is Queue.INVITATIONS for each in memory.waiting)
