"""Batches: scans find what was never told, also what was taken back; files come in whole or not at all."""

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.domain.addresses import guest_key
from shared.domain.batches import Batch, BatchKind, BatchPhase, BatchState
from shared.domain.messages import BatchMessage, Queue
from shared.domain.platforms import Platform, Role
from shared.domain.reasons import Reason
from shared.domain.trouble import LaterError, RefusedError
from shared.workflows import accounts, batches
from shared.workflows.batches import FaultyFileError, cancel, run_batch, start_scan, take_file, tend_batches
from shared.workflows.reconciliation import record_failure
from tests.conftest import COUNTS
from tests.workflows.test_feeds import WHO, SourceWorld, reasons, started
from tests.workflows.world import ITEMS, Crash, Fuse

OTHER = "other@partner.example"
ROLES = {"viewer": Role.READ, "editor": Role.WRITE}


async def scan(world: SourceWorld) -> Batch:
    """Scan to the end."""
    world.clock.advance(timedelta(minutes=1))
    batch = await start_scan(world.ports, world.connection, "admin")
    await world.drain()
    return await of(world, batch)


async def of(world: SourceWorld, batch: Batch) -> Batch:
    found, _ = await world.ports.batches.get(batch.id)
    assert found is not None
    return found


async def test_a_scan_brings_what_was_shared_before_with_counts_of_each_outcome() -> None:
    world = await started()
    for path in ITEMS:
        world.account.share(WHO, path, "viewer", tells=False)
    world.account.share(OTHER, "/a", "traverse", tells=False)
    world.account.share("anna@home.example", "/a", "editor", tells=False)
    batch = await scan(world)
    assert (batch.state, batch.items, batch.shares, batch.internal) == (BatchState.DONE, 3, 4, 1)
    shown = await accounts.describe_batch(world.ports, batch)
    assert shown.outcomes == {Reason.APPROVAL: 3, Reason.ROLE_NOT_CARRIED: 1}
    assert shown.decided == 4
    assert set(await reasons(world)) == set(ITEMS)


async def test_a_share_whose_notification_was_swallowed_is_found() -> None:
    world = await started()
    world.account.share(WHO, "/a", "viewer")
    await world.tend(6)
    world.account.share(WHO, "/c", "editor", tells=False)
    world.account.share(WHO, "/a", "editor", tells=False)
    await scan(world)
    assert set(await reasons(world)) == {"/a", "/c"}
    await world.approve(guest_key(WHO))
    await world.drain()
    world.tenant.accept(WHO)
    await world.settle()
    assert world.access()[WHO, "/a"] is Role.WRITE


@pytest.mark.parametrize("still_shared_with", [(), (OTHER,)])
async def test_a_removal_that_was_swallowed_is_found(still_shared_with: tuple[str, ...]) -> None:
    """Also on an item where nothing is shared any more: the scan does not come by it, so it is looked at by itself."""
    world = await started()
    for address in (WHO, *still_shared_with):
        world.account.share(address, "/a", "viewer")
    await world.tend(6)
    world.account.remove(WHO, "/a", tells=False)
    batch = await scan(world)
    assert await reasons(world) == {"/a": Reason.REMOVED_AT_SOURCE}
    assert (batch.state, batch.unseen) == (BatchState.DONE, 0)
    later = world.clock.now() + timedelta(minutes=1)
    left = [item async for _, item in world.ports.permissions.unread_since("files", later, "")]
    assert len(left) == len(still_shared_with), "an item of which nothing is left to know is forgotten"


async def test_an_item_that_the_platform_does_not_show_is_no_proof() -> None:
    """The app may have lost its right to see it; nobody loses access for that."""
    world = await started()
    world.account.share(WHO, "/a", "viewer")
    await world.tend(6)
    world.account.hidden.add("/a")
    batch = await scan(world)
    assert await reasons(world) == {"/a": Reason.APPROVAL}
    assert batch.unseen == 1
    world.account.hidden.clear()
    world.account.remove(WHO, "/a", tells=False)
    assert (await scan(world)).unseen == 0
    assert await reasons(world) == {"/a": Reason.REMOVED_AT_SOURCE}


