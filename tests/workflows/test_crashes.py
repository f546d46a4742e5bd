"""Law 7: a crash after any single effect of any workflow is repaired by redelivery or by the reconciler."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from shared.domain.addresses import guest_key
from shared.domain.decision import explain
from shared.domain.events import Change
from shared.domain.messages import Queue
from shared.domain.platforms import Role
from shared.domain.reasons import Reason
from shared.domain.shares import Share
from shared.workflows.invitations import poll_acceptance
from shared.workflows.reconciliation import expire_shares
from shared.workflows.transaction import guest_listing
from tests.conftest import COUNTS
from tests.workflows.world import START, Crash, Fuse, World, event

GUEST = "guest@partner.example"
KEY = guest_key(GUEST)


def arrive(*events_args: object, **kwargs: object) -> Callable[[World], Awaitable[None]]:
    """An event arrives on its queue (the entrance is tested with the functions)."""

    async def act(world: World) -> None:
        armed, world.queues.step = world.queues.step, _calm
        await world.queues.send(Queue.SHARE_EVENTS, event(*events_args, **kwargs))  # type: ignore[arg-type]
        world.queues.step = armed

    return act


async def _calm(name: str) -> None:
    return


async def approve(world: World) -> None:
    await world.approve(KEY)


async def deny(world: World) -> None:
    await world.deny(KEY)


async def accept(world: World) -> None:
    world.tenant.accept(GUEST)


async def poll(world: World) -> None:
    await poll_acceptance(world.ports)


async def expire(world: World) -> None:
    world.clock.at = max(world.clock.at, START + timedelta(days=30))
    await expire_shares(world.ports)


STORIES: dict[str, tuple[list[Callable[[World], Awaitable[None]]], dict[tuple[str, str], Role], int]] = {
    "held, approved, accepted, granted": (
        [
            arrive("e1", 1),
            arrive("e2", 2, path="/a/b", role="Modify"),
            arrive("e3", 3, path="/c"),
            approve,
            accept,
            poll,
        ],
        {(GUEST, "/a"): Role.READ, (GUEST, "/a/b"): Role.WRITE, (GUEST, "/c"): Role.READ},
        1,
    ),
    "pre-approved, changed, taken back": (
        [
            arrive("e1", 1, preapproved=True),
            accept,
            poll,
            arrive("e2", 2, Change.KEPT, role="Modify", preapproved=True),
            arrive("e3", 3, path="/a/b"),
            arrive("e4", 4, Change.LOST),
        ],
        {(GUEST, "/a/b"): Role.READ},
        1,
    ),
    "revoked before approval": ([arrive("e1", 1), arrive("e2", 2, Change.LOST)], {}, 0),
    "revoked before acceptance": (
        [arrive("e1", 1, preapproved=True), arrive("e2", 2, Change.LOST), accept, poll],
        {},
        1,
    ),
    "denied": ([arrive("e1", 1), deny, arrive("e2", 2, path="/c")], {}, 0),
    "expired after the grant": (
        [arrive("e1", 1, preapproved=True, expires=60 * 24 * 7), accept, poll, expire],
        {},
        1,
    ),
    "folder above taken back, copy beneath too": (
        [
            arrive("e1", 1, preapproved=True),
            accept,
            poll,
            arrive("x1", 2, who="other@partner.example", path="/a/b", preapproved=True),
            arrive("e2", 3, Change.LOST),
        ],
        {},
        2,
    ),
}


async def run(story: str, fuse: Fuse, *, repaired: bool) -> World:
    """Play a story; whoever was interrupted by the crash tries again, with or without the reconciler in between."""
    world = World(fuse)
    acts, _, _ = STORIES[story]
    for act in acts:
        try:
            await act(world)
        except Crash:
            if repaired:
                await world.repair()
            await act(world)
        await world.drain()
    await world.drain()
    return world


@pytest.mark.parametrize("repaired", [False, True], ids=["tried again", "repaired first"])
@pytest.mark.parametrize("story", STORIES)
async def test_a_crash_at_any_effect_changes_nothing_in_the_end(story: str, repaired: bool) -> None:
    _, expected, mails = STORIES[story]
    fuse = Fuse(10**9)
    calm = await run(story, fuse, repaired=repaired)
    assert calm.access() == expected
    assert len(calm.tenant.mails) == mails
    effects = 10**9 - fuse.left
    assert effects > 10
    for at in range(effects):
        fuse = Fuse(at)
        world = await run(story, fuse, repaired=repaired)
        assert not fuse.armed
        await check(world, calm, f"{story}, crash at effect {at}")
    COUNTS["crash points"] += effects


async def check(world: World, calm: World, where: str) -> None:
    """The world ended as the calm one did."""
    assert world.access() == calm.access(), where
    assert world.tenant.mails == calm.tenant.mails, where
    assert world.tenant.invitations == calm.tenant.invitations, where
    assert world.tenant.too_early == 0, where
    assert not world.queues.waiting, where
    assert set(world.ledger.partitions) == set(calm.ledger.partitions), where
    for key in calm.ledger.partitions:
        book, other = await world.ledger.read(key, None), await calm.ledger.read(key, None)
        assert book.guest.state is other.guest.state, where
        assert book.guest.wanting == other.guest.wanting, where
        assert book.guest.busy_until is None, where
        assert book.outbox == [], where
        assert {n: explain(s, book.guest) for n, s in book.shares.items()} == {
            n: explain(s, other.guest) for n, s in other.shares.items()
        }, where
        assert {(g.item_id, g.role) for g in book.grants.values()} == {
            (g.item_id, g.role) for g in other.grants.values()
        }, where
        recorded = {(r.what, r.share, r.event, r.reason) async for r in world.history.read(key) if r.event}
        for share in book.shares.values():
            _recorded(share, recorded, where)
        for entry in guest_listing(book.guest).values():
            listed = [row async for row in world.ports.worklist.read(entry.list) if row.key == entry.key]
            assert listed == [entry], where


def _recorded(share: Share, recorded: set[tuple[str, str | None, str, Reason | None]], where: str) -> None:
    for claim in share.claims.values():
        assert any(entry[2] == claim.id for entry in recorded), f"law 3: {claim.id} is not in the history; {where}"
