"""Syncplicity: everything that is shared now."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local.platforms.syncplicity import SYNCPLICITY_DRIVE, date
from shared.domain.events import Change, PrincipalKind, Sharer
from shared.domain.platforms import ItemKind, Platform, map_role
from shared.domain.reasons import Reason
from shared.domain.sources import Page, PermissionSet
from shared.domain.trouble import LaterError, RefusedError
from tests.sources.syncplicity_samples import ANN, BEN, EVE, PAULA, World, company, facts, now, roles

SHARED = datetime(2021, 3, 4, 5, 6, 7, tzinfo=UTC)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with company() as made:
        yield made


def by_path(seen: list[PermissionSet]) -> dict[str | None, PermissionSet]:
    return {one.item.path: one for one in seen}


async def test_a_share_is_read_whole(world: World) -> None:
    folder = world.company.folder(ANN, "Projects")
    world.company.share(folder, "Eve.Partner@Partner.Example", 1, inviter=PAULA)
    began = now()
    (seen,) = await world.scan()
    (fact,) = seen.facts
    assert began <= seen.at <= now()
    assert seen.at.microsecond == 0
    assert seen.item.model_dump() == {
        "id": f"syncpoint:{folder.id}",
        "kind": ItemKind.ROOT,
        "path": "/ann@contoso.com/Projects",
    }
    assert (fact.connection, fact.change, fact.at, fact.item) == ("syncplicity-main", Change.KEPT, seen.at, seen.item)
    assert fact.id.startswith("seen:")
    assert fact.reference == f"{folder.id}:eve.partner@partner.example"
    assert fact.role == "ReadWrite"
    assert fact.principal.kind is PrincipalKind.PERSON
    assert (fact.principal.address, fact.principal.name) == ("Eve.Partner@Partner.Example", "Eve Partner")
    assert (fact.principal.source_id, fact.principal.suspended, fact.principal.group) == (
        world.company.person("eve.partner@partner.example").id,
        False,
        None,
    )
    assert fact.sharer == Sharer(address=PAULA, source_id=world.company.person(PAULA).id)
    assert (fact.shared_at, fact.expires_at, fact.pending) == (None, None, False)  # not known there: never "now"


@pytest.mark.parametrize(
    ("number", "role"), [(0, "None"), (1, "ReadWrite"), (2, "Contributor"), (3, "ReadOnly"), (4, "Permission 4")]
)
async def test_every_role(world: World, number: int, role: str) -> None:
    world.company.share(world.company.folder(ANN, "Projects"), EVE, number)
    assert roles(*await world.scan()) == {EVE: role}
    assert (map_role(Platform.SYNCPLICITY, role, {}) is None) == (number == 4)


async def test_an_inviter_who_is_not_told_stays_unknown(world: World) -> None:
    folder = world.company.folder(ANN, "Projects")
    folder.people["x"] = (world.company.person(EVE), 1, None)
    (fact,) = facts(*await world.scan())
    assert fact.sharer == Sharer()


@pytest.mark.parametrize(
    ("shown", "suspended"),
    [
        ({"Status": 0}, False),
        ({"Status": 1}, True),
        ({"Status": 2}, False),
        ({"Status": 3}, False),
        ({"Status": 4}, False),
        ({"Status": 5}, False),
        ({"Status": 6}, True),
        ({"Disabled": True}, True),
        ({"Disabled": False}, False),
    ],
)
async def test_suspended_accounts_are_flagged(world: World, shown: dict[str, Any], suspended: bool) -> None:
    world.company.person(EVE, **shown)
    world.company.share(world.company.folder(ANN, "Projects"), EVE, 1)
    (fact,) = facts(*await world.scan())
    assert fact.principal.suspended is suspended


async def test_the_owner_is_a_fact_only_as_an_outsider(world: World) -> None:
    world.company.folder(ANN, "Inside")
    contractor = world.company.person(BEN)
    contractor.ours = True  # a user of the company with an address of another domain
    world.company.folder(BEN, "Outside")
    seen = by_path(await world.scan())
    assert seen["/ann@contoso.com/Inside"].facts == ()
    assert roles(seen[f"/{BEN}/Outside"]) == {BEN: "Owner"}
    (fact,) = seen[f"/{BEN}/Outside"].facts
    assert fact.reference == f"{seen[f'/{BEN}/Outside'].item.id.removeprefix('syncpoint:')}:{BEN}"


async def test_an_owner_who_is_also_among_the_participants_has_one_role(world: World) -> None:
    world.company.person(BEN).ours = True
    folder = world.company.folder(BEN, "Projects")
    world.company.share(folder, BEN, 3)
    assert [fact.role for fact in facts(*await world.scan())] == ["Owner"]


async def test_a_person_of_another_privacy_region_has_no_address(world: World) -> None:
    """CrossRolExample.cs: such a participant has an id and OriginalRolId."""
    folder = world.company.folder(ANN, "Projects")
    stranger = world.company.person(EVE, EmailAddress=None, OriginalRolId=2)
    world.company.share(folder, EVE, 1)
    (fact,) = facts(*await world.scan())
    assert (fact.principal.address, fact.principal.source_id) == (None, stranger.id)
    assert fact.reference == f"{folder.id}:{stranger.id}"


async def test_what_is_no_address_still_makes_one_reference(world: World) -> None:
    long = "x" * 490
    for number, address in enumerate(("not an address", long)):
        world.company.share(world.company.folder(ANN, f"F{number}"), EVE, 1)
        world.company.person(EVE, EmailAddress=address)
    first, second = facts(*await world.scan())
    assert (first.reference or "").endswith(world.company.person(EVE).id)
    assert first.address is None
    assert second.principal.address == long


async def test_what_others_share_with_us_is_not_ours(world: World) -> None:
    foreign = world.company.folder(BEN, "Theirs")
    world.company.share(foreign, ANN, 1)
    world.company.share(foreign, EVE, 1)
    own = world.company.folder(PAULA, "Hers")
    assert [one.item.id for one in await world.scan()] == [f"syncpoint:{own.id}"]


async def test_a_folder_is_read_once_with_its_owner(world: World) -> None:
    folder = world.company.folder(ANN, "Projects")
    for person in (PAULA, "ivo@contoso.com", EVE):
        world.company.share(folder, person, 1)
    (seen,) = await world.scan()
    assert roles(seen).keys() == {PAULA, "ivo@contoso.com", EVE}  # who is inside is sorted out later
    assert world.requests("/participants") == []


async def test_a_folder_that_is_shared_no_more_has_an_empty_set(world: World) -> None:
    world.company.folder(ANN, "Projects")
    (seen,) = await world.scan()
    assert (seen.item.path, seen.facts) == ("/ann@contoso.com/Projects", ())


async def test_a_list_without_participants_is_no_proof(world: World) -> None:
    """Else everybody would lose access when the service takes no notice of `include`."""
    folder = world.company.folder(ANN, "Projects")
    world.company.folder(ANN, "Private")
    world.company.share(folder, EVE, 3)
    world.company.includes_participants = False
    seen = by_path(await world.scan())
    assert roles(seen["/ann@contoso.com/Projects"]) == {EVE: "ReadOnly"}
    assert seen["/ann@contoso.com/Private"].facts == ()
    participants = f"GET /syncpoint/syncpoint_participants.svc/{folder.id}/participants"
    assert world.requests("/participants") == [participants]
    world.fail("/syncpoint/syncpoint_participants.svc/", status=404)
    assert by_path(await world.scan()).keys() == {"/ann@contoso.com/Private"}


async def test_syncplicity_drive_is_not_left_out(world: World) -> None:
    """Without includeType the service leaves out folders of type 8 (SyncPointsService.cs)."""
    world.company.share(world.company.folder(ANN, "Drive", type=SYNCPLICITY_DRIVE), EVE, 1)
    assert roles(*await world.scan()) == {EVE: "ReadWrite"}


@pytest.mark.parametrize("name", ["a/b", "a\\b", " ", "x" * 4000])
async def test_a_name_that_could_be_read_as_a_path_has_no_path(world: World, name: str) -> None:
    world.company.share(world.company.folder(ANN, name), EVE, 1)
    (seen,) = await world.scan()
    assert (seen.item.path, seen.item.kind) == (None, ItemKind.ROOT)
    assert roles(seen) == {EVE: "ReadWrite"}


async def test_a_name_that_two_folders_have_has_no_path(world: World) -> None:
    for name in ("Projects", "PROJECTS", "Other"):
        world.company.folder(ANN, name)
    world.company.folder(PAULA, "Projects")
    paths = sorted(str(one.item.path) for one in await world.scan())
    assert paths == ["/ann@contoso.com/Other", "/paula@contoso.com/Projects", "None", "None"]


async def test_an_owner_without_an_address_has_no_path(world: World) -> None:
    world.company.person(ANN, EmailAddress=None)
    world.company.share(world.company.folder(ANN, "Projects"), EVE, 1)
    (seen,) = await world.scan()
    assert seen.item.path is None


@pytest.mark.parametrize("flat", [True, False])
async def test_a_folder_beneath_another_is_a_folder_without_a_path(world: World, flat: bool) -> None:
    """How far beneath it lies is not told. A folder of the same name beneath another does not hide the upper one."""
    world.company.lists_folders_beneath = flat
    top = world.company.folder(ANN, "Documents")
    beneath = world.company.folder(ANN, "Documents", above=top)
    world.company.share(beneath, EVE, 1)
    seen = {one.item.id: one for one in await world.scan()}
    assert seen[f"syncpoint:{top.id}"].item.path == "/ann@contoso.com/Documents"
    assert seen[f"syncpoint:{top.id}"].facts == ()  # what is given beneath is not given here
    item = seen[f"syncpoint:{beneath.id}"].item
    assert (item.kind, item.path) == (ItemKind.FOLDER, None)
    assert roles(seen[f"syncpoint:{beneath.id}"]) == {EVE: "ReadWrite"}


async def test_a_folder_is_read_where_it_is_told_whole(world: World) -> None:
    """Whether a folder beneath another stands in the list, in the upper one, or in both, is not documented."""
    top = world.company.folder(ANN, "Documents")
    owner, eve = world.company.person(ANN).shown(), world.company.person(EVE).shown()
    whole = {"Id": 2, "Name": "Press", "Owner": owner, "Shared": True, "Participants": [{"User": eve, "Permission": 3}]}
    upper = {"Id": top.id, "Name": "Documents", "Owner": owner, "Children": [{"Id": 2, "Name": "Press"}]}
    for answer in ([upper, whole], [whole, upper]):
        world.company.faults.clear()
        world.fail("/provisioning/company_users.svc", status=200, body=json.dumps([owner]))
        world.fail("/syncpoint/syncpoints.svc", status=200, body=json.dumps(answer))
        seen = {one.item.id: one for one in (await world.source.scan(None)).seen}
        assert seen["syncpoint:2"].item.kind is ItemKind.FOLDER
        assert roles(seen["syncpoint:2"]) == {EVE: "ReadOnly"}


async def test_inherited_access_is_no_fact_of_the_folder_beneath(world: World) -> None:
    top = world.company.folder(ANN, "Documents")
    beneath = world.company.folder(ANN, "Press", above=top)
    world.company.share(top, EVE, 1)
    seen = {one.item.id: roles(one) for one in await world.scan()}
    assert seen == {f"syncpoint:{top.id}": {EVE: "ReadWrite"}, f"syncpoint:{beneath.id}": {}}


# --- links


def link(world: World, virtual_path: str, policy: int, **more: Any) -> dict[str, Any]:
    folder = world.company.folder(ANN, "Projects")
    return world.company.link(
        ANN, folder, virtual_path, ShareLinkPolicy=policy, SharedDateUtc=date(SHARED), LinkPermissionType=1, **more
    )


async def linked(world: World) -> PermissionSet:
    (seen,) = [one for one in await world.scan() if one.item.id.startswith("link:")]
    return seen


async def test_a_link_for_named_people_tells_the_date(world: World) -> None:
    people = [world.company.person(one).shown() for one in (EVE, BEN)]
    made = link(world, "\\", 4, Users=people, ShareResourceType=2)
    seen = await linked(world)
    assert (seen.item.kind, seen.item.path) == (ItemKind.ROOT, "/ann@contoso.com/Projects")
    assert roles(seen) == {EVE: "ReadOnly", BEN: "ReadOnly"}
    assert {fact.shared_at for fact in seen.facts} == {SHARED}
    assert {fact.sharer.address for fact in seen.facts} == {ANN}
    assert [fact.reference for fact in seen.facts] == [f"{seen.item.id}:{EVE}", f"{seen.item.id}:{BEN}"]
    assert made["Token"] not in seen.model_dump_json()  # it opens the link


@pytest.mark.parametrize(
    ("virtual_path", "more", "kind", "path"),
    [
        ("\\", {"ShareResourceType": 2}, ItemKind.ROOT, ""),
        ("\\", {"Folder": {"FolderId": 1}}, ItemKind.ROOT, ""),
        ("\\Alpha\\", {}, ItemKind.FOLDER, "/Alpha"),
        ("\\Alpha\\Beta", {"ShareResourceType": 2}, ItemKind.FOLDER, "/Alpha/Beta"),
        ("", {"Folder": {"FolderId": 1, "VirtualPath": "\\Alpha\\"}}, ItemKind.FOLDER, "/Alpha"),
        ("", {"Folder": {"FolderId": 1}}, ItemKind.FOLDER, None),
        ("", {"ShareResourceType": 2}, ItemKind.FOLDER, None),
        ("\\plan.pdf", {}, ItemKind.FILE, "/plan.pdf"),
        ("\\Alpha\\plan.pdf", {"ShareResourceType": 1}, ItemKind.FILE, "/Alpha/plan.pdf"),
        ("\\Alpha\\plan.pdf", {"File": {"FileId": 1, "VirtualPath": "\\Alpha\\"}}, ItemKind.FILE, "/Alpha/plan.pdf"),
        ("\\Alpha/Beta\\plan.pdf", {}, ItemKind.FILE, None),
        ("", {"File": {"FileId": 1, "VirtualPath": "\\Alpha\\"}}, ItemKind.FILE, None),
        ("\\", {"ShareResourceType": 1}, ItemKind.FILE, None),
        ("", {}, ItemKind.FILE, None),
    ],
)
async def test_what_a_link_opens(
    world: World, virtual_path: str, more: dict[str, Any], kind: ItemKind, path: str | None
) -> None:
    link(world, virtual_path, 4, Users=[world.company.person(EVE).shown()], **more)
    item = (await linked(world)).item
    assert (item.kind, item.path) == (kind, None if path is None else f"/ann@contoso.com/Projects{path}")


@pytest.mark.parametrize(
    ("more", "role"),
    [
        ({}, "ReadOnly"),
        ({"LinkPermissionType": 3}, "ReadWrite"),
        ({"LinkPermissionType": 0}, "None"),
        ({"LinkPermissionType": 9}, "LinkPermissionType 9"),
        ({"LinkPermissionType": 2}, "Contribute without download"),
        ({"IsIrmProtected": True, "IrmRoleType": 1}, "ReadOnly under rights management"),
    ],
)
async def test_a_link_s_role_is_never_wider_than_there(world: World, more: dict[str, Any], role: str) -> None:
    link(world, "\\", 4, Users=[world.company.person(EVE).shown()]).update(more)
    assert roles(await linked(world)) == {EVE: role}
    known = map_role(Platform.SYNCPLICITY, role, {})
    assert (known is not None) == (role in ("ReadOnly", "ReadWrite", "None"))


@pytest.mark.parametrize("name", ["ShareLinkPolicy", "SharedLinkPolicy"])
@pytest.mark.parametrize(("policy", "kinds"), [(0, 1), (1, 0), (2, 0), (3, 1), (7, 1)])
async def test_a_link_that_names_nobody_for_sure_is_for_anybody_or_for_nobody_outside(
    world: World, name: str, policy: int, kinds: int
) -> None:
    """The policy has two names in two versions of Axway's Link.cs."""
    made = link(world, "\\plan.pdf", 0, Users=[world.company.person(EVE).shown()])
    del made["ShareLinkPolicy"]
    made[name] = policy
    seen = await linked(world)
    assert [fact.principal.kind for fact in seen.facts] == [PrincipalKind.ANONYMOUS_LINK] * kinds
    assert [fact.reference for fact in seen.facts] == [f"{seen.item.id}:{seen.item.id}"] * kinds


