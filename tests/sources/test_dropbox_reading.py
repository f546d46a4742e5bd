"""Dropbox: every kind of event of the team's log, as people make them happen in the stand-in."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.domain.decision import assess
from shared.domain.events import Change, PrincipalKind, ShareEvent, Sharer
from shared.domain.platforms import RULES, ItemKind, Platform
from shared.domain.reasons import Reason
from shared.domain.shares import Access
from shared.domain.sources import Page
from shared.sources.dropbox.log import read_event
from tests.sources.dropbox_samples import (
    ADMIN,
    ANNA,
    CONNECTION,
    ERIKA,
    OTTO,
    REAL_EVENT,
    StandIn,
    changed,
    people,
    stand_in,
)

FOLDER = "/Projects/Alpha"


@pytest.fixture
async def dropbox() -> AsyncIterator[StandIn]:
    async with stand_in() as one:
        yield one


def test_the_real_event() -> None:
    entry = read_event(REAL_EVENT)
    assert entry is not None
    (told,) = entry.told
    (asset,) = entry.assets
    assert (told.change, told.role, told.pending) == (Change.GIVEN, "viewer", False)
    assert told.principal.address == "david.davidson@david.co"
    assert entry.sharer == Sharer(address="alice.bob@company.com", source_id="dbid:AAACjvKy90uezyOiLRadIuCy66dK5d1vGGw")
    assert (asset.kind, asset.file_id, asset.namespace, asset.path) == (
        ItemKind.FILE,
        "id:lUP4ZxMYmc4AAAAAAAAAaA",
        "3590048721",
        "/paper1.paper",
    )
    assert entry.at == entry.shared_at == datetime(2023, 4, 18, 22, 31, 3, tzinfo=UTC)  # naive in Dropbox's SDK


@pytest.mark.parametrize("role", RULES[Platform.DROPBOX].roles)
async def test_every_role_is_passed_on_as_it_is(dropbox: StandIn, role: str) -> None:
    cursor = await dropbox.start()
    await dropbox.act("share", ERIKA, FOLDER, role=role)
    (event,) = await dropbox.told(cursor)
    assert event.role == role


async def test_a_member_is_added_to_a_folder(dropbox: StandIn) -> None:
    cursor = await dropbox.start()
    await dropbox.act("share", ERIKA, FOLDER, role="editor", sharer=ANNA)
    (event,) = await dropbox.told(cursor)
    assert (event.change, event.role, event.pending) == (Change.GIVEN, "editor", False)
    assert event.principal.address == ERIKA
    assert event.sharer.address == ANNA
    assert event.shared_at == event.at
    assert event.at.utcoffset() is not None
    assert event.item is not None
    assert (event.item.kind, event.item.path) == (ItemKind.FOLDER, FOLDER)
    assert event.reference == f"{event.item.id}:{ERIKA}"
    assert event.id.startswith("dropbox:")


async def test_an_address_without_an_account_is_invited(dropbox: StandIn) -> None:
    cursor = await dropbox.start()
    await dropbox.act("share", "Otto@Partner.example", FOLDER, role="viewer", pending=True)
    await dropbox.act("role", "Otto@Partner.example", FOLDER, role="editor")
    await dropbox.act("remove", "Otto@Partner.example", FOLDER)
    events = sorted((await dropbox.told(cursor)), key=lambda event: list(Change).index(event.change))
    assert [(e.change, e.role, e.pending) for e in events] == [
        (Change.GIVEN, "viewer", True),
        (Change.KEPT, "editor", True),
        (Change.LOST, None, False),
    ]
    assert {e.reference for e in events if e.item} == {f"{e.item.id}:{OTTO}" for e in events if e.item}
    assert [e.sharer.address for e in events] == [ADMIN, None, None]
    assert [e.shared_at is None for e in events] == [False, True, True]


async def test_a_member_s_role_changes_and_ends(dropbox: StandIn) -> None:
    await dropbox.act("share", ERIKA, FOLDER, role="viewer")
    cursor = await dropbox.start()
    await dropbox.act("role", ERIKA, FOLDER, role="editor", sharer=ANNA)
    await dropbox.act("remove", ERIKA, FOLDER)
    kept, lost = sorted(
        (e for e in await dropbox.told(cursor) if e.change is not Change.GIVEN), key=lambda e: e.change is Change.LOST
    )
    assert (kept.change, kept.role, kept.sharer, kept.shared_at) == (Change.KEPT, "editor", Sharer(), None)
    assert (lost.change, lost.principal.address, lost.reference) == (Change.LOST, ERIKA, kept.reference)


@pytest.mark.parametrize(
    ("kind", "details", "person"),
    [
        ("shared_content_restore_member", {}, "david.davidson@david.co"),
        ("shared_content_restore_invitees", {"invitees": [OTTO]}, OTTO),
    ],
)
def test_what_is_restored_was_shared_some_time_before(kind: str, details: dict[str, Any], person: str) -> None:
    entry = read_event(changed(kind, {**details, "shared_content_access_level": {".tag": "editor"}}))
    assert entry is not None
    (told,) = entry.told
    assert (told.change, told.principal.address, told.role) == (Change.GIVEN, person, "editor")
    assert told.pending == kind.endswith("invitees")
    assert entry.shared_at is None


async def test_who_claims_an_invitation_is_the_actor(dropbox: StandIn) -> None:
    """Perhaps with another address than the invited one: the members that there are then take its place."""
    await dropbox.act("share", OTTO, FOLDER, role="viewer", pending=True)
    cursor = await dropbox.start()
    await dropbox.happen("claim", invited=OTTO, person="otto@home.example", path=FOLDER)
    page = await dropbox.polled(cursor)
    assert not [one for one in page.events if one.change is not Change.GIVEN]
    (seen,) = page.seen
    assert people(seen) == {"otto@home.example": "viewer"}
    assert [one.pending for one in seen.facts] == [False]
    assert {one.at for one in seen.facts} == {seen.at}
    assert seen.at.microsecond == 0


async def test_who_leaves_is_the_actor(dropbox: StandIn) -> None:
    await dropbox.act("share", ERIKA, FOLDER)
    cursor = await dropbox.start()
    await dropbox.happen("leave", person=ERIKA, path=FOLDER)
    lost = [one for one in await dropbox.told(cursor) if one.change is Change.LOST]
    assert [(one.principal.address, one.sharer) for one in lost] == [(ERIKA, Sharer())]


async def test_unsharing_names_nobody_and_takes_it_from_everybody(dropbox: StandIn) -> None:
    folder = f"/{ANNA}/Plans"
    cursor = await dropbox.start()
    await dropbox.act("share", ERIKA, folder, sharer=ANNA)
    (given,) = await dropbox.told(cursor)
    await dropbox.happen("unshare", path=folder)
    (seen,) = (await dropbox.polled(cursor)).seen
    assert given.item is not None
    assert (seen.item.id, seen.facts) == (given.item.id, ())


async def test_what_was_unshared_and_is_shared_again_shows_who_has_it_now(dropbox: StandIn) -> None:
    file = f"/{ANNA}/Plans/draft.txt"
    await dropbox.act("share", ERIKA, file, kind="file", sharer=ANNA)
    cursor = await dropbox.start()
    await dropbox.happen("unshare", path=file, kind="file", by=ANNA)
    await dropbox.act("share", OTTO, file, kind="file", sharer=ANNA)
    (seen,) = (await dropbox.polled(cursor)).seen
    assert people(seen) == {OTTO: "editor"}


async def test_what_was_unshared_and_is_not_shown_was_nobody_s_from_then_on(dropbox: StandIn) -> None:
    """And not from now on: what was given in between stays. An admin does not see who has a member's own file."""
    file = f"/{ANNA}/Plans/draft.txt"
    cursor = await dropbox.start()
    unshared = changed("shared_content_unshare", {}, timestamp="2100-01-01T00:00:00Z")
    await dropbox.act("share", ERIKA, file, kind="file", sharer=ANNA)
    given = await dropbox.told(cursor)
    own = dropbox.team.content[given[0].item.id.removeprefix("file:")] if given[0].item else None
    assert own is not None
    place = {"ns_id": own.namespace, "relative_path": own.path, "is_shared_namespace": False}
    asset = {".tag": "file", "file_id": own.id, "path": {"namespace_relative": place}}
    await dropbox.log({**unshared, "assets": [asset], "context": None, "actor": {".tag": "dropbox"}})
    (seen,) = (await dropbox.polled(cursor)).seen
    assert (seen.facts, seen.at) == ((), datetime(2100, 1, 1, tzinfo=UTC))


