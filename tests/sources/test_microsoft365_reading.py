"""Feeds, polls, scans and looks of a whole tenant, through Graph's SDK."""

from collections.abc import AsyncIterator

import pytest

from shared.domain.events import PrincipalKind
from shared.domain.platforms import ItemKind
from tests.sources.microsoft365_samples import (
    ANN,
    BEN,
    OLGA,
    Read,
    Tenant,
    feeds,
    office365,
    onedrive,
    only,
    outside,
    poll,
    reading,
    running_tenant,
    scan,
)

PROJECT, PLAN = f"/{OLGA}/Projects/Alpha", f"/{OLGA}/Projects/plan.pdf"
MATTER = "/sites/Legal/Documents/Matter"


@pytest.fixture
async def tenant() -> AsyncIterator[Tenant]:
    async with running_tenant() as tenant:
        yield tenant


# Feeds.


async def test_every_onedrive_is_a_feed_and_nothing_else(tenant: Tenant) -> None:
    await tenant.share(ANN, PROJECT)
    await tenant.share(ANN, MATTER)
    async with reading(tenant, onedrive) as source:
        page = await source.feeds(None)
    (feed,) = page.feeds
    assert (feed.name, feed.polls, feed.watches) == (f"drive:{(await tenant.drives())['OneDrive']}", True, True)


async def test_every_library_of_every_site_is_a_feed_and_no_onedrive(tenant: Tenant) -> None:
    for path in (PROJECT, MATTER, "/sites/Legal/Contracts/x", "/sites/Sales/Offers/x", "/Public/x"):
        await tenant.share(ANN, path)
    async with reading(tenant, office365) as source:
        found = await feeds(source)
    drives = await tenant.drives()
    assert set(found) == {f"drive:{drives[name]}" for name in ("Documents", "Contracts", "Offers", "Public")}
    assert all(len(name) <= 200 and name.isascii() for name in found)
    assert len([call for call in await tenant.calls("/sites/") if call.endswith("/drives")]) == 3


async def test_feeds_come_page_by_page(tenant: Tenant) -> None:
    for number in range(45):
        await tenant.share(ANN, f"/user{number}@contoso.com/x")
        await tenant.share(ANN, f"/sites/s{number % 25}/l{number}/x")
    for make in (onedrive, office365):
        async with reading(tenant, make) as source:
            first = await source.feeds(None)
            assert first.cursor is not None
            assert first == await source.feeds(None)
            found = await feeds(source)
        assert len(found) == len(set(found)) == 45


# Polls.


async def test_the_first_poll_only_finds_where_now_is(tenant: Tenant) -> None:
    await tenant.share(ANN, PROJECT)
    async with reading(tenant, onedrive) as source:
        (feed,) = await feeds(source)
        page = await source.poll(feed, None)
        assert (page.events, page.seen, page.more, page.rescan) == ((), (), False, False)
        assert [call for call in await tenant.calls() if "permissions" in call] == []
        assert (await poll(source, feed, page.cursor)).sets == {}


@pytest.mark.parametrize(
    ("path", "kind"), [(f"/{OLGA}", ItemKind.ROOT), (PROJECT, ItemKind.FOLDER), (PLAN, ItemKind.FILE)]
)
@pytest.mark.parametrize("by", ["direct", "link"])
async def test_a_share_a_role_change_and_a_removal(tenant: Tenant, path: str, kind: ItemKind, by: str) -> None:
    await tenant.share(BEN, f"/{OLGA}/Other")
    async with reading(tenant, onedrive) as source:
        (feed,) = await feeds(source)
        cursor = (await source.poll(feed, None)).cursor
        told = {"kind": kind.value, "by": by}

        await tenant.share(ANN, path, role="read", **told)
        read = await poll(source, feed, cursor)
        given = only(read)
        assert given.item is not None
        assert (given.item.kind, given.item.path, given.role) == (kind, path, "read")

        await tenant.act("role", ANN, path, role="write", **told)
        read = await poll(source, feed, read.cursor)
        assert only(read).role == "write"
        assert only(read).item == given.item

        await tenant.act("remove", ANN, path, **told)
        read = await poll(source, feed, read.cursor)
        if by == "link":  # told to nobody
            assert given.item.id not in read.sets
            read = await scan(source)
        assert outside(Read({given.item.id: read.sets[given.item.id]})) == {}


async def test_a_library_is_told_by_its_site(tenant: Tenant) -> None:
    await tenant.share(ANN, "/sites/Legal/Documents", kind="root", role="write")
    await tenant.share(BEN, "/Public/Folder")
    async with reading(tenant, office365) as source:
        read = await scan(source)
    assert outside(read) == {
        ("/sites/Legal/Documents", ANN): "write",
        ("/Public/Folder", BEN): "read",
    }
    item = only(read).item
    assert item is not None
    assert item.kind is ItemKind.ROOT


