"""Google Workspace: what is new, asked through Google's own client."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from shared.domain.events import Change
from shared.domain.platforms import ItemKind
from shared.domain.reasons import Reason
from shared.domain.trouble import RefusedError
from shared.sources.google_workspace import changes as google_changes
from shared.sources.google_workspace import sharing as google_sharing
from shared.sources.google_workspace import step as google_step
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


def mine(google: Google, email: str = OLGA) -> str:
    return f"changes:{google.account.people[email].id}"


# --- changes


async def test_a_change_becomes_the_whole_permission_set(google: Google) -> None:
    began = datetime.now(UTC).replace(microsecond=0)
    cursor = await google.start(mine(google))
    await google.act("share", EXA, f"/{OLGA}/Projects/Alpha", "writer")
    await google.act("share", MARA, f"/{OLGA}/Projects/Alpha", "reader")
    await google.act("share", PAUL, f"/{OLGA}/Projects/Alpha", "reader")
    pages, cursor = await google.polled(mine(google), cursor)
    alpha = google.account.at(f"/{OLGA}/Projects/Alpha")
    seen = sets(pages)[alpha or ""]
    assert roles(seen) == {EXA: "writer", MARA: "reader", PAUL: "reader"}
    assert (seen.item.kind, seen.item.path) == (ItemKind.FOLDER, f"/{OLGA}/Projects/Alpha")
    fact = seen.facts[0]
    assert fact.change is Change.KEPT
    assert fact.reference == f"{alpha}:{EXA}"
    assert (fact.item, fact.at) == (seen.item, seen.at)
    assert began <= seen.at <= datetime.now(UTC)
    assert seen.at.microsecond == 0
    assert not fact.tells_origin
    assert len({one.id for one in seen.facts}) == 3
    assert all(one.id.startswith("seen:") for one in seen.facts)

    await google.act("role", EXA, f"/{OLGA}/Projects/Alpha", "reader", notify="never")
    await google.act("remove", MARA, f"/{OLGA}/Projects/Alpha", notify="never")
    pages, cursor = await google.polled(mine(google), cursor)
    assert roles(sets(pages)[alpha or ""]) == {EXA: "reader", PAUL: "reader"}
    await google.act("remove", EXA, f"/{OLGA}/Projects/Alpha", notify="never")
    await google.act("remove", PAUL, f"/{OLGA}/Projects/Alpha", notify="never")
    pages, cursor = await google.polled(mine(google), cursor)
    assert roles(sets(pages)[alpha or ""]) == {}
    pages, _ = await google.polled(mine(google), cursor)
    assert sets(pages) == {}


async def test_without_a_cursor_nothing_is_read(google: Google) -> None:
    await google.act("share", EXA, f"/{OLGA}/Alpha")
    cursor = await google.start(mine(google))
    assert "GET /drive/v3/changes" not in google.asked()
    pages, _ = await google.polled(mine(google), cursor)
    assert sets(pages) == {}


async def test_what_is_seen_is_seen_when_google_was_asked_and_not_later(
    google: Google, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is given while a page is worked on is newer than the page, and so not taken for lost."""
    base = datetime(2026, 11, 25, tzinfo=UTC)
    requests = google.stand_in.requests
    for module in (google_changes, google_step, google_sharing):  # a clock that ticks with every request
        monkeypatch.setattr(module, "now", lambda: base + timedelta(minutes=len(requests)))
    cursor = await google.start(mine(google))
    shared = google.account.at(f"/{OLGA}/shared") or ""
    alone = google.account.at(f"/{OLGA}/alone") or ""
    google.give(shared, EXA)
    gone = google.account.at(f"/{OLGA}/gone") or ""
    google.account.delete(gone)
    requests.clear()
    pages, _ = await google.polled(mine(google), cursor)
    asked = [one.partition("?")[0] for one in requests]
    at = {
        ident: base + timedelta(minutes=asked.index(f"GET /drive/v3/{what}"))
        for ident, what in ((alone, "changes"), (shared, f"files/{shared}/permissions"), (gone, f"files/{gone}"))
    }
    assert {ident: seen.at for ident, seen in sets(pages).items()} == at
    assert [fact.at for fact in sets(pages)[shared].facts] == [at[shared]]


async def test_an_item_that_is_not_shared_costs_no_call_of_its_own(google: Google) -> None:
    cursor = await google.start(mine(google))
    for number in range(5):
        google.account.at(f"/{OLGA}/Report {number}", "file")
    google.asked()
    pages, _ = await google.polled(mine(google), cursor)
    assert [roles(seen) for seen in sets(pages).values()] == [{}] * 5
    assert len(google.asked()) == 2