@pytest.mark.parametrize(
    ("more", "days"),
    [
        ({"LinkExpirationPolicy": 1, "LinkExpireInDays": 90}, 90),
        ({"LinkExpirationPolicy": 1, "LinkExpireInDays": "90"}, 90),
        ({"LinkExpirationPolicy": 2, "LinkExpireInDays": 90}, None),
        ({"LinkExpirationPolicy": 1}, None),
        ({"LinkExpireInDays": 90}, None),
        ({"LinkExpirationPolicy": 1, "LinkExpireInDays": 2_000_000_000}, None),
    ],
)
async def test_when_a_link_ends(world: World, more: dict[str, Any], days: int | None) -> None:
    link(world, "\\", 4, Users=[world.company.person(EVE).shown()], **more)
    (fact,) = (await linked(world)).facts
    assert fact.expires_at == (SHARED + timedelta(days=days) if days else None)


async def test_an_end_behind_all_times_is_none(world: World) -> None:
    more = {"LinkExpirationPolicy": 1, "LinkExpireInDays": 90, "SharedDateUtc": "9999-12-31T00:00:00Z"}
    link(world, "\\", 4, Users=[world.company.person(EVE).shown()]).update(more)
    (fact,) = (await linked(world)).facts
    assert fact.expires_at is None


