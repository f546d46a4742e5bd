"""The account map: a change moves shares, the new account first, and nobody loses or keeps what they should not."""

import pytest

from shared.domain.addresses import guest_key
from shared.domain.decision import explain
from shared.domain.events import Change
from shared.domain.guests import GuestState
from shared.domain.maps import Change as MapChange
from shared.domain.maps import Mapped
from shared.domain.platforms import Role
from shared.domain.reasons import Reason
from shared.domain.trouble import ConflictError
from shared.workflows.approvals import deny
from shared.workflows.maps import affected, change_map, plan_changes
from tests.workflows.world import Crash, Fuse, World, event

OLD, NEW, SOURCE = "guest@partner.example", "new@partner.example", "guest@partner.example"


def access(world: World, who: str) -> dict[str, Role]:
    """What a person really reaches."""
    return {path: role for (name, path), role in world.access().items() if name == who}


async def reasons(world: World, who: str) -> set[Reason]:
    book = await world.ledger.read(guest_key(who), None)
    return {explain(share, book.guest) for share in book.shares.values()}


async def usable(world: World, who: str) -> None:
    await world.tenant.invite(who, None, mail=False)
    world.tenant.accept(who)


async def ready(step: Fuse | None = None) -> World:
    """The old account has two things."""
    world = World(step) if step else World()
    await usable(world, OLD)
    await world.handle(event("e1", 1, who=SOURCE))
    await world.handle(event("e2", 2, who=SOURCE, path="/c", role="Modify"))
    await world.drain()
    return world


async def lead(world: World, to: str | None, source: str = SOURCE) -> MapChange:
    """An administrator changes the map."""
    (change,) = await plan_changes(world.ports, [Mapped(connection="files", source=source, destination=to)])
    await change_map(world.ports, change, "admin")
    await world.drain()
    return change


async def test_the_new_account_has_everything_before_the_old_one_loses_it() -> None:
    world = await ready()
    await usable(world, NEW)
    order: list[tuple[bool, bool]] = []
    remove = world.tenant.remove

    async def watched(drive: str, item_id: str, permission_id: str) -> None:
        path = {"item-a": "/a", "item-c": "/c"}[item_id]
        order.append((path in access(world, NEW), path in access(world, OLD)))
        await remove(drive, item_id, permission_id)

    world.tenant.remove = watched  # type: ignore[method-assign]
    await lead(world, NEW)
    await world.drain()
    assert access(world, NEW) == {"/a": Role.READ, "/a/b": Role.READ, "/c": Role.WRITE}
    assert access(world, OLD) == {}
    assert order == [(True, True), (True, True)]
    assert await reasons(world, OLD) == {Reason.MOVED}
    entry = await world.ports.account_maps.find("files", SOURCE)
    assert entry is not None
    assert entry.moving_from == ()


async def test_a_look_lists_the_shares_and_changes_nothing() -> None:
    world = await ready()
    before = world.state()
    (change,) = await plan_changes(world.ports, [Mapped(connection="files", source=SOURCE, destination=NEW)])
    assert sorted(share.item.path or "" for share in await affected(world.ports, change) if share.item) == ["/a", "/c"]
    assert world.state() == before
    same = Mapped(connection="files", source=SOURCE, destination=SOURCE)
    assert await plan_changes(world.ports, [same]) == []


async def test_the_new_identity_goes_through_its_gate_while_the_old_one_keeps_access() -> None:
    world = await ready()
    await lead(world, NEW)
    assert await reasons(world, NEW) == {Reason.APPROVAL}
    assert set(access(world, OLD)) == {"/a", "/a/b", "/c"}
    await world.approve(guest_key(NEW))
    await world.drain()
    assert world.tenant.mails == [NEW]
    assert set(access(world, OLD)) == {"/a", "/a/b", "/c"}
    world.tenant.accept(NEW)
    await world.settle()
    await world.drain()
    assert set(access(world, NEW)) == {"/a", "/a/b", "/c"}
    assert access(world, OLD) == {}


async def test_a_share_taken_back_at_the_source_meanwhile_is_taken_from_the_old_account() -> None:
    world = await ready()
    await lead(world, NEW)
    await world.handle(event("e3", 3, Change.LOST, who=SOURCE))
    await world.drain()
    assert access(world, OLD) == {"/c": Role.WRITE}
    assert access(world, NEW) == {}


async def test_a_denial_of_the_new_identity_ends_the_old_one_s_access_too() -> None:
    world = await ready()
    await lead(world, NEW)
    await deny(world.ports, guest_key(NEW), "admin", "no")
    await world.repair()
    await world.repair()
    assert world.access() == {}


async def test_exclusion_takes_back_and_ending_the_entry_gives_again() -> None:
    world = await ready()
    await lead(world, None)
    assert world.access() == {}
    assert await reasons(world, SOURCE) == {Reason.EXCLUDED}
    await lead(world, SOURCE)
    assert set(access(world, OLD)) == {"/a", "/a/b", "/c"}


