"""Google Workspace: everything that is shared now, and one item of it."""

from collections.abc import AsyncIterator

import pytest

from shared.domain.events import Item
from shared.domain.platforms import RULES, ItemKind, Platform
from shared.domain.sources import FoundFeed
from shared.domain.trouble import LaterError, RefusedError
from tests.sources.google_samples import (
    ADMINISTRATOR,
    EXA,
    MARA,
    OLGA,
    PAUL,
    Google,
    google_workspace,
    roles,
    sets,
)


@pytest.fixture
async def google() -> AsyncIterator[Google]:
    async with google_workspace() as one:
        yield one


def at(google: Google, path: str) -> str:
    return google.account.at(path, make=False) or ""


async def everything(google: Google) -> None:
    await google.act("share", EXA, f"/{OLGA}/Alpha", "writer")
    await google.act("share", MARA, f"/{PAUL}/Reports/plan.pdf", "commenter", kind="file")
    google.account.add_drive("Sales", PAUL)
    google.account.add_drive("Support", OLGA)
    await google.act("share", EXA, "/Shared drives/Sales", "reader", kind="root")
    await google.act("share", MARA, "/Shared drives/Support/Cases", "writer")
    for number in range(5):
        google.account.at(f"/{OLGA}/Alpha/private {number}.pdf", "file")
        google.account.at(f"/Shared drives/Sales/public {number}.pdf", "file")


async def test_a_scan_finds_all_that_is_shared(google: Google) -> None:
    await everything(google)
    found = {seen.item.path: seen for seen in sets(await google.scanned()).values() if seen.facts}
    assert {path: roles(seen) for path, seen in found.items()} == {
        f"/{OLGA}/Alpha": {EXA: "writer"},
        f"/{PAUL}/Reports/plan.pdf": {MARA: "commenter"},
        "/Shared drives/Sales": {EXA: "reader", PAUL: "organizer"},
        "/Shared drives/Support/Cases": {MARA: "writer"},
        None: {OLGA: "organizer"},  # nobody from outside is a member of the whole drive, so nobody asks where it is
    }
    kinds = {path: seen.item.kind for path, seen in found.items() if path}
    assert kinds == {
        f"/{OLGA}/Alpha": ItemKind.FOLDER,
        f"/{PAUL}/Reports/plan.pdf": ItemKind.FILE,
        "/Shared drives/Sales": ItemKind.ROOT,
        "/Shared drives/Support/Cases": ItemKind.FOLDER,
    }


async def test_the_matrix_carries_files_and_folders_and_leaves_roots_to_a_setting() -> None:
    rules = RULES[Platform.GOOGLE_WORKSPACE]
    assert rules.carried == {ItemKind.FOLDER, ItemKind.FILE}
    assert not rules.must_accept_at_source


async def test_nothing_waits_for_acceptance(google: Google) -> None:
    await everything(google)
    assert not any(fact.pending for seen in sets(await google.scanned()).values() for fact in seen.facts)


async def test_what_is_inherited_is_not_a_share_of_what_lies_beneath(google: Google) -> None:
    await everything(google)
    private = google.account.at(f"/{OLGA}/Alpha/private 1.pdf", make=False) or ""
    public = google.account.at("/Shared drives/Sales/public 1.pdf", make=False) or ""
    assert google.account.role_of(PAUL, public)
    found = sets(await google.scanned())
    assert roles(found[private]) == {}  # read, because Drive says that it is shared: through the folder
    assert public not in found  # Drive says that nothing was given on it
    looked = await google.source.look(Item(id=public, kind=ItemKind.FILE, path="/Shared drives/Sales/public 1.pdf"))
    assert roles(looked) == {}


async def test_a_scan_takes_small_steps(google: Google) -> None:
    for number in range(230):
        await google.act("share", EXA, f"/{OLGA}/Folder {number}", notify="never")
    drive = google.account.add_drive("Sales", PAUL)
    for number in range(50):
        google.give(google.account.add(f"Offer {number}", drive), EXA, "reader")
    pages, calls, cursor = [], [], None
    while True:
        google.asked()
        page = await google.source.scan(cursor)
        pages.append(page)
        calls.append(len(google.asked()))
        assert len(page.cursor or "") < 30_000
        assert len(page.seen) <= 200
        cursor = page.cursor
        if not page.more:
            break
    assert max(calls) < 60
    assert len([seen for seen in sets(pages).values() if seen.facts]) == 281
    assert sum(page.items for page in pages) == 280