@pytest.mark.parametrize(
    "shared", [None, "/Date(-62135596800000)/", "/Date(-62135604000000+0200)/", "0001-01-01T00:00:00"]
)
async def test_an_empty_date_is_unknown(world: World, shared: str | None) -> None:
    more = {"LinkExpirationPolicy": 1, "LinkExpireInDays": 90, "SharedDateUtc": shared}
    link(world, "\\", 4, Users=[world.company.person(EVE).shown()]).update(more)
    (fact,) = (await linked(world)).facts
    assert (fact.shared_at, fact.expires_at) == (None, None)


@pytest.mark.parametrize(
    ("written", "hour"),
    [
        ("/Date(1614834367000)/", 5),
        ("/Date(1614834367000+0300)/", 5),  # the zone is only how to show it
        ("2021-03-04T05:06:07", 5),
        ("2021-03-04T05:06:07Z", 5),
        ("2021-03-04T05:06:07+02:00", 3),
    ],
)
async def test_dates_as_the_services_may_write_them(world: World, written: str, hour: int) -> None:
    link(world, "\\", 4, Users=[world.company.person(EVE).shown()])["SharedDateUtc"] = written
    (fact,) = (await linked(world)).facts
    assert fact.shared_at == SHARED.replace(hour=hour)


@pytest.mark.parametrize(
    "written", ["yesterday", 1614834367, True, "/Date(999999999999999)/", "9999-12-31T23:59:59-05:00"]
)
async def test_what_is_no_date_is_for_later(world: World, written: Any) -> None:
    link(world, "\\", 4, Users=[world.company.person(EVE).shown()])["SharedDateUtc"] = written
    with pytest.raises(LaterError) as caught:
        await world.scan()
    assert "$[0].SharedDateUtc" in str(caught.value.detail)


