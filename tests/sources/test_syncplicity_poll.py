"""Syncplicity: the company's event feed, and what is read of the folders that it names."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, Literal

import pytest

from local.platforms.syncplicity import CREATED, DELETED
from shared.domain.events import ShareEvent
from shared.domain.platforms import ItemKind
from shared.domain.trouble import LaterError, RefusedError
from shared.sources.syncplicity.source import FEED
from tests.sources.syncplicity_samples import ANN, BEN, EVE, PAULA, World, company, facts, now, roles

RESTORED, MAPPED, UNMAPPED, OWNER_CHANGED = 9, 10, 11, 17


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with company() as made:
        yield made


async def test_the_starting_point_is_found_without_asking(world: World) -> None:
    page = await world.source.poll(FEED, None)
    assert (page.seen, page.events, page.more, page.rescan) == ((), (), False, False)
    assert page.cursor
    assert world.requests() == []


async def test_what_was_before_is_passed_over(world: World) -> None:
    """The feed begins with the company's first event; nothing but reading finds its end."""
    folder = world.company.folder(ANN, "Projects")
    for _ in range(2500):
        world.company.tell(folder)
    age(world, timedelta(days=30))
    cursor = await world.begin()
    assert world.requests("/syncpoint/") == []
    assert len(world.requests("limit=100")) == 26
    assert await world.news(cursor) == ([], cursor)


async def test_passing_over_takes_several_steps(world: World) -> None:
    folder = world.company.folder(ANN, "Projects")
    for _ in range(2500):
        world.company.tell(folder)
    age(world, timedelta(days=30))
    page = await world.source.poll(FEED, (await world.source.poll(FEED, None)).cursor)
    assert page.more
    assert len(world.requests()) == 20


async def test_what_comes_while_passing_over_is_not_passed_over(world: World) -> None:
    folder = world.company.folder(ANN, "Projects")
    for _ in range(150):
        world.company.tell(folder)
    age(world, timedelta(days=30))
    start = (await world.source.poll(FEED, None)).cursor or ""
    await world.act("share", EVE, f"/{ANN}/Projects", kind="root", role="ReadWrite")
    seen, _ = await world.news(start)
    assert roles(*seen) == {EVE: "ReadWrite"}


@pytest.mark.parametrize("stamp", ["seconds", "milliseconds", None, 638_000_000_000_000_000])
async def test_an_event_is_passed_over_only_when_it_is_surely_old(world: World, stamp: str | int | None) -> None:
    """The C# sample has a long, the Splunk plug-in hands it to Splunk as seconds; a time that is neither is read."""
    world.company.share(world.company.folder(ANN, "Projects"), EVE, 1)
    world.company.tell(next(iter(world.company.folders.values())))
    old = int((now() - timedelta(days=1)).timestamp())
    world.company.events[0]["TimeStamp"] = {"seconds": old, "milliseconds": old * 1000}.get(str(stamp), stamp)
    seen, _ = await world.news((await world.source.poll(FEED, None)).cursor or "")
    assert len(seen) == (0 if stamp in ("seconds", "milliseconds") else 1)


def age(world: World, by: timedelta) -> None:
    for event in world.company.events:
        event["TimeStamp"] -= int(by.total_seconds() * 1000)


@pytest.mark.parametrize("names_owner_by", ["address", "id", "nothing"])
@pytest.mark.parametrize("writes_capitals", [True, False])
async def test_a_share_a_change_and_a_removal(
    world: World, names_owner_by: Literal["address", "id", "nothing"], writes_capitals: bool
) -> None:
    """Neither how keys are written nor what Owner holds is documented."""
    world.company.names_owner_by, world.company.writes_capitals = names_owner_by, writes_capitals
    path = f"/{ANN}/Projects"
    cursor = await world.begin()
    await world.act("share", EVE, path, kind="root", role="ReadWrite", sharer=PAULA)
    (seen,), cursor = await world.news(cursor)
    assert (seen.item.kind, seen.item.path) == (ItemKind.ROOT, path)
    assert roles(seen) == {EVE: "ReadWrite"}
    assert seen.facts[0].sharer.address == PAULA
    await world.act("role", EVE, path, kind="root", role="ReadOnly")
    (seen,), cursor = await world.news(cursor)
    assert roles(seen) == {EVE: "ReadOnly"}
    await world.act("remove", EVE, path, kind="root")
    (seen,), cursor = await world.news(cursor)
    assert roles(seen) == {}
    assert await world.news(cursor) == ([], cursor)


async def test_the_feed_and_the_scan_tell_one_and_the_same(world: World) -> None:
    cursor = await world.begin()
    await world.act("share", EVE, f"/{ANN}/Projects", kind="root", role="ReadWrite")
    polled, scanned = facts(*(await world.news(cursor))[0]), facts(*await world.scan())
    assert [fact.permission for fact in polled] == [fact.permission for fact in scanned]
    assert [fact.item for fact in polled] == [fact.item for fact in scanned]
    assert all(a.says_the_same_as(b) for a, b in zip(polled, scanned, strict=True))