async def test_a_group_is_told_as_its_members(dropbox: StandIn) -> None:
    outside = "temp@agency.example"
    await dropbox.seed(groups=[{"name": "Builders", "members": [ANNA, outside]}])
    cursor = await dropbox.start()
    await dropbox.act("share", "group:Builders", FOLDER, role="editor")
    events = await dropbox.told(cursor)
    assert [one.principal.address for one in events] == [ANNA, outside]
    assert {one.principal.group for one in events} == {"Builders"}
    assert len({one.reference for one in events}) == 1
    assert len({one.id for one in events}) == 2
    assert {one.item.path for one in events if one.item} == {FOLDER}


@pytest.mark.parametrize("group", [{"same_team": False}, {"members": []}])
async def test_a_group_whose_members_are_not_told_stays_a_group(dropbox: StandIn, group: dict[str, Any]) -> None:
    await dropbox.seed(groups=[{"name": "Others", **group}])
    cursor = await dropbox.start()
    await dropbox.act("share", "group:Others", FOLDER)
    (event,) = await dropbox.told(cursor)
    assert (event.principal.kind, event.principal.name) == (PrincipalKind.GROUP, "Others")


async def test_a_group_s_removal_does_not_wait_for_dropbox(dropbox: StandIn) -> None:
    await dropbox.seed(groups=[{"name": "Builders", "members": [ANNA]}])
    await dropbox.act("share", "group:Builders", FOLDER)
    cursor = await dropbox.start()
    await dropbox.act("remove", "group:Builders", FOLDER)
    (event,) = [one for one in (await dropbox.polled(cursor)).events if one.change is Change.LOST]
    before = await dropbox.requests()
    assert await dropbox.source.enrich(event) == [event]
    assert await dropbox.requests() == before
    assert event.principal.kind is PrincipalKind.GROUP