async def test_a_group_of_a_link_becomes_its_members(world: World) -> None:
    group = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
    world.company.groups[group] = ("Partners", [world.company.person(EVE), world.company.person(BEN, Status=6)])
    link(world, "\\", 4, Groups=[{"Id": group.upper(), "Name": "Partners"}])
    world.company.groups[group.upper()] = world.company.groups[group]
    seen = await linked(world)
    assert roles(seen) == {EVE: "ReadOnly", BEN: "ReadOnly"}
    assert {fact.principal.group for fact in seen.facts} == {"Partners"}
    assert [fact.principal.suspended for fact in seen.facts] == [False, True]
    assert len({fact.permission for fact in seen.facts}) == 2


@pytest.mark.parametrize("status", [403, 404])
async def test_a_group_that_is_not_shown_stays_a_group(world: World, status: int) -> None:
    group = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
    link(world, "\\", 4, Groups=[{"Id": group}])
    world.fail("/provisioning/group_members.svc/", status=status, times=2)
    (fact,) = (await linked(world)).facts
    assert (fact.principal.kind, fact.principal.source_id) == (PrincipalKind.GROUP, group)


async def test_a_group_without_members_is_nobody(world: World) -> None:
    group = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
    world.company.groups[group] = ("Partners", [])
    link(world, "\\", 4, Groups=[{"Id": group}])
    assert (await linked(world)).facts == ()