async def test_a_share_whose_event_is_lost_is_found_by_the_scan(world: World) -> None:
    cursor = await world.begin()
    await world.act("share", EVE, f"/{ANN}/Projects", kind="root", notify="never")
    assert (await world.news(cursor))[0] == []
    assert roles(*await world.scan()) == {EVE: "ReadOnly"}


async def test_a_folder_is_read_once_for_a_page(world: World) -> None:
    cursor = await world.begin()
    for person in (EVE, BEN):
        await world.act("share", person, f"/{ANN}/Projects", kind="root", notify="twice")
    del world.company.requests[:]
    (seen,), _ = await world.news(cursor)
    assert roles(seen) == {EVE: "ReadOnly", BEN: "ReadOnly"}
    assert len(world.requests("/syncpoints.svc/")) == 1
    assert world.requests("/links.svc/") == []


async def test_an_owner_s_folders_are_read_with_one_call(world: World) -> None:
    cursor = await world.begin()
    for name in "ABC":
        await world.act("share", EVE, f"/{ANN}/{name}", kind="root")
    del world.company.requests[:]
    seen, _ = await world.news(cursor)
    assert {one.item.path for one in seen} == {f"/{ANN}/{name}" for name in "ABC"}
    assert len(world.requests("/syncpoints.svc/")) == 1


async def test_events_about_files_and_about_nothing_shared_cause_no_reading(world: World) -> None:
    folder = world.company.folder(ANN, "Projects")
    cursor = await world.begin()
    for number in range(50):
        world.company.tell(folder, 2, File={"Id": number, "Name": "plan.pdf", "Version": 1, "Size": 5})
    world.company.tell(folder, None, Syncpoint=None)
    world.company.events[-1]["Data"] = None
    del world.company.requests[:]
    assert (await world.news(cursor))[0] == []
    assert {one.split("?")[0] for one in world.requests()} == {"GET /events/company"}


@pytest.mark.parametrize("type_id", [None, 1, CREATED, MAPPED, UNMAPPED, OWNER_CHANGED, RESTORED, 22, 999])
async def test_whatever_happened_to_a_folder_it_is_read(world: World, type_id: int | None) -> None:
    """The names of the events are not documented, and the numbers only of an older feed."""
    folder = world.company.folder(ANN, "Projects")
    world.company.share(folder, EVE, 2)
    cursor = await world.begin()
    world.company.tell(folder, type_id, Folder={"Id": 1, "Name": "x", "Size": 0})
    assert roles(*(await world.news(cursor))[0]) == {EVE: "Contributor"}


async def test_a_deleted_folder_is_empty_when_the_feed_says_so(world: World) -> None:
    folder = world.company.folder(ANN, "Projects")
    world.company.share(folder, EVE, 1)
    cursor = await world.begin()
    world.company.tell(folder, DELETED)
    del world.company.folders[folder.id]
    began = now()
    (seen,), _ = await world.news(cursor)
    assert (seen.item.id, seen.facts) == (f"syncpoint:{folder.id}", ())
    assert seen.at >= began


async def test_a_folder_that_is_only_not_shown_is_not_taken_for_deleted(world: World) -> None:
    folder = world.company.folder(ANN, "Projects")
    cursor = await world.begin()
    world.company.tell(folder, UNMAPPED)
    del world.company.folders[folder.id]
    assert (await world.news(cursor))[0] == []


@pytest.mark.parametrize(("types", "empty"), [((DELETED, UNMAPPED), True), ((DELETED, RESTORED), False)])
async def test_what_follows_a_deletion(world: World, types: tuple[int, int], empty: bool) -> None:
    folder = world.company.folder(ANN, "Projects")
    cursor = await world.begin()
    for type_id in types:
        world.company.tell(folder, type_id)
    del world.company.folders[folder.id]
    seen, _ = await world.news(cursor)
    assert [one.facts for one in seen] == ([()] if empty else [])


async def test_a_folder_that_was_restored_is_read(world: World) -> None:
    """Events come after what they tell; a folder that is there again after its deletion is there."""
    folder = world.company.folder(ANN, "Projects")
    world.company.share(folder, EVE, 1)
    cursor = await world.begin()
    world.company.tell(folder, DELETED)
    assert roles(*(await world.news(cursor))[0]) == {EVE: "ReadWrite"}


async def test_a_deleted_folder_of_a_user_who_is_gone(world: World) -> None:
    folder = world.company.folder(ANN, "Projects")
    cursor = await world.begin()
    world.company.tell(folder, DELETED)
    del world.company.folders[folder.id]
    world.company.person(ANN).ours = False
    (seen,), _ = await world.news(cursor)
    assert seen.facts == ()