async def test_scanning_again_changes_nothing_and_writes_no_history() -> None:
    world = await started()
    world.account.share(WHO, "/a", "viewer")
    await world.tend(6)
    await scan(world)
    before = [record.id async for record in world.history.read(guest_key(WHO))]
    for _ in range(3):
        await scan(world)
    assert [record.id async for record in world.history.read(guest_key(WHO))] == before


async def test_a_share_with_an_internal_person_that_was_told_is_not_lost_in_a_scan() -> None:
    world = await started()
    world.account.share("anna@home.example", "/a", "viewer")
    await world.tend(6)
    await scan(world)
    assert await reasons(world, "anna@home.example") == {"/a": Reason.INTERNAL}


async def test_who_shared_it_is_not_forgotten_for_a_list_that_does_not_tell() -> None:
    world = await started()
    world.account.share(WHO, "/a", "viewer", sharer="sven@home.example")
    await world.tend(6)
    await scan(world)
    book = await world.ledger.read(guest_key(WHO), None)
    assert [share.sharer.address for share in book.shares.values()] == ["sven@home.example"]


async def test_only_one_scan_of_an_account_runs_at_a_time() -> None:
    world = await started()
    first = await start_scan(world.ports, world.connection, "admin")
    assert (await start_scan(world.ports, world.connection, "another")).id == first.id


async def test_a_platform_that_cannot_be_asked_is_not_scanned() -> None:
    world = await started()
    securisync = world.connection.model_copy(update={"platform": Platform.SECURISYNC})
    with pytest.raises(RefusedError):
        await start_scan(world.ports, securisync, "admin")


async def test_a_batch_can_be_cancelled_between_two_pages() -> None:
    world = await started()
    for path in ITEMS:
        world.account.share(WHO, path, "viewer", tells=False)
    batch = await start_scan(world.ports, world.connection, "admin")
    await run_batch(world.ports, BatchMessage(batch=batch.id, page=0))
    cancelled = await cancel(world.ports, batch.id)
    assert cancelled is not None
    assert (cancelled.state, cancelled.items) == (BatchState.CANCELLED, 2)
    await world.drain()
    assert (await of(world, batch)).items == 2
    assert len(await reasons(world)) == 2, "what was sent on is decided"
    assert await cancel(world.ports, batch.id) == cancelled
    assert await cancel(world.ports, "no such batch") is None


async def test_a_batch_whose_message_is_lost_goes_on_by_the_timer() -> None:
    world = await started()
    world.account.share(WHO, "/a", "viewer", tells=False)
    batch = await start_scan(world.ports, world.connection, "admin")
    world.queues.waiting.clear()
    await tend_batches(world.ports)
    assert not world.queues.waiting, "it may be just being worked on"
    world.clock.advance(timedelta(minutes=11))
    await tend_batches(world.ports)
    await world.drain()
    assert (await of(world, batch)).state is BatchState.DONE


async def test_an_account_is_scanned_by_itself_only_after_somebody_did_it_once() -> None:
    world = await started()
    world.clock.advance(timedelta(days=30))
    await tend_batches(world.ports)
    assert world.account.scans == 0
    await scan(world)
    scans = world.account.scans
    for days, more in ((6, 0), (2, 1), (6, 0), (2, 1)):
        world.clock.advance(timedelta(days=days))
        await tend_batches(world.ports)
        await world.drain()
        assert world.account.scans == scans + more
        scans = world.account.scans


async def test_a_platform_that_asks_to_wait_is_waited_for() -> None:
    world = await started()
    world.account.share(WHO, "/a", "viewer", tells=False)
    world.account.trouble = [LaterError(Reason.SOURCE, timedelta(minutes=5)) for _ in range(8)]
    assert (await scan(world)).state is BatchState.DONE