async def test_a_link_into_a_folder_of_somebody_outside_is_not_ours(world: World) -> None:
    theirs, paula_s = world.company.folder(BEN, "Theirs"), world.company.folder(PAULA, "Hers")
    for folder in (theirs, paula_s):
        world.company.share(folder, ANN, 1)
        world.company.link(ANN, folder, "\\plan.pdf", ShareLinkPolicy=4, Users=[world.company.person(EVE).shown()])
    seen = await linked(world)
    assert seen.item.path is None  # whether Paula has two folders of that name is not told to Ann
    (fact,) = seen.facts
    assert fact.sharer.address == ANN


async def test_a_link_into_a_folder_that_is_not_shown_has_no_path(world: World) -> None:
    made = link(world, "\\plan.pdf", 4, Users=[world.company.person(EVE).shown()])
    made["SyncPointId"] = 1
    seen = await linked(world)
    assert seen.item.path is None
    assert seen.facts[0].sharer == Sharer(source_id=world.company.person(ANN).id)


async def test_two_links_to_one_file_are_two_items(world: World) -> None:
    """Each is made, seen and taken back by itself, perhaps by two people."""
    folder = world.company.folder(ANN, "Projects")
    for person in (EVE, BEN):
        world.company.link(ANN, folder, "\\plan.pdf", ShareLinkPolicy=4, Users=[world.company.person(person).shown()])
    seen = [one for one in await world.scan() if one.item.id.startswith("link:")]
    assert len({one.item.id for one in seen}) == 2
    assert {one.item.path for one in seen} == {"/ann@contoso.com/Projects/plan.pdf"}