async def test_a_page_that_is_repeated_brings_the_same(google: Google) -> None:
    await everything(google)
    cursor = None
    for _ in range(100):
        first, again = await google.source.scan(cursor), await google.source.scan(cursor)
        assert [seen.item for seen in first.seen] == [seen.item for seen in again.seen]
        assert first.cursor == again.cursor
        cursor = first.cursor
        if not first.more:
            return
    raise AssertionError("a scan without an end")


@pytest.mark.parametrize("why", ["suspended", "archived", "foreign", "without Drive"])
async def test_people_whose_drive_nobody_can_read_are_passed_over(google: Google, why: str) -> None:
    await everything(google)
    person = google.account.add_person("aaron@contoso.com" if why != "foreign" else "aaron@partner.example")
    await google.act("share", EXA, f"/{person.email}/Theirs")
    person.suspended, person.archived = why == "suspended", why == "archived"
    person.has_drive = why != "without Drive"
    paths = {seen.item.path for seen in sets(await google.scanned()).values()}
    assert f"/{person.email}/Theirs" not in paths
    assert f"/{OLGA}/Alpha" in paths


async def test_who_is_suspended_while_the_scan_runs_is_passed_over(google: Google) -> None:
    for number in range(50):
        await google.act("share", EXA, f"/{OLGA}/Folder {number}", notify="never")
    cursor = None
    for _ in range(2):
        cursor = (await google.source.scan(cursor)).cursor
    google.account.people[OLGA].suspended = True
    google.stand_in.tokens.given.clear()
    later = await google.source.scan(cursor)
    assert (list(later.seen), later.more) == ([], True)


async def test_a_key_that_lost_its_rights_ends_the_scan_and_passes_over_nobody(google: Google) -> None:
    await everything(google)
    google.stand_in.tokens.delegated = {
        scope for scope in google.stand_in.tokens.delegated if "drive.metadata" not in scope
    }
    with pytest.raises(RefusedError) as caught:
        await google.scanned()
    assert "domain-wide delegation" in str(caught.value.detail)


async def test_a_shared_drive_without_a_manager_of_ours_still_shows_its_members(google: Google) -> None:
    google.account.add_person("somebody@partner.example")
    drive = google.account.add_drive("Orphaned", "somebody@partner.example")
    google.give(google.account.add("Inside", drive), EXA)
    found = sets(await google.scanned())
    assert roles(found[drive]) == {"somebody@partner.example": "organizer"}
    assert at(google, "/Shared drives/Orphaned/Inside") not in found


@pytest.mark.parametrize("token", ["u1", "d1", "f200"])
async def test_a_void_page_token_begins_that_list_anew(google: Google, token: str) -> None:
    await everything(google)
    google.account.add_drive("Third")
    for number in range(250):
        google.account.add(f"File {number}", google.account.root_of(OLGA))
    google.stand_in.pages.voided.add(token)
    cursor, paths, steps = None, set(), 0
    while True:
        page = await google.source.scan(cursor)
        paths |= {seen.item.path for seen in page.seen}
        cursor, steps = page.cursor, steps + 1
        if steps == 12:
            google.stand_in.pages.voided.clear()
        if not page.more:
            break
    assert {f"/{OLGA}/Alpha", "/Shared drives/Support/Cases"} <= paths


async def test_a_cursor_of_another_version_begins_anew(google: Google) -> None:
    await everything(google)
    assert (await google.source.scan('{"old":1}')).cursor == (await google.source.scan(None)).cursor


# --- look


async def test_a_look_shows_what_is_there_now(google: Google) -> None:
    await everything(google)
    found = [seen for seen in sets(await google.scanned()).values() if seen.item.path]
    assert len(found) == 4
    for seen in found:
        looked = await google.source.look(seen.item)
        assert looked is not None
        assert looked.item == seen.item
        assert roles(looked) == roles(seen)


@pytest.mark.parametrize("path", [None, f"/{PAUL}/was/there", "/nobody@contoso.com/x", "/Shared drives/Other/x", "/"])
async def test_a_look_finds_an_item_that_has_moved(google: Google, path: str | None) -> None:
    await everything(google)
    item = Item(id=at(google, f"/{OLGA}/Alpha"), kind=ItemKind.FOLDER, path=path)
    assert roles(await google.source.look(item)) == {EXA: "writer"}
    inside = Item(id=at(google, "/Shared drives/Support/Cases"), kind=ItemKind.FOLDER, path=path)
    assert roles(await google.source.look(inside)) == {MARA: "writer"}


