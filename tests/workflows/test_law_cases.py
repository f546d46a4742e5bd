"""Single cases of the laws that were found by trying to break them; each stood against the code once."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.addresses import guest_key
from shared.domain.connections import Policy
from shared.domain.decision import explain
from shared.domain.events import Change, ShareEvent
from shared.domain.guests import GuestState
from shared.domain.messages import InvitationMessage, Queue
from shared.domain.platforms import Role
from shared.domain.reasons import Reason
from shared.domain.trouble import LaterError, RefusedError
from shared.workflows.approvals import retry
from shared.workflows.reconciliation import record_failure
from tests.workflows.world import ITEMS, World, event

GUEST = "guest@partner.example"
KEY = guest_key(GUEST)


async def ready(*events: ShareEvent, calls: int = 300) -> World:
    """A usable guest who has what the events give."""
    world = World(calls=calls)
    await world.tenant.invite(GUEST, None, mail=False)
    world.tenant.accept(GUEST)
    for one in events or (event("e1", 1),):
        await world.handle(one)
    await world.drain()
    return world


async def reasons(world: World) -> set[Reason]:
    book = await world.ledger.read(KEY, None)
    return {explain(share, book.guest) for share in book.shares.values()}


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Many items beneath a folder."""
    paths = [f"/a/n{number}" for number in range(50)]
    for path in paths:
        monkeypatch.setitem(ITEMS, path, f"item{path}")
    return paths


async def test_many_shares_beneath_a_folder_outlive_it(many: list[str]) -> None:
    world = await ready(event("e1", 1), *(event(f"n{path}", 2, path=path) for path in many))
    await world.handle(event("e2", 3, Change.LOST))
    await world.drain()
    await world.repair()
    assert {path for who, path in world.access() if who == GUEST} == set(many)
    assert await reasons(world) == {Reason.GRANTED, Reason.REMOVED_AT_SOURCE}


async def test_a_removal_that_is_refused_does_not_go_round_in_circles(many: list[str]) -> None:
    world = await ready(event("e1", 1), *(event(f"n{path}", 2, path=path) for path in many))

    async def refuse(*_: object) -> None:
        raise RefusedError(Reason.SHARING_DISABLED)

    world.tenant.remove = refuse  # type: ignore[method-assign,assignment]
    await world.handle(event("e2", 3, Change.LOST))
    for _ in range(100):
        if (waiting := world.take()) is None:
            break
        await world.handle(waiting.body, waiting.attempt)
    assert not world.queues.waiting


@asynccontextmanager
async def policy(world: World, **changes: object) -> AsyncIterator[None]:
    """The policy is changed in the connections file."""
    connection = world.ports.connections["files"]
    changed = connection.model_copy(update={"policy": Policy.model_validate(changes)})
    world.ports = replace(world.ports, connections={"files": changed})
    yield
    await world.repair()
    await world.repair()


async def test_a_domain_that_is_denied_later_loses_its_access() -> None:
    world = await ready()
    async with policy(world, denied_domains=("partner.example",)):
        pass
    assert world.access() == {}
    assert await reasons(world) == {Reason.DOMAIN_DENIED}
    async with policy(world):
        pass
    assert world.access()[GUEST, "/a"] is Role.READ


@pytest.mark.parametrize("change", [Change.GIVEN, Change.LOST])
async def test_an_event_that_failed_for_good_is_taken_up_by_the_reconciler(change: Change) -> None:
    world = await ready()
    await record_failure(world.ports, Queue.SHARE_EVENTS, event("e2", 2, change, role="Modify"), "text")
    await world.repair()
    wanted = {} if change is Change.LOST else {(GUEST, "/a"): Role.WRITE, (GUEST, "/a/b"): Role.WRITE}
    assert world.access() == wanted