async def test_what_is_in_the_trash_is_nobody_s_also_beneath(google: Google) -> None:
    await google.act("share", EXA, f"/{OLGA}/Alpha")
    await google.act("share", EXA, f"/{OLGA}/Alpha/plan.pdf", kind="file")
    alpha = google.account.at(f"/{OLGA}/Alpha") or ""
    plan = google.account.at(f"/{OLGA}/Alpha/plan.pdf") or ""
    cursor = await google.start(mine(google))
    google.account.trash(alpha)
    pages, cursor = await google.polled(mine(google), cursor)
    assert {ident: roles(seen) for ident, seen in sets(pages).items()} == {alpha: {}, plan: {}}
    google.account.trash(alpha, trashed=False)
    pages, cursor = await google.polled(mine(google), cursor)
    assert roles(sets(pages)[plan]) == {EXA: "writer"}


async def test_what_is_deleted_for_good_is_nobody_s(google: Google) -> None:
    await google.act("share", EXA, f"/{OLGA}/Alpha")
    alpha = google.account.at(f"/{OLGA}/Alpha") or ""
    cursor = await google.start(mine(google))
    google.account.delete(alpha)
    pages, _ = await google.polled(mine(google), cursor)
    assert roles(sets(pages)[alpha]) == {}
    assert sets(pages)[alpha].item.kind is ItemKind.FOLDER


async def test_who_only_loses_sight_of_an_item_tells_nothing_of_it(google: Google) -> None:
    await google.act("share", EXA, f"/{OLGA}/Alpha")
    await google.act("share", PAUL, f"/{OLGA}/Alpha")
    cursor = await google.start(mine(google, PAUL))
    await google.act("remove", PAUL, f"/{OLGA}/Alpha")
    pages, _ = await google.polled(mine(google, PAUL), cursor)
    assert sum(page.items for page in pages) == 1
    assert sets(pages) == {}


async def test_only_the_owner_s_feed_tells_of_an_item(google: Google) -> None:
    ours, theirs = await google.start(mine(google)), await google.start(mine(google, PAUL))
    await google.act("share", PAUL, f"/{OLGA}/Alpha")
    await google.act("share", EXA, f"/{OLGA}/Alpha")
    assert len(sets((await google.polled(mine(google), ours))[0])) == 1
    assert sets((await google.polled(mine(google, PAUL), theirs))[0]) == {}


async def test_what_another_company_shares_with_us_is_not_ours(google: Google) -> None:
    google.account.add_person("owner@partner.example")
    cursor = await google.start(mine(google))
    await google.act("share", OLGA, "/owner@partner.example/Theirs")
    await google.act("share", EXA, "/owner@partner.example/Theirs")
    pages, cursor = await google.polled(mine(google), cursor)
    assert sets(pages) == {}
    await google.act("remove", OLGA, "/owner@partner.example/Theirs")
    pages, _ = await google.polled(mine(google), cursor)
    assert sets(pages) == {}


async def test_ownership_that_moves_is_told_by_the_new_owner_s_feed(google: Google) -> None:
    await google.act("share", EXA, f"/{OLGA}/Alpha")
    alpha = google.account.at(f"/{OLGA}/Alpha") or ""
    ours, theirs = await google.start(mine(google)), await google.start(mine(google, PAUL))
    before = google.account.seen_by(alpha)
    google.account.entries[alpha].owner = PAUL
    google.give(alpha, OLGA)
    google.account.changed(alpha, before)
    assert sets((await google.polled(mine(google), ours))[0]) == {}
    assert EXA in roles(sets((await google.polled(mine(google, PAUL), theirs))[0])[alpha])


async def test_a_shared_drive_s_changes(google: Google) -> None:
    drive = google.account.add_drive("Sales", PAUL)
    cursor = await google.start(f"drive:{drive}")
    await google.act("share", EXA, "/Shared drives/Sales/Offers", "writer")
    await google.act("share", EXA, "/Shared drives/Sales/Offers/list.pdf", "reader", kind="file")
    await google.act("share", MARA, "/Shared drives/Sales", "reader", kind="root")
    pages, cursor = await google.polled(f"drive:{drive}", cursor)
    found = sets(pages)
    offers = found[google.account.at("/Shared drives/Sales/Offers") or ""]
    file = found[google.account.at("/Shared drives/Sales/Offers/list.pdf") or ""]
    assert roles(offers) == {EXA: "writer"}
    assert (offers.item.kind, offers.item.path) == (ItemKind.FOLDER, "/Shared drives/Sales/Offers")
    # Exa writes there through the folder; what was given on the file itself is less.
    assert roles(file) == {EXA: "reader"}
    assert (file.item.kind, file.item.path) == (ItemKind.FILE, "/Shared drives/Sales/Offers/list.pdf")
    assert roles(found[drive]) == {MARA: "reader", PAUL: "organizer"}
    assert (found[drive].item.kind, found[drive].item.path) == (ItemKind.ROOT, "/Shared drives/Sales")

    await google.act("remove", EXA, "/Shared drives/Sales/Offers")
    google.account.delete(file.item.id)
    pages, _ = await google.polled(f"drive:{drive}", cursor)
    assert {ident: roles(seen) for ident, seen in sets(pages).items()} == {offers.item.id: {}, file.item.id: {}}