async def test_links_that_are_not_shown_hide_no_folders(world: World) -> None:
    world.company.share(world.company.folder(ANN, "Projects"), EVE, 1)
    world.fail("/syncpoint/links.svc/", status=403, times=2)
    assert roles(*await world.scan()) == {EVE: "ReadWrite"}


# --- page by page


async def bounded_pages(world: World) -> list[Page]:
    """All pages, each of which takes some 60 calls at most."""
    pages: list[Page] = []
    while not pages or pages[-1].more:
        before = len(world.requests())
        pages.append(await world.source.scan(pages[-1].cursor if pages else None))
        assert len(world.requests()) - before <= 62
    return pages


@pytest.mark.parametrize("paged", [True, False])
async def test_all_users_are_come_by(world: World, paged: bool) -> None:
    """Also when the service lists all of them at once, as the samples have it."""
    world.company.pages_users = paged
    for number in range(45):
        world.company.share(world.company.folder(f"user{number}@contoso.com", "Projects"), EVE, 1)
    pages = await bounded_pages(world)
    seen = [one for page in pages for one in page.seen]
    assert {one.item.path for one in seen} == {f"/user{n}@contoso.com/Projects" for n in range(45)}
    assert len(seen) == 45
    assert [page.items for page in pages] == [len(page.seen) for page in pages]
    assert len(world.requests("/syncpoints.svc/")) == 46  # the administrator too
    assert [page.more for page in pages] == [True] * (len(pages) - 1) + [False]
    assert all(len(page.cursor or "") < 300 for page in pages)


async def test_a_step_does_not_grow_with_a_user(world: World) -> None:
    for number in range(450):
        world.company.folder(ANN, f"F{number}")
    pages = await world.scan_pages()
    assert max(len(page.seen) for page in pages) == 200
    assert len({one.item.id for page in pages for one in page.seen}) == sum(len(page.seen) for page in pages) == 450
    assert all(len(page.cursor or "") < 300 for page in pages)


async def test_a_step_does_not_grow_with_what_has_to_be_asked_for(world: World) -> None:
    world.company.includes_participants = False
    for number in range(100):
        world.company.share(world.company.folder(ANN, f"F{number}"), EVE, 1)
    assert sum(len(page.seen) for page in await bounded_pages(world)) == 100


async def test_a_link_for_more_groups_than_a_step_asks_for_is_read_all_the_same(world: World) -> None:
    groups = [f"3f2504e0-4f89-41d3-9a0c-0305e82c3{n:03}" for n in range(30)]
    world.company.groups = {group: (group, [world.company.person(EVE)]) for group in groups}
    link(world, "\\", 4, Groups=[{"Id": group} for group in groups])
    assert len((await linked(world)).facts) == 30


async def test_a_page_may_be_repeated(world: World) -> None:
    for number in range(250):
        world.company.folder(ANN, f"F{number}")
    first = await world.source.scan(None)
    once, again = await world.source.scan(first.cursor), await world.source.scan(first.cursor)
    assert [one.item for one in once.seen] == [one.item for one in again.seen]
    assert once.cursor == again.cursor


async def test_a_user_who_leaves_between_two_pages_takes_nobody_s_folders_along(world: World) -> None:
    first, second = sorted((world.company.person(ANN), world.company.person(PAULA)), key=lambda user: user.id)
    other = world.company.folder(second.address, "Of another user, with a lower number")
    for number in range(250):
        world.company.folder(first.address, f"F{number}")
    page = await world.source.scan(None)
    assert len(page.seen) == 200
    first.ours = False
    assert [one.item.id for one in (await world.source.scan(page.cursor)).seen] == [f"syncpoint:{other.id}"]