async def test_an_invitation_whose_answer_could_not_be_kept_is_not_mailed_again() -> None:
    world = World()
    await world.handle(event("e1", 1, preapproved=True))
    kept = world.tenant.invite

    async def lose(address: str, name: str | None, *, mail: bool, language: str) -> object:
        await kept(address, name, mail=mail, language=language)
        raise LaterError(Reason.GRAPH)

    world.tenant.invite = lose  # type: ignore[method-assign,assignment]
    await world.handle(world.queues.waiting.pop(0).body)
    world.queues.waiting.clear()
    await record_failure(world.ports, Queue.INVITATIONS, InvitationMessage(guest=KEY), "text")
    world.tenant.invite = kept  # type: ignore[method-assign]
    await retry(world.ports, KEY, "admin")
    world.clock.advance(timedelta(hours=1))
    await world.drain()
    assert (await world.ledger.read(KEY, [])).guest.state is GuestState.INVITED
    assert world.tenant.mails == [GUEST]


async def test_an_item_that_was_renamed_keeps_its_access(monkeypatch: pytest.MonkeyPatch) -> None:
    world = await ready()
    monkeypatch.setitem(ITEMS, "/z", ITEMS["/a"])
    moved = event("e2", 2, Change.KEPT)
    assert moved.item is not None
    await world.handle(moved.model_copy(update={"item": moved.item.model_copy(update={"path": "/z"})}))
    await world.drain()
    await world.repair()
    assert world.access()[GUEST, "/a"] is Role.READ
    book = await world.ledger.read(KEY, None)
    assert [grant.place.path for grant in book.grants.values()] == ["/z"]


async def test_after_a_refusal_what_others_give_stays_theirs() -> None:
    world = World()
    await world.tenant.invite(GUEST, None, mail=False)
    world.tenant.accept(GUEST)
    kept = world.tenant.grant

    async def refuse(*_: object) -> None:
        raise RefusedError(Reason.SHARING_DISABLED)

    world.tenant.grant = refuse  # type: ignore[method-assign,assignment]
    await world.handle(event("e1", 1))
    await world.drain()
    assert await reasons(world) == {Reason.SHARING_DISABLED}
    world.tenant.grant = kept  # type: ignore[method-assign]
    await kept("library", ITEMS["/a"], f"id-{GUEST}", Role.WRITE)  # an administrator, by hand
    await world.repair()
    await world.handle(event("e2", 2, Change.LOST))
    await world.drain()
    await world.repair()
    assert world.access()[GUEST, "/a"] is Role.WRITE


async def test_access_that_others_gave_and_took_is_given_within_a_day() -> None:
    world = await ready(event("other", 1, path="/c"))
    await world.tenant.grant("library", ITEMS["/a"], f"id-{GUEST}", Role.READ)
    await world.handle(event("e1", 2))
    await world.drain()
    assert Reason.ALREADY_HAD_ACCESS in await reasons(world)
    world.tenant.own["/a"].clear()
    world.clock.advance(timedelta(days=2))
    await world.repair()
    assert world.access()[GUEST, "/a"] is Role.READ


async def test_expiry_counts_also_when_the_connection_is_gone() -> None:
    world = await ready(event("e1", 1, expires=60 * 24 * 5))
    world.ports = replace(world.ports, connections={})
    world.clock.advance(timedelta(days=10))
    await world.settle()
    assert world.access() == {}


async def test_a_claim_that_gives_nothing_does_not_open_the_gate() -> None:
    world = World()
    await world.handle(event("e1", 1, role="Emperor", preapproved=True, reference="r1"))
    await world.handle(event("e2", 2, reference="r2"))
    await world.drain()
    assert await reasons(world) == {Reason.APPROVAL}
    assert world.tenant.mails == []


async def test_more_failed_shares_than_one_transaction_holds_are_started_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    paths = [f"/m{number}" for number in range(120)]
    for path in paths:
        monkeypatch.setitem(ITEMS, path, f"item{path}")
    world = World()
    await world.tenant.invite(GUEST, None, mail=False)
    world.tenant.accept(GUEST)
    kept = world.tenant.grant

    async def refuse(*_: object) -> None:
        raise RefusedError(Reason.SHARING_DISABLED)

    world.tenant.grant = refuse  # type: ignore[method-assign,assignment]
    for path in paths:
        await world.handle(event(f"e{path}", 1, path=path))
    await world.drain()
    assert await reasons(world) == {Reason.SHARING_DISABLED}
    world.tenant.grant = kept  # type: ignore[method-assign]
    await retry(world.ports, KEY, "admin")
    await world.drain()
    assert await reasons(world) == {Reason.GRANTED}