async def test_a_refusal_ends_the_batch_with_its_reason() -> None:
    world = await started()
    world.account.trouble = [RefusedError(Reason.SOURCE_REFUSED, "the scope is missing")]
    batch = await scan(world)
    assert (batch.state, batch.trouble, batch.detail) == (
        BatchState.FAILED,
        Reason.SOURCE_REFUSED,
        "the scope is missing",
    )


async def test_a_page_that_fails_for_good_ends_the_batch() -> None:
    world = await started()
    batch = await start_scan(world.ports, world.connection, "admin")
    await record_failure(world.ports, Queue.BATCHES, BatchMessage(batch=batch.id, page=0), "text")
    assert (await of(world, batch)).trouble is Reason.PROCESSING_FAILED


async def test_the_items_that_a_scan_does_not_come_by_are_looked_at_in_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "_LOOKS_PER_PAGE", 1)
    world = await started()
    for path in ITEMS:
        world.account.share(WHO, path, "viewer")
    await world.tend(6)
    for path in ITEMS:
        world.account.remove(WHO, path, tells=False)
    batch = await scan(world)
    assert (batch.phase, batch.pages) == (BatchPhase.MISSING, 1 + len(ITEMS) + 1)
    assert set((await reasons(world)).values()) == {Reason.REMOVED_AT_SOURCE}


# --- Any history of an account, told or not: after a scan the destination is as the account is.