@pytest.mark.parametrize("tag", ["non_team_member", "trusted_non_team_member"])
def test_trusted_or_not_who_is_outside_the_team_is_told(tag: str) -> None:
    user = {".tag": tag, "account_id": "dbid:AAX", "email": ERIKA, "display_name": "Erika"}
    event = changed(
        "shared_content_add_member",
        {"shared_content_access_level": {".tag": "viewer"}},
        participants=[{".tag": "user", "user": user}],
    )
    entry = read_event(event)
    assert entry is not None
    assert [one.principal.address for one in entry.told] == [ERIKA]


@pytest.mark.parametrize(
    "actor",
    [
        {".tag": "app", "app": {".tag": "team_linked_app", "app_id": "x"}},
        {".tag": "dropbox"},
        {".tag": "anonymous"},
        {".tag": "reseller", "reseller": {"reseller_name": "R", "reseller_email": "r@r.example"}},
        {".tag": "other"},
        "dropbox",
        None,
    ],
)
def test_a_sharer_who_is_no_person_is_unknown(actor: object) -> None:
    entry = read_event({**REAL_EVENT, "actor": actor})
    assert entry is not None
    assert entry.sharer == Sharer()
    assert entry.shared_at is not None


def test_an_admin_is_a_sharer_too() -> None:
    entry = read_event({**REAL_EVENT, "actor": {".tag": "admin", "admin": REAL_EVENT["actor"]["user"]}})
    assert entry is not None
    assert entry.sharer.address == "alice.bob@company.com"


async def test_two_deliveries_of_one_event_are_one(dropbox: StandIn) -> None:
    """After a reset the log is read again from an hour before."""
    cursor = await dropbox.start()
    await dropbox.act("share", ERIKA, FOLDER)
    assert await dropbox.told(cursor) == await dropbox.told(cursor)