async def test_a_person_s_feed_leaves_shared_drives_to_theirs(google: Google) -> None:
    google.account.add_drive("Sales", PAUL)
    cursor = await google.start(mine(google, PAUL))
    await google.act("share", EXA, "/Shared drives/Sales/Offers")
    pages, _ = await google.polled(mine(google, PAUL), cursor)
    assert sets(pages) == {}
    assert [page.items for page in pages] == [0]


async def test_an_item_that_leaves_a_shared_drive_is_told_where_it_comes_to(google: Google) -> None:
    drive = google.account.add_drive("Sales", PAUL)
    await google.act("share", EXA, "/Shared drives/Sales/Offers")
    offers = google.account.at("/Shared drives/Sales/Offers") or ""
    ours, theirs = await google.start(f"drive:{drive}"), await google.start(mine(google, PAUL))
    entry = google.account.entries[offers]
    before = google.account.seen_by(offers)
    entry.drive, entry.owner, entry.parent = None, PAUL, google.account.root_of(PAUL)
    google.account.changed(offers, before)
    google.account.changes[-1].drives.add(drive)
    google.account.report("move", entry, PAUL, [])
    assert sets((await google.polled(f"drive:{drive}", ours))[0]) == {}
    google.account.changes[-1].drives.clear()
    pages, _ = await google.polled(mine(google, PAUL), theirs)
    assert roles(sets(pages)[offers]) == {EXA: "writer"}


async def test_a_step_ends_before_it_takes_long_and_goes_on_where_it_ended(google: Google) -> None:
    cursor = await google.start(mine(google))
    for number in range(130):
        await google.act("share", EXA, f"/{OLGA}/Folder {number}", notify="never")
    calls = []
    pages = []
    more = True
    while more:
        google.asked()
        page = await google.source.poll(mine(google), cursor)
        calls.append(len(google.asked()))
        pages.append(page)
        more, cursor = page.more, page.cursor or ""
        assert len(cursor) < 30_000
    assert max(calls) < 60
    assert len(sets(pages)) == 130
    assert all(seen.item.path for seen in sets(pages).values())
    assert sum(page.items for page in pages) == 130


@pytest.mark.parametrize("void", ["google", "ours"])
async def test_a_void_cursor_asks_for_a_scan(google: Google, void: str) -> None:
    cursor = await google.start(mine(google))
    await google.act("share", EXA, f"/{OLGA}/Alpha")
    if void == "google":
        google.stand_in.pages.voided.add(json.loads(cursor)["page"])
    page = await google.source.poll(mine(google), cursor if void == "google" else "of another version")
    assert (page.rescan, page.more, page.seen) == (True, True, ())
    await google.act("share", EXA, f"/{OLGA}/Beta")
    pages, _ = await google.polled(mine(google), page.cursor)
    assert list(sets(pages)) == [google.account.at(f"/{OLGA}/Beta")]
    assert not any(page.rescan for page in pages)


@pytest.mark.parametrize("why", ["suspended", "archived", "deleted"])
async def test_the_feed_of_who_cannot_be_acted_as_says_so(google: Google, why: str) -> None:
    feed, cursor = mine(google), await google.start(mine(google))
    if why == "deleted":
        del google.account.people[OLGA]
    else:
        setattr(google.account.people[OLGA], why, True)
    with pytest.raises(RefusedError) as caught:
        await google.source.poll(feed, cursor)
    assert caught.value.reason is Reason.SOURCE_REFUSED
    assert "olga" not in str(caught.value.detail)


async def test_a_shared_drive_that_nobody_of_ours_manages_says_so(google: Google) -> None:
    google.account.add_person("somebody@partner.example")
    drive = google.account.add_drive("Orphaned", "somebody@partner.example")
    google.give(drive, PAUL, "reader")
    with pytest.raises(RefusedError, match="source-refused") as caught:
        await google.source.poll(f"drive:{drive}", None)
    assert "manager" in str(caught.value.detail)