@pytest.mark.parametrize("names_owner_by", ["address", "id", "nothing"])
async def test_what_somebody_outside_owns_is_not_ours(
    world: World, names_owner_by: Literal["address", "id", "nothing"]
) -> None:
    foreign = world.company.folder(BEN, "Theirs")
    world.company.share(foreign, ANN, 1)
    world.company.share(foreign, EVE, 1)
    world.company.names_owner_by = names_owner_by
    cursor = await world.begin()
    world.company.tell(foreign, None, Source={"User": {"Uid": world.company.person(ANN).id}})
    assert (await world.news(cursor))[0] == []


async def test_an_owner_whose_address_is_not_shown_is_left_to_the_scan(world: World) -> None:
    """Whose company such an owner belongs to, only the list of the company's users tells."""
    world.company.share(folder := world.company.folder(ANN, "Projects"), EVE, 1)
    world.company.names_owner_by = "id"
    cursor = await world.begin()
    world.company.tell(folder)
    world.company.person(ANN, EmailAddress=None)
    assert (await world.news(cursor))[0] == []
    assert roles(*await world.scan()) == {EVE: "ReadWrite"}


async def test_a_user_with_an_address_outside_is_ours_when_the_company_has_the_user(world: World) -> None:
    world.company.person(BEN).ours = True
    folder = world.company.folder(BEN, "Projects")
    world.company.share(folder, EVE, 1)
    world.company.names_owner_by = "id"
    cursor = await world.begin()
    world.company.tell(folder)
    assert roles(*(await world.news(cursor))[0]) == {EVE: "ReadWrite", BEN: "Owner"}


async def test_what_a_participant_did_is_read_with_the_owner(world: World) -> None:
    """Only the owner's list tells whether the name is the only one."""
    folder = world.company.folder(ANN, "Projects")
    world.company.folder(ANN, "projects")
    world.company.share(folder, PAULA, 1)
    world.company.share(folder, EVE, 3, inviter=PAULA)
    world.company.names_owner_by = "nothing"
    cursor = await world.begin()
    world.company.tell(folder, None, Source={"User": {"Uid": world.company.person(PAULA).id}})
    (seen,), _ = await world.news(cursor)
    assert seen.item.path is None
    assert roles(seen) == {PAULA: "ReadWrite", EVE: "ReadOnly"}


async def test_a_folder_that_changed_hands_is_read_with_its_new_owner(world: World) -> None:
    folder = world.company.folder(ANN, "Projects")
    world.company.share(folder, EVE, 1)
    cursor = await world.begin()
    world.company.tell(folder, OWNER_CHANGED)
    world.company.share(folder, ANN, 1)
    folder.owner = world.company.person(PAULA)
    (seen,), _ = await world.news(cursor)
    assert seen.item.path == f"/{PAULA}/Projects"
    assert roles(seen) == {EVE: "ReadWrite", ANN: "ReadWrite"}


@pytest.mark.parametrize("user", [None, {}, {"Uid": None}, {"Uid": "somebody"}])
async def test_an_event_that_names_nobody_is_left_to_the_scan(world: World, user: dict[str, Any] | None) -> None:
    folder = world.company.folder(ANN, "Projects")
    world.company.names_owner_by = "nothing"
    cursor = await world.begin()
    world.company.tell(folder, None, Source={"User": user})
    assert (await world.news(cursor))[0] == []


async def test_a_page_without_events_does_not_move_the_checkpoint(world: World) -> None:
    """Axway's plug-in for Splunk keeps the old one; else the feed would begin anew."""
    cursor = await world.begin()
    await world.act("share", EVE, f"/{ANN}/Projects", kind="root")
    seen, cursor = await world.news(cursor)
    assert (await world.source.poll(FEED, cursor)).cursor == cursor
    await world.act("share", BEN, f"/{ANN}/Other", kind="root")
    seen, _ = await world.news(cursor)
    assert roles(*seen) == {BEN: "ReadOnly"}


async def test_a_page_may_be_repeated(world: World) -> None:
    cursor = await world.begin()
    await world.act("share", EVE, f"/{ANN}/Projects", kind="root")
    once, again = await world.source.poll(FEED, cursor), await world.source.poll(FEED, cursor)
    assert once.cursor == again.cursor
    assert [fact.permission for fact in facts(*once.seen)] == [fact.permission for fact in facts(*again.seen)]


async def test_events_without_a_checkpoint_are_for_later(world: World) -> None:
    cursor = await world.begin()
    await world.act("share", EVE, f"/{ANN}/Projects", kind="root")
    world.fail("/events/", status=200, body=json.dumps(world.company.events))
    with pytest.raises(LaterError) as caught:
        await world.source.poll(FEED, cursor)
    assert "X-SYNCP-NEXTPAGE" in str(caught.value.detail)
    assert roles(*(await world.news(cursor))[0]) == {EVE: "ReadOnly"}