async def test_a_look_reads_as_the_owner_and_not_as_who_only_sees_it(google: Google) -> None:
    await google.act("share", EXA, f"/{OLGA}/Alpha")
    await google.act("share", PAUL, f"/{OLGA}/Alpha", "reader")
    looked = await google.source.look(Item(id=at(google, f"/{OLGA}/Alpha"), kind=ItemKind.FOLDER, path=f"/{PAUL}/x"))
    assert roles(looked) == {EXA: "writer", PAUL: "reader"}


async def test_what_google_does_not_show_is_not_called_gone(google: Google) -> None:
    await everything(google)
    alpha = Item(id=at(google, f"/{OLGA}/Alpha"), kind=ItemKind.FOLDER, path=f"/{OLGA}/Alpha")
    google.account.people[OLGA].suspended = True
    assert await google.source.look(alpha) is None
    google.account.people[OLGA].suspended = False
    google.account.people[OLGA].has_drive = False
    assert await google.source.look(alpha) is None
    google.account.people[OLGA].has_drive = True
    google.account.delete(alpha.id)
    assert await google.source.look(alpha) is None
    assert await google.source.look(Item(id="0Bnothing", kind=ItemKind.ROOT)) is None
    assert await google.source.look(Item(id="1nothing", kind=ItemKind.FILE)) is None


async def test_what_is_in_the_trash_has_an_empty_set(google: Google) -> None:
    await everything(google)
    alpha = Item(id=at(google, f"/{OLGA}/Alpha"), kind=ItemKind.FOLDER, path=f"/{OLGA}/Alpha")
    google.account.trash(alpha.id)
    assert roles(await google.source.look(alpha)) == {}


async def test_a_drive_that_nobody_manages_is_not_shown_and_stops_nobody(google: Google) -> None:
    google.account.add_person("somebody@partner.example")
    drive = google.account.add_drive("Orphaned", "somebody@partner.example")
    inside = google.account.add("Inside", drive)
    google.account.report("edit", google.account.entries[inside], ADMINISTRATOR, [])
    item = Item(id=inside, kind=ItemKind.FOLDER, path="/Shared drives/Orphaned/Inside")
    assert await google.source.look(item) is None


async def test_a_look_waits_when_google_is_not_there(google: Google) -> None:
    await everything(google)
    google.fail(path="/drive", status=503, times=1)
    with pytest.raises(LaterError):
        await google.source.look(Item(id=at(google, f"/{OLGA}/Alpha"), kind=ItemKind.FOLDER, path=f"/{OLGA}/Alpha"))


# --- feeds


async def test_feeds_are_the_reports_every_active_person_and_every_shared_drive(google: Google) -> None:
    google.account.add_person("susanne@contoso.com", suspended=True)
    google.account.add_person("arno@contoso.com", archived=True)
    google.account.add_person("outsider@partner.example")
    drives = [google.account.add_drive(f"Drive {number}") for number in range(101)]
    for number in range(210):
        google.account.add_person(f"p{number}@contoso.com")
    found: list[FoundFeed] = []
    cursor, pages = None, 0
    while pages == 0 or cursor:
        page = await google.source.feeds(cursor)
        found += page.feeds
        assert len(page.feeds) <= 201
        cursor, pages = page.cursor, pages + 1
    active = [person for person in google.account.people.values() if person.is_active and "contoso" in person.email]
    names = [feed.name for feed in found]
    assert sorted(names) == sorted(
        ["reports", *(f"changes:{person.id}" for person in active), *(f"drive:{drive}" for drive in drives)]
    )
    assert all(feed.polls and feed.watches and feed.name.isascii() and len(feed.name) <= 200 for feed in found)


async def test_feeds_with_a_void_page_begin_anew(google: Google) -> None:
    page = await google.source.feeds('{"drives":true,"token":"d999x"}')
    assert (list(page.feeds), page.cursor) == ([], '{"drives":true,"token":null}')
    assert (await google.source.feeds("of another version")).cursor == (await google.source.feeds(None)).cursor