async def test_one_more_person_in_a_link_is_told_to_nobody_and_found_by_the_scan(tenant: Tenant) -> None:
    await tenant.share(ANN, PROJECT, by="link", role="write")
    async with reading(tenant, onedrive) as source:
        (feed,) = await feeds(source)
        cursor = (await source.poll(feed, None)).cursor
        await tenant.share(BEN, PROJECT, by="link", role="write")
        assert (await poll(source, feed, cursor)).sets == {}
        assert outside(await scan(source)) == {(PROJECT, ANN): "write", (PROJECT, BEN): "write"}


async def test_what_is_inherited_is_no_share_of_what_lies_beneath(tenant: Tenant) -> None:
    await tenant.share(ANN, MATTER, role="write")
    await tenant.share(BEN, "/sites/Legal/Documents/Matter/a/b/c.pdf", kind="file")
    await tenant.control("items", {"drive": (await tenant.drives())["Documents"], "add": [{"path": "/Matter/new"}]})
    async with reading(tenant, office365) as source:
        read = await scan(source)
        (feed,) = await feeds(source)
        drive = feed.removeprefix("drive:")
        state = await tenant.show("state")
        below = next(item for item in state["items"] if item["path"] == "/Matter/new")
        (item,) = [s.item for s in read.sets.values() if s.item.path == MATTER]
        seen = await source.look(item.model_copy(update={"id": f"{drive}:{below['id']}"}))
    assert seen is not None
    assert seen.facts == ()
    # The first share of c.pdf has copied Ann's permission onto it: she holds it there, whatever becomes of the folder.
    assert outside(read) == {
        (MATTER, ANN): "write",
        (f"{MATTER}/a/b/c.pdf", ANN): "write",
        (f"{MATTER}/a/b/c.pdf", BEN): "read",
    }


async def test_the_site_s_own_groups_are_told_once_at_the_library(tenant: Tenant) -> None:
    for number in range(3):
        await tenant.share(ANN, f"{MATTER}/{number}")
    async with reading(tenant, office365) as source:
        groups = [fact for fact in (await scan(source)).facts if fact.principal.kind is PrincipalKind.GROUP]
    assert [(fact.principal.name, fact.item and fact.item.kind) for fact in groups] == [("Legal Owners", ItemKind.ROOT)]


async def test_deleted_items_have_an_empty_set(tenant: Tenant) -> None:
    await tenant.share(ANN, PROJECT)
    await tenant.share(ANN, PLAN, kind="file")
    async with reading(tenant, onedrive) as source:
        (feed,) = await feeds(source)
        cursor = (await source.poll(feed, None)).cursor
        before = await scan(source)
        await tenant.control("items", {"drive": feed.removeprefix("drive:"), "delete": ["/Projects/plan.pdf"]})
        read = await poll(source, feed, cursor)
        (gone,) = [s for s in read.sets.values() if before.sets[s.item.id].item.path == PLAN]
        assert (gone.facts, gone.item.kind, gone.item.path) == ((), ItemKind.FILE, None)


async def test_what_lay_in_a_deleted_folder_is_found_by_looking(tenant: Tenant) -> None:
    """A delta tells of the folder alone."""
    await tenant.share(ANN, PROJECT)
    async with reading(tenant, onedrive) as source:
        item = only(await scan(source)).item
        assert item is not None
        seen = await source.look(item)
        assert seen is not None
        assert [fact.principal.address for fact in seen.facts if fact.principal.address == ANN] == [ANN]
        drive = item.id.partition(":")[0]
        await tenant.control("items", {"drive": drive, "delete": ["/Projects"]})
        seen = await source.look(item)
        assert seen is not None
        assert (seen.item, seen.facts) == (item, ())


async def test_an_item_of_a_drive_that_does_not_show_is_not_said_to_be_gone(tenant: Tenant) -> None:
    await tenant.share(ANN, PROJECT)
    async with reading(tenant, onedrive) as source:
        item = only(await scan(source)).item
        assert item is not None
        assert await source.look(item.model_copy(update={"id": f"no-drive:{item.id.partition(':')[2]}"})) is None
        fault = {"match": {"method": "GET", "pathRegex": "/items/"}, "kind": "sharingDisabled"}
        await tenant.control("faults", fault)
        assert await source.look(item) is None
        await tenant.control("faults", {**fault, "kind": "423"})
        assert await source.look(item) is None


async def test_of_an_item_that_a_delta_repeats_the_last_row_holds(tenant: Tenant) -> None:
    await tenant.control("settings", {"deltaRepeatsItems": True})
    await tenant.share(ANN, PROJECT)
    async with reading(tenant, onedrive) as source:
        (feed,) = await feeds(source)
        assert outside(await scan(source)) == {(PROJECT, ANN): "read"}
        cursor = (await source.poll(feed, None)).cursor
        await tenant.share(BEN, PLAN, kind="file")
        assert outside(await poll(source, feed, cursor)) == {(PLAN, BEN): "read"}