async def test_a_user_for_whom_nobody_may_act_does_not_stop_the_scan(world: World) -> None:
    world.company.folder(ANN, "Hidden")
    world.company.folder(PAULA, "Shown")
    world.company.acts_not_for = {world.company.person(ANN).id}
    assert by_path(await world.scan()).keys() == {"/paula@contoso.com/Shown"}


async def test_when_nobody_may_be_acted_for_an_administrator_hears_of_it(world: World) -> None:
    world.company.folder(ANN, "Hidden")
    world.company.acts_not_for = set(world.company.people)
    with pytest.raises(RefusedError) as caught:
        await world.scan()
    assert caught.value.reason is Reason.SOURCE_REFUSED
    assert "Access content on behalf of managed users" in str(caught.value.detail)


async def test_a_privilege_that_is_missing_is_not_taken_for_an_empty_company(world: World) -> None:
    """Without it As-User is ignored, and everybody seems to have what the administrator has."""
    world.company.share(world.company.folder(ANN, "Projects"), EVE, 1)
    world.company.folder(world.company.administrator.address, "His own")
    world.company.may_act_for_others = False
    with pytest.raises(RefusedError) as caught:
        await world.scan()
    assert "Access content on behalf of managed users" in str(caught.value.detail)


async def test_a_privilege_that_is_missing_is_noticed_also_when_the_administrator_has_nothing(world: World) -> None:
    world.company.share(world.company.folder(ANN, "Projects"), EVE, 1)
    world.company.may_act_for_others = False
    with pytest.raises(RefusedError) as caught:
        await world.scan()
    assert "Nobody was seen to have a folder" in str(caught.value.detail)


async def test_what_the_administrator_shares_is_no_sign_of_that(world: World) -> None:
    admin = world.company.administrator.address
    top = world.company.folder(admin, "For all")
    world.company.folder(admin, "Beneath", above=top)
    world.company.share(top, ANN, 3)
    world.company.share(top, EVE, 3)
    assert roles(*await world.scan()) == {ANN: "ReadOnly", EVE: "ReadOnly"}


async def test_a_company_without_users_is_no_fault(world: World) -> None:
    world.fail("/provisioning/company_users.svc/", status=200, body="[]")
    page = await world.source.scan(None)
    assert (page.seen, page.more, page.cursor) == ((), False, None)


async def test_ids_of_what_was_seen_differ_by_time_and_repeat_otherwise(world: World) -> None:
    world.company.share(world.company.folder(ANN, "Projects"), EVE, 1)
    world.company.share(world.company.folder(ANN, "Other"), EVE, 1)
    seen = facts(*await world.scan())
    assert len({fact.id for fact in seen}) == len(seen) == 2
    at_once = facts(*await world.scan())
    assert all((a.id == b.id) == (a.at == b.at) for a, b in zip(seen, at_once, strict=True))


async def test_acts_of_the_stand_in(world: World) -> None:
    """What the demo does shows in a scan."""
    expires = SHARED + timedelta(days=30)
    await world.act("share", EVE, f"/{ANN}/Projects", kind="root", role="ReadWrite", sharer=PAULA)
    await world.act("share", EVE, f"/{ANN}/Projects/Sub", role="ReadOnly")
    times = {"shared_at": SHARED.isoformat(), "expires_at": expires.isoformat()}
    await world.act("share", BEN, f"/{ANN}/Projects/plan.pdf", kind="file", **times)
    seen = await world.scan()
    assert sorted((fact.principal.address, fact.role) for fact in facts(*seen)) == [
        (BEN, "ReadOnly"),
        (EVE, "ReadOnly"),
        (EVE, "ReadWrite"),
    ]
    (told,) = [fact for fact in facts(*seen) if fact.principal.address == BEN]
    assert (told.shared_at, told.expires_at) == (SHARED, expires)
    await world.act("role", EVE, f"/{ANN}/Projects", kind="root", role="ReadOnly")
    await world.act("remove", BEN, f"/{ANN}/Projects/plan.pdf", kind="file")
    await world.act("remove", EVE, f"/{ANN}/Projects/Sub")
    assert roles(*await world.scan()) == {EVE: "ReadOnly"}
    assert len(world.company.events) == 4
    assert json.dumps(world.company.events).count(EVE) == 0  # the feed names no grantee