async def test_the_map_can_lead_on_and_back() -> None:
    world = await ready()
    third = "third@partner.example"
    for who in (NEW, third):
        await usable(world, who)
    for to in (NEW, third, SOURCE, NEW):
        await lead(world, to)
        await world.drain()
        assert {who for who, _ in world.access()} == {to}
        assert set(access(world, to)) == {"/a", "/a/b", "/c"}


async def test_a_second_change_before_the_first_has_come_to_rest_takes_everything_along() -> None:
    world = await ready()
    third = "third@partner.example"
    await usable(world, third)
    await lead(world, NEW)  # waits for approval
    await lead(world, third)
    await world.repair()
    await world.repair()
    assert set(access(world, third)) == {"/a", "/a/b", "/c"}
    assert access(world, OLD) == {}


async def test_two_addresses_of_one_account_keep_its_access() -> None:
    world = await ready()
    world.tenant.users[NEW] = world.tenant.users[OLD]
    await lead(world, NEW)
    await world.repair()
    assert len(world.access()) == 3
    assert await reasons(world, OLD) == {Reason.MOVED}
    await world.handle(event("e3", 3, Change.LOST, who=SOURCE))
    await world.handle(event("e4", 3, Change.LOST, who=SOURCE, path="/c"))
    await world.drain()
    assert world.access() == {}, "what was handed over is ours still"


async def test_events_after_the_change_reach_the_new_account_only() -> None:
    world = await ready()
    await usable(world, NEW)
    await lead(world, NEW)
    await world.handle(event("e3", 3, Change.KEPT, who=SOURCE, role="Modify"))
    await world.drain()
    assert access(world, NEW)["/a"] is Role.WRITE
    assert access(world, OLD) == {}


async def test_a_share_that_came_in_while_the_map_changed_is_found_by_the_reconciler() -> None:
    world = await ready()
    await usable(world, NEW)
    before = world.ports.account_maps.find

    async def stale(connection: str, source: str) -> None:
        return None

    await lead(world, NEW)
    world.ports.account_maps.find = stale  # type: ignore[method-assign]
    await world.handle(event("e3", 3, who=SOURCE, path="/a/b", role="Modify"))
    world.ports.account_maps.find = before  # type: ignore[method-assign]
    await world.drain()
    assert access(world, OLD) != {}
    for _ in range(3):
        await world.repair()
    assert access(world, OLD) == {}
    assert access(world, NEW)["/a/b"] is Role.WRITE


async def test_a_crash_at_any_effect_of_a_move_is_repaired() -> None:
    fuse = Fuse(10**9)
    await _moved(fuse)
    effects = 10**9 - fuse.left
    for at in range(effects):
        fuse = Fuse(at)
        world = await _moved(fuse)
        assert access(world, NEW) == {"/a": Role.READ, "/a/b": Role.READ, "/c": Role.WRITE}, at
        assert access(world, OLD) == {}, at
        old, new = [(await world.ledger.read(guest_key(who), None)) for who in (OLD, NEW)]
        assert (old.guest.wanting, new.guest.wanting) == (0, 2), at
        assert not old.grants, at


async def _moved(fuse: Fuse) -> World:
    fuse.armed = False
    world = await ready(fuse)
    await usable(world, NEW)
    fuse.armed = fuse.left < 10**8
    left = fuse.left
    change = MapChange(connection="files", source=SOURCE, before=SOURCE, after=NEW)
    try:
        await change_map(world.ports, change, "admin")
    except (Crash, ConflictError):
        again = await plan_changes(world.ports, [Mapped(connection="files", source=SOURCE, destination=NEW)])
        for change in again:
            await change_map(world.ports, change, "admin")
    await world.drain()
    for _ in range(3):
        try:
            await world.repair()
        except Crash:
            continue
    if fuse.left > 10**8:
        fuse.left = 10**9 - (left - fuse.left)
    return world


async def test_two_administrators_cannot_both_change_one_entry() -> None:
    world = await ready()
    change = MapChange(connection="files", source=SOURCE, before=SOURCE, after=NEW)
    put = world.ports.account_maps.put

    async def beaten(entry: Mapped) -> None:
        await put(entry.model_copy(update={"destination": None}))
        await put(entry)

    world.ports.account_maps.put = beaten  # type: ignore[method-assign]
    with pytest.raises(ConflictError):
        await change_map(world.ports, change, "admin")


async def test_an_unmapped_person_with_the_mapped_address_is_left_alone() -> None:
    world = World()
    await usable(world, OLD)
    await usable(world, NEW)
    await world.handle(event("e1", 1, who="alias@partner.example"))
    await lead(world, OLD, source="alias@partner.example")
    await world.handle(event("e2", 2, who=OLD, path="/c"))
    await world.drain()
    await lead(world, NEW, source="alias@partner.example")
    await world.repair()
    assert access(world, OLD) == {"/c": Role.READ}
    assert set(access(world, NEW)) == {"/a", "/a/b"}
    assert (await world.ledger.read(guest_key(OLD), [])).guest.state is GuestState.USABLE