async def test_a_moved_or_renamed_parent_shows_in_the_path_and_not_in_the_id(tenant: Tenant) -> None:
    await tenant.share(ANN, f"/{OLGA}/a b/c#d%/100%25")
    async with reading(tenant, onedrive) as source:
        item = only(await scan(source)).item
    assert item is not None
    assert item.path == f"/{OLGA}/a b/c#d%/100%25"
    assert item.id.partition(":")[0] == (await tenant.drives())["OneDrive"]


async def test_a_content_change_of_a_file_that_nobody_shared_is_not_looked_into(tenant: Tenant) -> None:
    await tenant.share(ANN, PROJECT)
    async with reading(tenant, onedrive) as source:
        (feed,) = await feeds(source)
        cursor = (await source.poll(feed, None)).cursor
        files = [{"path": f"/{number}.txt", "kind": "file"} for number in range(30)]
        await tenant.control("items", {"drive": feed.removeprefix("drive:"), "add": files})
        await tenant.forget_calls()
        read = await poll(source, feed, cursor)
    assert [one.item.kind for one in read.sets.values()] == [ItemKind.ROOT]
    assert len(await tenant.calls("permissions")) == 1


async def test_pages_are_small_and_a_page_that_is_read_again_says_the_same(tenant: Tenant) -> None:
    """A worker that dies repeats its page."""
    await tenant.control("settings", {"deltaPageSize": 70, "resourceUnitsPerMinute": 100_000})
    for number in range(100):
        await tenant.share(ANN, f"{PROJECT}/{number}", kind="file")
    async with reading(tenant, onedrive) as source:
        read, cursor = Read(), None
        while True:
            page, again = await source.scan(cursor), await source.scan(cursor)
            assert [s.item for s in page.seen] == [s.item for s in again.seen]
            assert (page.cursor, page.more) == (again.cursor, again.more)
            assert len(page.seen) <= 20
            assert len(page.cursor or "") < 30_000
            read.take(page)
            cursor = page.cursor
            if not page.more:
                break
    assert len(outside(read)) == 100
    assert sum(page.items for page in read.pages) == 103  # root, Projects, Alpha
    assert len(read.pages) == 6  # seventy rows in steps of twenty, then the rest


async def test_a_poll_of_many_changes_takes_several_pages(tenant: Tenant) -> None:
    await tenant.control("settings", {"deltaPageSize": 30, "resourceUnitsPerMinute": 100_000})
    await tenant.share(BEN, f"/{OLGA}/Other")
    async with reading(tenant, onedrive) as source:
        (feed,) = await feeds(source)
        cursor = (await source.poll(feed, None)).cursor
        for number in range(50):
            await tenant.share(ANN, f"{PROJECT}/{number}", kind="file")
        read = await poll(source, feed, cursor)
        assert len(outside(read)) == 50
        assert all(len(page.seen) <= 20 for page in read.pages)
        assert len(read.pages) > 3
        assert (await poll(source, feed, read.cursor)).sets == {}


async def test_a_poll_whose_only_page_holds_more_than_one_step_goes_on_to_its_end(tenant: Tenant) -> None:
    await tenant.share(BEN, f"/{OLGA}/Other")
    async with reading(tenant, onedrive) as source:
        (feed,) = await feeds(source)
        cursor = (await source.poll(feed, None)).cursor
        for number in range(25):
            await tenant.share(ANN, f"{PROJECT}/{number}", kind="file")
        read = await poll(source, feed, cursor)
    assert [page.more for page in read.pages] == [True, False]
    assert len(outside(read)) == 25


async def test_long_permission_lists_are_read_to_their_end(tenant: Tenant) -> None:
    await tenant.control("settings", {"permissionsPageSize": 2})
    for number in range(7):
        await tenant.share(f"guest{number}@fabrikam.com", PROJECT)
    async with reading(tenant, onedrive) as source:
        assert len(outside(await scan(source))) == 7


# Void tokens.


async def test_a_void_token_begins_anew_where_graph_says_and_lists_everything(tenant: Tenant) -> None:
    await tenant.share(ANN, PROJECT)
    async with reading(tenant, onedrive) as source:
        (feed,) = await feeds(source)
        cursor = (await source.poll(feed, None)).cursor
        await tenant.share(BEN, PLAN, kind="file")
        await tenant.control("void", {"drive": feed.removeprefix("drive:")})
        page = await source.poll(feed, cursor)
        assert (list(page.seen), page.more, page.rescan) == ([], True, False)
        read = await poll(source, feed, page.cursor)
        assert outside(read) == {(PROJECT, ANN): "read", (PLAN, BEN): "read"}
        assert (await poll(source, feed, read.cursor)).sets == {}


async def test_a_scan_whose_token_becomes_void_begins_the_drive_again(tenant: Tenant) -> None:
    await tenant.control("settings", {"deltaPageSize": 5})
    for number in range(12):
        await tenant.share(ANN, f"{PROJECT}/{number}", kind="file")
    async with reading(tenant, onedrive) as source:
        page = await source.scan(None)
        await tenant.control("void", {"drive": (await tenant.drives())["OneDrive"]})
        read = Read()
        while page.more:
            read.take(page := await source.scan(page.cursor))
    assert len(outside(read)) == 12