async def test_the_log_and_a_scan_tell_one_permission(dropbox: StandIn) -> None:
    cursor = await dropbox.start()
    for person, pending in ((ERIKA, False), ("Otto@Partner.example", True)):
        await dropbox.act("share", person, FOLDER, role="viewer", pending=pending)
    told = {one.reference: one for one in await dropbox.told(cursor)}
    seen = {one.reference: one for found in (await dropbox.scanned())[0] for one in found.facts}
    assert told.keys() == seen.keys()
    for name, event in told.items():
        assert event.permission == seen[name].permission
        assert seen[name].completed_by(event).says_the_same_as(event)


@pytest.mark.parametrize(
    ("path", "kind", "pending", "verdict"),
    [
        (FOLDER, "folder", False, None),
        (FOLDER, "folder", True, None),  # nobody has to accept at Dropbox first
        ("/Projects", "folder", False, None),
        (f"{FOLDER}/f.txt", "file", False, Reason.UNSUPPORTED_SCOPE),
    ],
)
async def test_the_row_of_the_matrix(
    dropbox: StandIn, path: str, kind: str, pending: bool, verdict: Reason | None
) -> None:
    cursor = await dropbox.start()
    await dropbox.act("share", ERIKA, path, kind=kind, pending=pending)
    (event,) = await dropbox.told(cursor)
    found = assess(event, event.item, CONNECTION, event.at)
    if verdict is not None:
        assert found is verdict
        return
    assert isinstance(found, Access)
    assert found.destination.path == path


async def test_the_team_space_itself_is_not_carried() -> None:
    async with stand_in(team_space=True) as dropbox:
        root = dropbox.team.root
        assert root is not None
        cursor = await dropbox.start()
        details = {"shared_content_access_level": {".tag": "viewer"}}
        people = [{".tag": "user", "user": dropbox.team.person(ERIKA)}]
        dropbox.team.note("shared_content_add_member", ADMIN, dropbox.team.namespaces[root], details, people)
        (event,) = await dropbox.told(cursor)
        assert event.item is not None
        assert (event.item.kind, event.item.path) == (ItemKind.ROOT, "/")
        assert assess(event, event.item, CONNECTION, event.at) is Reason.UNSUPPORTED_SCOPE


def _links(page: Page) -> list[ShareEvent]:
    return [one for one in page.events if one.item and one.item.id.startswith("sent:")]


async def test_to_whom_a_link_was_sent_is_told_without_a_role_that_is_carried(dropbox: StandIn) -> None:
    cursor = await dropbox.start()
    await dropbox.happen("link", owner=ANNA, path=f"/{ANNA}/draft.txt", kind="file", to=[ERIKA])
    (event,) = _links(await dropbox.polled(cursor))
    assert (event.change, event.principal.address, event.role) == (Change.GIVEN, ERIKA, "link recipient")
    assert event.sharer.address == ANNA
    assert event.item is not None
    assert event.item.path == f"/{ANNA}/draft.txt"
    assert event.role not in RULES[Platform.DROPBOX].roles


def test_a_link_can_be_sent_to_somebody_without_an_address() -> None:
    outside = [{"user_identifier": "Erika M", "identifier_type": {".tag": "facebook_profile_name"}}, {"x": 1}]
    entry = read_event(changed("shared_link_share", {"external_users": outside}, participants=[]))
    assert entry is not None
    assert [(one.principal.address, one.principal.name) for one in entry.told] == [(None, "Erika M")]


@pytest.mark.parametrize(
    "kind", ["shared_link_create", "shared_link_settings_change_expiration", "shared_link_disable"]
)
def test_events_about_links_name_nobody(kind: str) -> None:
    entry = read_event(changed(kind, {}))
    assert entry is not None
    assert (entry.told, entry.links, entry.look) == ((), True, False)
    assert entry.owner == "dbmid:AADSERs2cAsByYt8yQEDU4_qdNQiSdxgCl8"