@pytest.mark.parametrize("feed", ["drive:0Bnothing", "changes:123", "something else", ""])
async def test_feeds_that_are_not_there_are_refused(google: Google, feed: str) -> None:
    with pytest.raises(RefusedError):
        await google.source.poll(feed, None)


async def test_a_shared_drive_is_read_as_the_best_of_its_managers(google: Google) -> None:
    drive = google.account.add_drive("Sales", PAUL)
    google.give(drive, OLGA, "fileOrganizer")
    google.account.people[PAUL].suspended = True
    await google.start(f"drive:{drive}")
    assert {bearer.user for bearer in google.stand_in.tokens.given.values()} == {ADMINISTRATOR, OLGA}


async def test_a_shared_drive_that_only_a_group_manages_is_read_as_one_of_the_group(google: Google) -> None:
    await google.seed_group("managers@contoso.com", EXA, PAUL)
    drive = google.account.add_drive("Sales", "managers@contoso.com")
    await google.start(f"drive:{drive}")
    assert PAUL in {bearer.user for bearer in google.stand_in.tokens.given.values()}


# --- reports


async def test_reports_say_who_and_when_and_name_the_permission_that_a_change_names(google: Google) -> None:
    changes, reports = await google.start(mine(google)), await google.start("reports")
    ends = datetime.now(UTC).replace(microsecond=0) + timedelta(days=30)
    await google.act("share", EXA, f"/{OLGA}/Alpha", "writer", sharer=PAUL, expires_at=ends)
    (fact,) = await google.told(reports)
    (alpha,) = sets((await google.polled(mine(google), changes))[0]).values()
    (seen,) = alpha.facts
    assert fact.change is Change.GIVEN
    assert fact.sharer.address == PAUL
    assert fact.shared_at == fact.at
    assert fact.id.startswith("google-workspace:")
    assert (fact.reference, fact.permission, fact.role) == (seen.reference, seen.permission, seen.role)
    assert (fact.principal, fact.item, fact.expires_at) == (seen.principal, seen.item, ends)


async def test_role_changes_and_removals_are_told(google: Google) -> None:
    reports = await google.start("reports")
    await google.act("share", EXA, f"/{OLGA}/plan.pdf", "reader", kind="file")
    await google.act("role", EXA, f"/{OLGA}/plan.pdf", "commenter", kind="file")
    given, kept = await google.told(reports)
    assert (given.change, given.role, kept.change, kept.role) == (Change.GIVEN, "reader", Change.KEPT, "commenter")
    assert given.item is not None
    assert (given.item.kind, given.item.path) == (ItemKind.FILE, f"/{OLGA}/plan.pdf")
    await google.act("remove", EXA, f"/{OLGA}/plan.pdf", kind="file")
    google.asked()
    lost = max(await google.told(reports), key=lambda fact: fact.at)
    assert (lost.change, lost.reference) == (Change.LOST, given.reference)


async def test_what_an_outside_person_lost_does_not_wait_for_drive(google: Google) -> None:
    await google.act("share", EXA, f"/{OLGA}/Alpha")
    reports = await google.start("reports")
    await google.act("remove", EXA, f"/{OLGA}/Alpha")
    (lost,) = [event for event in (await google.polled("reports", reports))[0][0].events if event.change is Change.LOST]
    google.fail(path="/", status=503, times=100)
    assert await google.source.enrich(lost) == [lost]


async def test_the_same_activity_is_told_once_also_when_it_comes_late(google: Google) -> None:
    reports = await google.start("reports")
    await google.act("share", EXA, f"/{OLGA}/Alpha")
    pages, reports = await google.polled("reports", reports)
    assert sum(len(page.events) for page in pages) == 1
    late = datetime.now(UTC) - timedelta(hours=2)
    await google.act("share", MARA, f"/{OLGA}/Alpha", shared_at=late)
    pages, reports = await google.polled("reports", reports)
    assert [event.principal.address for page in pages for event in page.events] == [MARA]
    pages, _ = await google.polled("reports", reports)
    assert not any(page.events for page in pages)


async def test_reports_are_read_page_by_page(google: Google) -> None:
    reports = await google.start("reports")
    for number in range(120):
        await google.act("share", EXA, f"/{OLGA}/Folder {number}", notify="never")
    pages, cursor = await google.polled("reports", reports)
    assert len({event.id for page in pages for event in page.events}) == 120
    assert max(len(page.events) for page in pages) <= 25
    assert max(len(page.cursor or "") for page in pages) < 30_000
    again, _ = await google.polled("reports", cursor)
    assert not any(page.events for page in again)