@pytest.mark.parametrize("status", [400, 410])
async def test_a_void_checkpoint_begins_anew_and_asks_for_a_scan(world: World, status: int) -> None:
    cursor = await world.begin()
    await world.act("share", EVE, f"/{ANN}/Projects", kind="root")
    _, cursor = await world.news(cursor)
    world.fail("/events/", status=status)
    page = await world.source.poll(FEED, cursor)
    assert (page.rescan, page.more, page.seen) == (True, True, ())
    await world.act("share", BEN, f"/{ANN}/Other", kind="root")
    assert roles(*(await world.news(page.cursor or ""))[0]).keys() == {EVE, BEN}


async def test_a_checkpoint_that_the_feed_has_forgotten(world: World) -> None:
    cursor = await world.begin()
    await world.act("share", EVE, f"/{ANN}/Projects", kind="root")
    _, cursor = await world.news(cursor)
    await world.act("share", BEN, f"/{ANN}/Other", kind="root")
    await world.act("share", BEN, f"/{ANN}/Third", kind="root")
    world.company.forgotten = 2
    page = await world.source.poll(FEED, cursor)
    assert page.rescan
    seen, _ = await world.news(page.cursor or "")
    assert {one.item.path for one in seen} == {f"/{ANN}/Third"}


async def test_a_feed_that_begins_with_a_bad_request_is_not_void(world: World) -> None:
    cursor = (await world.source.poll(FEED, None)).cursor
    world.fail("/events/", status=400)
    with pytest.raises(LaterError):
        await world.source.poll(FEED, cursor)


async def test_a_void_checkpoint_is_noticed_while_passing_over(world: World) -> None:
    folder = world.company.folder(ANN, "Projects")
    for _ in range(2500):
        world.company.tell(folder)
    age(world, timedelta(days=30))
    page = await world.source.poll(FEED, (await world.source.poll(FEED, None)).cursor)
    world.company.forgotten = 2400
    page = await world.source.poll(FEED, page.cursor)
    assert (page.rescan, page.more) == (True, True)
    assert (await world.news(page.cursor or ""))[0] == []


async def test_a_step_reads_a_bounded_number_of_folders(world: World) -> None:
    cursor = await world.begin()
    for number in range(70):
        await world.act("share", EVE, f"/user{number}@contoso.com/Projects", kind="root")
    found: list[ShareEvent] = []
    while True:
        before = len(world.requests())
        page = await world.source.poll(FEED, cursor)
        assert len(world.requests()) - before <= 60
        assert len(page.seen) <= 20
        found += facts(*page.seen)
        cursor = page.cursor or ""
        assert len(cursor) < 300
        if not page.more:
            break
    assert len(found) == 70


async def test_a_privilege_that_is_missing_is_noticed(world: World) -> None:
    world.company.folder(world.company.administrator.address, "His own")
    cursor = await world.begin()
    await world.act("share", EVE, f"/{ANN}/Projects", kind="root")
    world.company.may_act_for_others = False
    with pytest.raises(RefusedError):
        await world.source.poll(FEED, cursor)


@pytest.mark.parametrize(
    ("event", "fault"),
    [
        ({"timestamp": "yesterday"}, "$[0].timestamp"),
        ({"data": {"syncpoint": {"id": "eve@partner.example"}}}, "$[0].data.syncpoint.id"),
        ({"data": {"syncpoint": {"id": 1, "owner": 7}}}, "$[0].data.syncpoint.owner"),
        ({"data": []}, "$[0].data"),
    ],
)
async def test_an_event_that_is_not_as_documented_is_for_later(world: World, event: dict[str, Any], fault: str) -> None:
    cursor = await world.begin()
    world.fail("/events/", status=200, body=json.dumps([event]))
    with pytest.raises(LaterError) as caught:
        await world.source.poll(FEED, cursor)
    assert fault in str(caught.value.detail)
    assert "eve@partner" not in str(caught.value.detail)


async def test_numbers_may_be_written_as_texts(world: World) -> None:
    folder = world.company.folder(ANN, "Projects")
    world.company.share(folder, EVE, 1)
    cursor = await world.begin()
    world.company.tell(folder)
    event = world.company.events[0]
    event["TimeStamp"] = str(event["TimeStamp"])
    event["Data"]["Syncpoint"]["Id"] = str(folder.id)
    assert roles(*(await world.news(cursor))[0]) == {EVE: "ReadWrite"}


async def test_facts_are_complete(world: World) -> None:
    cursor = await world.begin()
    await world.act("share", EVE, f"/{ANN}/Projects", kind="root")
    (fact,) = facts(*(await world.news(cursor))[0])
    assert await world.source.enrich(fact) == [fact]