_ACTS = st.tuples(
    st.sampled_from([WHO, OTHER]),
    st.sampled_from(sorted(ITEMS)),
    st.sampled_from(["viewer", "editor", None]),
    st.booleans(),
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(acts=st.lists(_ACTS, max_size=10), polls=st.lists(st.booleans(), min_size=10, max_size=10))
async def test_after_a_scan_the_destination_is_as_the_account_is(
    acts: list[tuple[str, str, str | None, bool]], polls: list[bool]
) -> None:
    world = await started()
    for (address, path, role, tells), polled in zip(acts, polls, strict=False):
        world.clock.advance(timedelta(minutes=1))
        if role is not None:
            world.account.share(address, path, role, tells=tells)
        elif (address, path) in world.account.held:
            world.account.remove(address, path, tells=tells)
        if polled:
            await world.tend(6)
            await scan(world)
    await world.tend(6)
    await scan(world)
    for address in {address for address, *_ in acts}:
        book = await world.ledger.read(guest_key(address), None)
        if book.guest.wanting:
            await world.approve(book.guest.key)
            await world.drain()
            world.tenant.accept(address)
    await world.settle()
    expected: dict[tuple[str, str], Role] = {}
    for (address, above), fact in world.account.held.items():
        for path in ITEMS:
            if path == above or path.startswith(f"{above}/"):
                role = ROLES[fact.role or ""]
                known = expected.get((address, path), role)
                expected[address, path] = max(role, known, key=lambda one: one.width)
    assert world.access() == expected
    COUNTS["scanned histories"] += 1


async def _scanned_with(fuse: Fuse, burns_at: int) -> SourceWorld:
    world = SourceWorld(fuse)
    await world.tend()
    world.account.share(WHO, "/a", "viewer")
    world.account.share(OTHER, "/c", "viewer")
    await world.tend(6)
    world.account.remove(WHO, "/a", tells=False)
    for path in ("/a/b", "/c"):
        world.account.share(WHO, path, "editor", tells=False)
    fuse.left = burns_at
    try:
        await scan(world)
    except Crash:  # before the batch was kept: the administrator's click comes again
        await scan(world)
    return world


async def test_a_crash_anywhere_in_a_scan_is_repaired() -> None:
    fuse = Fuse(10**9)
    whole = await _scanned_with(fuse, 10**9)
    effects = 10**9 - fuse.left
    for at in range(effects):
        world = await _scanned_with(fuse := Fuse(10**9), at)
        fuse.armed = False
        world.clock.advance(timedelta(minutes=11))
        await tend_batches(world.ports)
        await world.drain()
        assert await reasons(world) == await reasons(whole), f"crash at effect {at}"
        assert await reasons(world, OTHER) == await reasons(whole, OTHER), f"crash at effect {at}"
        assert not [batch async for batch in world.ports.batches.read() if batch.is_running]
    COUNTS["crash points of scans"] += effects


# --- Files.

HEAD = "address,role,item_id,item_kind,path"


def line(path: str, address: str = WHO, role: str = "editor") -> str:
    return f"{address},{role},{ITEMS[path]},folder,{path}"


async def taken(world: SourceWorld, content: str, kind: BatchKind = BatchKind.CSV, **more: Any) -> Batch:
    batch = await take_file(world.ports, world.connection, kind, content.encode(), world.clock.now(), "admin")
    await world.drain()
    return await of(world, batch)


async def test_a_file_of_existing_shares_comes_in_and_may_come_again() -> None:
    world = await started()
    content = "\n".join([HEAD, *(line(path) for path in ITEMS), line("/a", OTHER, "wizard")])
    for _ in range(2):
        batch = await taken(world, content)
        assert (batch.state, batch.lines, batch.items, batch.shares) == (BatchState.DONE, 4, 4, 4)
        outcomes = await world.ports.batches.outcomes(batch.id)
        assert outcomes == {Reason.APPROVAL: 3, Reason.UNKNOWN_ROLE: 1}
    assert not world.ports.bodies.bodies  # type: ignore[attr-defined]
    history = [record async for record in world.history.read(guest_key(WHO))]
    assert len(history) == 3


async def test_a_file_with_a_fault_is_refused_whole() -> None:
    world = await started()
    with pytest.raises(FaultyFileError) as caught:
        await taken(world, f"{HEAD}\n{line('/a')}\nnobody,editor\n")
    assert [fault.line for fault in caught.value.checked.faults] == [3]
    assert await reasons(world) == {}
    assert not [batch async for batch in world.ports.batches.read()]


async def test_a_long_file_is_read_in_parts() -> None:
    world = await started()
    lines = [line("/a", f"p{number}@partner.example") for number in range(450)]
    batch = await taken(world, "\n".join([HEAD, *lines]))
    assert (batch.shares, batch.pages) == (450, 6)


async def test_json_lines_of_the_inbound_contract_come_in() -> None:
    world = await started()
    document = {
        "specversion": "1.0",
        "id": "1",
        "source": "/export",
        "type": "guestpass.share.kept.v1",
        "time": world.clock.now().isoformat(),
        "data": {
            "principal": {"address": WHO},
            "role": "viewer",
            "item": {"id": ITEMS["/a"], "kind": "folder", "path": "/a"},
        },
    }
    batch = await taken(world, json.dumps(document) + "\n\n", BatchKind.JSON_LINES)
    assert (batch.lines, batch.shares) == (1, 1)
    assert await reasons(world) == {"/a": Reason.APPROVAL}


async def test_what_a_file_saw_gives_way_to_what_the_platform_tells_later() -> None:
    """A file knows no reference of the permission; it must not outlive the permission for that."""
    world = await started()
    await taken(world, f"{HEAD}\n{line('/a')}")
    world.clock.advance(timedelta(minutes=1))
    world.account.share(WHO, "/a", "viewer")
    world.clock.advance(timedelta(minutes=1))
    world.account.remove(WHO, "/a")
    await world.tend(6)
    assert await reasons(world) == {"/a": Reason.REMOVED_AT_SOURCE}


async def test_a_file_that_is_gone_fails_the_batch() -> None:
    world = await started()
    batch = await take_file(
        world.ports, world.connection, BatchKind.CSV, f"{HEAD}\n{line('/a')}".encode(), world.clock.now(), "admin"
    )
    await world.ports.bodies.delete(f"batch-{batch.id}")
    await world.drain()
    assert (await of(world, batch)).state is BatchState.FAILED