async def test_a_void_page_begins_the_round_anew(google: Google) -> None:
    reports = await google.start("reports")
    for number in range(60):
        await google.act("share", EXA, f"/{OLGA}/Folder {number}", notify="never")
    first = await google.source.poll("reports", reports)
    google.stand_in.pages.voided.add("a25")
    anew = await google.source.poll("reports", first.cursor)
    assert (anew.rescan, anew.more, list(anew.events)) == (False, True, [])
    google.stand_in.pages.voided.clear()
    pages, _ = await google.polled("reports", anew.cursor)
    rest = {event.id for page in pages for event in page.events}
    assert len(rest | {event.id for event in first.events}) == 60


@pytest.mark.parametrize("age", [timedelta(days=200), None])
async def test_reports_that_google_keeps_no_more_ask_for_a_scan(google: Google, age: timedelta | None) -> None:
    since = (datetime.now(UTC) - age).isoformat() if age else "never"
    page = await google.source.poll("reports", json.dumps({"since": since}))
    assert (page.rescan, page.more, list(page.events)) == (True, True, [])
    pages, _ = await google.polled("reports", page.cursor)
    assert not any(page.rescan for page in pages)


async def test_what_the_company_gives_its_own_people_is_left_out(google: Google) -> None:
    reports = await google.start("reports")
    await google.act("share", PAUL, f"/{OLGA}/Alpha")
    await google.act("remove", PAUL, f"/{OLGA}/Alpha")
    assert await google.told(reports) == []


async def test_a_share_that_was_taken_back_meanwhile_keeps_what_is_known(google: Google) -> None:
    reports = await google.start("reports")
    await google.act("share", EXA, f"/{OLGA}/Alpha")
    await google.act("share", MARA, f"/{OLGA}/Alpha")
    await google.act("remove", EXA, f"/{OLGA}/Alpha")
    given, lost = sorted((f for f in await google.told(reports) if f.address == EXA), key=lambda fact: fact.at)
    assert (given.change, lost.change) == (Change.GIVEN, Change.LOST)
    assert given.item is not None
    assert given.item.path == f"/{OLGA}/Alpha"


@pytest.mark.parametrize("why", ["suspended", "deleted", "trashed"])
async def test_an_item_that_cannot_be_read_has_no_path(google: Google, why: str) -> None:
    reports = await google.start("reports")
    await google.act("share", EXA, f"/{OLGA}/Alpha")
    if why == "suspended":
        google.account.people[OLGA].suspended = True
    elif why == "deleted":
        google.account.delete(google.account.at(f"/{OLGA}/Alpha") or "")
    else:
        google.account.trash(google.account.at(f"/{OLGA}/Alpha") or "")
    (given,) = await google.told(reports)
    assert given.item is not None
    assert (given.principal.address, given.item.path) == (EXA, None)


async def test_where_an_item_lives_is_asked_when_it_is_not_known_any_more(google: Google) -> None:
    reports = await google.start("reports")
    google.account.add_drive("Sales", PAUL)
    await google.act("share", EXA, f"/{OLGA}/Alpha")
    await google.act("share", EXA, "/Shared drives/Sales/Offers")
    pages, _ = await google.polled("reports", reports)
    events = [event for page in pages for event in page.events]
    google.source._lives.clear()
    found = [one.item.path for event in events for one in await google.source.enrich(event) if one.item]
    assert sorted(path or "" for path in found) == ["/Shared drives/Sales/Offers", f"/{OLGA}/Alpha"]


async def test_members_of_a_shared_drive_are_told(google: Google) -> None:
    reports = await google.start("reports")
    google.account.add_drive("Sales", PAUL)
    await google.act("share", EXA, "/Shared drives/Sales", "fileOrganizer", kind="root", sharer=PAUL)
    (given,) = await google.told(reports)
    assert given.item is not None
    assert (given.item.kind, given.item.path) == (ItemKind.ROOT, "/Shared drives/Sales")
    assert (given.role, given.sharer.address) == ("fileOrganizer", PAUL)


async def test_another_company_s_shared_drive_is_not_ours(google: Google) -> None:
    reports = await google.start("reports")
    drive = google.account.add_drive("Theirs", PAUL)
    await google.act("share", EXA, "/Shared drives/Theirs/Offers")
    await google.act("share", EXA, "/Shared drives/Theirs", kind="root")
    del google.account.drives[drive]
    assert await google.told(reports) == []
