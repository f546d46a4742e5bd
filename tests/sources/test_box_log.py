"""Box: the enterprise's event log, polled through Box's own SDK."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.domain.events import Change, PrincipalKind, Sharer
from shared.domain.platforms import ItemKind
from shared.domain.reasons import Reason
from shared.domain.sources import Page
from shared.domain.trouble import LaterError, RefusedError
from shared.sources.box.log import TYPES
from tests.sources.box_samples import APP, COLLABORATION, PENDING, read
from tests.sources.box_world import StandIn, polled, shares, stand_in


@pytest.fixture
async def box() -> AsyncIterator[StandIn]:
    async with stand_in() as box:
        await box.seed(folders=[{"id": "5678", "name": "Valve", "parent": "0"}])
        yield box


OURS = {"type": "user", "id": "30633803054", "name": "Owner", "login": "owner@contoso.com"}
WHO = {"type": "user", "id": "2222", "name": "Example User", "login": "example@user.com"}


def event(event_type: str, source: Any = None, **more: Any) -> dict[str, Any]:
    """An event in the shape of the one in elastic/integrations, package box_events, test-invite.log."""
    return {
        "type": "event",
        "event_id": f"{event_type}-1",
        "event_type": event_type,
        "created_at": "2025-02-24T08:10:18-08:00",
        "created_by": {"type": "user", "id": "7", "name": "Acting", "login": "acting@contoso.com"},
        "action_by": None,
        "ip_address": "81.2.69.144",
        "session_id": None,
        "source": source or {"folder_id": "5678", "folder_name": "Valve", "user_id": "2222", "owned_by": OURS},
        "accessible_by": WHO,
        "additional_details": {
            "type": "box://event/additional_details/collaboration",
            "collab_id": "12345",
            "is_performed_by_admin": False,
            "role": "Viewer Uploader",
        },
        **more,
    }


async def start(box: StandIn) -> str:
    """Where now is."""
    page = await box.source().poll("events", None)
    assert page == Page(cursor=page.cursor)
    assert page.cursor is not None
    return page.cursor


async def poll(box: StandIn, *events: dict[str, Any]) -> Page:
    """What one page reads from events that came since the start."""
    cursor = await start(box)
    await box.seed(events=list(events))
    return await box.source().poll("events", cursor)


AT = datetime(2025, 2, 24, 16, 10, 18, tzinfo=UTC)


async def test_the_start_reads_nothing(box: StandIn) -> None:
    await box.seed(events=[event("COLLABORATION_INVITE")])
    cursor = await start(box)
    assert [request.split("?")[0] for request in await box.requests()] == ["GET /2.0/events"]
    page = await box.source().poll("events", cursor)
    assert (page.events, page.seen, page.more, page.items) == ([], [], False, 0)
    assert json.loads(page.cursor or "")["position"] == json.loads(cursor)["position"]


@pytest.mark.parametrize(
    ("event_type", "status", "change", "pending"),
    [
        ("COLLABORATION_INVITE", "pending", Change.GIVEN, True),
        ("COLLABORATION_INVITE", "accepted", Change.GIVEN, False),
        ("COLLABORATION_ACCEPT", "accepted", Change.GIVEN, False),
        ("COLLABORATION_ROLE_CHANGE", "accepted", Change.KEPT, False),
        ("COLLABORATION_ROLE_CHANGE", "pending", Change.KEPT, True),
        ("COLLABORATION_INVITE", "rejected", Change.LOST, False),
        ("COLLABORATION_INVITE", None, Change.GIVEN, True),
    ],
)
async def test_what_holds_is_asked_for(
    box: StandIn, event_type: str, status: str | None, change: Change, pending: bool
) -> None:
    shown = PENDING if status == "pending" else {**COLLABORATION, "status": status}
    await box.seed(collaborations=[{**shown, "on": {"type": "folder", "id": "5678"}}])
    page = await poll(box, event(event_type))
    (told,) = page.events
    assert (told.change, told.pending, told.at, told.id) == (change, pending, AT, f"box:{event_type}-1")
    assert (told.reference, told.connection, told.role) == ("12345", "box-main", "editor")
    assert told.item is not None
    assert (told.item.id, told.item.kind) == ("folder:5678", ItemKind.FOLDER)  # known also while it is pending
    assert (told.sharer.address, told.principal.address) == ("test@user.com", "example@user.com")
    assert told.shared_at == datetime(2018, 4, 18, 22, 5, 29, tzinfo=UTC)
    assert told.expires_at == datetime(2020, 4, 7, 19, 51, 30, tzinfo=UTC)
    if change is not Change.LOST:
        (complete,) = await box.source().enrich(told)
        assert complete.item is not None
        assert complete.item.path == "/Valve"


async def test_log_and_webhook_tell_the_same(box: StandIn) -> None:
    await box.seed(collaborations=[COLLABORATION])
    page = await poll(box, event("COLLABORATION_ACCEPT"))
    (told,) = page.events
    by_webhook = read("COLLABORATION.ACCEPTED", COLLABORATION)
    assert told.permission == by_webhook.permission
    assert told.says_the_same_as(by_webhook)


@pytest.mark.parametrize(
    ("event_type", "role", "pending", "sharer", "shared_at"),
    [
        ("COLLABORATION_INVITE", "viewer uploader", True, Sharer(address="acting@contoso.com", source_id="7"), AT),
        ("COLLABORATION_ACCEPT", "viewer uploader", False, Sharer(), None),
        ("COLLABORATION_ROLE_CHANGE", None, True, Sharer(), None),
    ],
)
async def test_what_box_shows_no_more_is_as_it_was_told(
    box: StandIn, event_type: str, role: str | None, pending: bool, sharer: Sharer, shared_at: datetime | None
) -> None:
    """Of a role change Box does not document which role it names: none, so that nothing is guessed."""
    (told,) = (await poll(box, event(event_type))).events
    assert (told.role, told.pending, told.sharer, told.shared_at) == (role, pending, sharer, shared_at)
    assert (told.principal.address, told.reference) == ("example@user.com", "12345")


GROUP = {"type": "group", "id": "9", "name": "Partners"}
ON_FILE = {"file_id": "77", "file_name": "plan.pdf", "owned_by": OURS}
ON_FOLDER = {"folder_id": "5678", "folder_name": "Valve", "owned_by": OURS}


@pytest.mark.parametrize(
    ("source", "accessible_by", "item", "kind", "address", "source_id"),
    [
        ({**ON_FOLDER, "user_id": "2222"}, WHO, "folder:5678", PrincipalKind.PERSON, "example@user.com", "2222"),
        ({**ON_FILE, "user_id": "2222"}, WHO, "file:77", PrincipalKind.PERSON, "example@user.com", "2222"),
        ({**ON_FOLDER, "user_email": "new@user.com"}, None, "folder:5678", PrincipalKind.PERSON, "new@user.com", None),
        (
            {**ON_FOLDER, "user_email": "n w@user.com"},
            {"type": "user", "id": None, "login": ""},
            *("folder:5678", PrincipalKind.PERSON, "n+w@user.com", None),
        ),
        ({**ON_FOLDER, "group_id": "9", "group_name": "Partners"}, None, "folder:5678", PrincipalKind.GROUP, None, "9"),
        ({**ON_FILE, "group_id": "9", "group_name": "Partners"}, GROUP, "file:77", PrincipalKind.GROUP, None, "9"),
        ({**ON_FOLDER, "user_id": 2222}, {**WHO}, "folder:5678", PrincipalKind.PERSON, "example@user.com", "2222"),
        # Nobody could be found by the id alone; with nothing it is who the collaboration is remembered to stand for.
        ({**ON_FOLDER, "user_id": "2222", "user_name": "E"}, None, "folder:5678", PrincipalKind.PERSON, None, None),
    ],
)
async def test_a_removal_is_told_without_asking(
    box: StandIn,
    source: dict[str, Any],
    accessible_by: dict[str, Any] | None,
    item: str,
    kind: PrincipalKind,
    address: str | None,
    source_id: str | None,
) -> None:
    page = await poll(box, event("COLLABORATION_REMOVE", source, accessible_by=accessible_by))
    (told,) = page.events
    assert (told.change, told.at, told.reference) == (Change.LOST, AT, "12345")
    assert told.item is not None
    assert (told.item.id, told.principal.kind) == (item, kind)
    assert (told.principal.address, told.principal.source_id) == (address, source_id)
    assert all("/events" in request for request in await box.requests())


@pytest.mark.parametrize("event_type", ["SHARE", "ITEM_SHARED_UPDATE", "SHARE_EXPIRATION", "UPDATE_SHARE_EXPIRATION"])
@pytest.mark.parametrize(("access", "seen"), [("open", 1), ("company", 0)])
async def test_of_a_link_the_item_tells_who_may_use_it(box: StandIn, event_type: str, access: str, seen: int) -> None:
    link = {"access": access, "unshared_at": "2027-01-01T00:00:00Z"}
    await box.seed(files=[{"id": "77", "name": "plan.pdf", "parent": "5678", "shared_link": link}])
    source = {"item_type": "file", "item_id": "77", "item_name": "plan.pdf", "owned_by": OURS}
    page = await poll(box, event(event_type, source, additional_details=None, accessible_by=None))
    assert page.events == []
    (found,) = page.seen
    assert (found.item.id, found.item.path, len(found.facts)) == ("file:77", "/Valve/plan.pdf", seen)
    for fact in found.facts:
        assert fact.reference == "shared-link:file:77"
        assert fact.expires_at == datetime(2027, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("kind", ["folder", "file", "web_link"])
async def test_a_link_that_was_removed_is_told(box: StandIn, kind: str) -> None:
    source = {"item_type": kind, "item_id": "77", "item_name": "x", "owned_by": OURS}
    (told,) = (await poll(box, event("UNSHARE", source, additional_details=None))).events
    assert (told.change, told.reference) == (Change.LOST, f"shared-link:{kind}:77")
    assert told.principal.kind is PrincipalKind.ANONYMOUS_LINK
    by_webhook = read("SHARED_LINK.DELETED", {"type": kind, "id": "77", "shared_link": None})
    assert told.permission == by_webhook.permission


@pytest.mark.parametrize("event_type", ["COLLABORATION_EXPIRATION", "UPDATE_COLLABORATION_EXPIRATION"])
async def test_an_expiration_date_is_read_off_the_item(box: StandIn, event_type: str) -> None:
    await box.seed(collaborations=[{**COLLABORATION, "expires_at": "2027-05-05T00:00:00Z"}])
    page = await poll(box, event(event_type))
    assert page.events == []
    assert shares(page.seen[0])["example@user.com"].expires_at == datetime(2027, 5, 5, tzinfo=UTC)


@pytest.mark.parametrize("event_type", [name for name in TYPES if name.startswith("COLLABORATION_")])
@pytest.mark.parametrize("details", [None, {}, {"collab_id": None, "role": None}])
async def test_a_collaboration_that_is_not_named_is_read_off_the_item(
    box: StandIn, event_type: str, details: dict[str, Any] | None
) -> None:
    """additional_details was seen to be null (box/box-windows-sdk-v2, its tests)."""
    await box.seed(collaborations=[COLLABORATION])
    page = await poll(box, event(event_type, additional_details=details))
    assert page.events == []
    assert [fact.reference for fact in page.seen[0].facts] == ["12345"]


async def test_an_item_is_looked_at_once_and_only_if_box_shows_it(box: StandIn) -> None:
    await box.seed(collaborations=[COLLABORATION])
    gone = event("SHARE", {"item_type": "file", "item_id": "9999", "owned_by": OURS}, event_id="3")
    twice = [event("COLLABORATION_EXPIRATION", event_id="1"), event("UPDATE_COLLABORATION_EXPIRATION", event_id="2")]
    page = await poll(box, *twice, gone)
    assert [one.item.id for one in page.seen] == ["folder:5678"]
    assert sum("5678/collaborations" in request for request in await box.requests()) == 1


OUTSIDER = {"type": "user", "id": "8", "name": "", "login": "them@elsewhere.example"}


@pytest.mark.parametrize("event_type", [name for name in TYPES if name != "UNSHARE"])
@pytest.mark.parametrize("state", [{"hidden": True}, {"is_externally_owned": True}])
async def test_what_an_outsider_owns_is_not_shared_by_us(box: StandIn, event_type: str, state: dict[str, bool]) -> None:
    """Only what is taken back counts: the item may have been ours when it was given."""
    await box.seed(folders=[{"id": "5678", "name": "Valve", "parent": "0", **state}])
    source = {**ON_FOLDER, "item_type": "folder", "item_id": "5678", "owned_by": OUTSIDER}
    page = await poll(box, event(event_type, source))
    assert (len(page.events), page.seen) == (event_type == "COLLABORATION_REMOVE", [])


async def test_an_owner_of_a_domain_that_is_not_listed_may_be_one_of_us(box: StandIn) -> None:
    page = await poll(box, event("COLLABORATION_INVITE", {**ON_FOLDER, "owned_by": OUTSIDER}))
    assert len(page.events) == 1


@pytest.mark.parametrize("owner", [None, {"type": "user", "id": "8", "name": "X", "login": ""}, APP, OURS])
async def test_owners_that_are_ours_or_not_told(box: StandIn, owner: dict[str, Any] | None) -> None:
    assert len((await poll(box, event("COLLABORATION_INVITE", {**ON_FOLDER, "owned_by": owner}))).events) == 1


@pytest.mark.parametrize("event_type", TYPES)
async def test_an_app_needs_no_guest(box: StandIn, event_type: str) -> None:
    page = await poll(box, event(event_type, {**ON_FOLDER, "user_id": APP["id"]}, accessible_by=APP))
    assert (page.events, page.seen) == ([], [])


async def test_a_collaboration_that_turns_out_to_be_an_app_s(box: StandIn) -> None:
    await box.seed(collaborations=[{**COLLABORATION, "accessible_by": APP}])
    page = await poll(box, event("COLLABORATION_INVITE", accessible_by=None))
    assert (page.events, page.seen) == ([], [])


@pytest.mark.parametrize(
    "source",
    [
        {"type": "user", "id": "11446498", "login": "ceo@example.com"},
        {"group_id": "942617509", "group_name": "Groupies"},
        {"type": "application", "name": "App", "api_key": "9aktq"},
        {"type": "app_item", "id": "3", "app_item_type": "hubs", "user": WHO},
        {"item_type": "hub", "item_id": "3"},
    ],
)
async def test_events_about_no_item_are_passed_over(box: StandIn, source: dict[str, Any]) -> None:
    page = await poll(box, event("COLLABORATION_INVITE", source), event("COLLABORATION_REMOVE", None, event_id="2"))
    assert [told.id for told in page.events] == ["box:2"]


async def test_repeats_and_disorder_are_harmless(box: StandIn) -> None:
    """The stand-in gives every part backwards, and with one event of the part before."""
    cursor = await start(box)
    await box.seed(
        events=[event("COLLABORATION_REMOVE", event_id=str(n)) for n in range(45)]
        + [event("COLLABORATION_REMOVE", event_id="3"), event("LOGIN", event_id="x")]
        + [event("COLLABORATION_REMOVE", event_id="3")]
    )
    pages, end = await polled(box.source(), cursor)
    ids = [told.id for page in pages for told in page.events]
    assert set(ids) == {f"box:{n}" for n in range(45)}
    assert all(len({told.id for told in page.events}) == len(page.events) for page in pages)
    assert [page.more for page in pages] == [True] * 3 + [False]
    assert (await polled(box.source(), end))[0][0].events == []
    requests = [request for request in await box.requests() if "event_type=" in request]
    assert all(f"event_type={','.join(TYPES)}" in request.replace("%2C", ",") for request in requests)


async def test_a_page_is_small(box: StandIn) -> None:
    folders = [{"id": str(n), "name": str(n), "parent": "0"} for n in range(1, 101)]
    on_each = [{**COLLABORATION, "id": f["id"], "item": {"type": "folder", "id": f["id"]}} for f in folders]
    await box.seed(folders=folders, collaborations=on_each)
    sources = [{"item_type": "folder", "item_id": f["id"], "owned_by": OURS} for f in folders]
    page = await poll(box, *(event("SHARE", source, event_id=str(n)) for n, source in enumerate(sources)))
    assert page.more
    assert len(await box.requests()) <= 60


@pytest.mark.parametrize("position", [0, "0", None])
async def test_a_position_that_says_nothing_is_not_followed(box: StandIn, position: Any) -> None:
    """Seen with nothing new; from 0 the log would be read from its beginning, again and again."""
    cursor = await start(box)
    empty = {"chunk_size": 0, "next_stream_position": position, "entries": []}
    await box.fail({"path": "/2.0/events", "status": 200, "body": json.dumps(empty)})
    page = await box.source().poll("events", cursor)
    assert json.loads(page.cursor or "")["position"] == json.loads(cursor)["position"]
    assert not page.more


async def test_a_position_that_box_refuses_means_a_rescan(box: StandIn) -> None:
    refused = {"type": "error", "status": 400, "code": "bad_request", "message": "Invalid value 'stream_position'"}
    cursor = await start(box)
    await box.seed(events=[event("COLLABORATION_REMOVE")])
    await box.fail({"path": "/2.0/events", "status": 400, "body": json.dumps(refused)})
    page = await box.source().poll("events", cursor)
    assert (page.rescan, page.more, page.events) == (True, True, ())
    following = await box.source().poll("events", page.cursor)
    assert (following.rescan, following.events) == (False, [])


@pytest.mark.parametrize(("days", "rescan"), [(12, False), (14, True)])
async def test_a_position_that_is_too_old_means_a_rescan(box: StandIn, days: int, rescan: bool) -> None:
    """Box would not refuse it: it silently gives what is left of the log (box/box-java-sdk, pull request 939)."""
    kept = json.loads(await start(box))
    await box.seed(events=[event("COLLABORATION_REMOVE")])
    old = json.dumps({**kept, "at": (datetime.now(UTC) - timedelta(days=days)).isoformat()})
    page = await box.source().poll("events", old)
    assert page.rescan is rescan
    assert bool(page.events) is not rescan
    assert datetime.now(UTC) - datetime.fromisoformat(json.loads(page.cursor or "")["at"]) < timedelta(minutes=1)


@pytest.mark.parametrize("status", [403, 404])
async def test_without_its_scope_an_administrator_is_told(box: StandIn, status: int) -> None:
    for cursor in (None, await start(box)):
        await box.fail({"path": "/2.0/events", "status": status, "code": "insufficient_scope"})
        with pytest.raises(RefusedError) as caught:
            await box.source().poll("events", cursor)
        assert caught.value.reason is Reason.SOURCE_REFUSED
        assert "Manage enterprise properties" in str(caught.value.detail)


async def test_only_the_log_can_be_polled(box: StandIn) -> None:
    with pytest.raises(RefusedError):
        await box.source().poll("folder:5678", None)


@pytest.mark.parametrize(
    ("fault", "after"),
    [
        ({"path": "/2.0/events", "status": 429, "retry_after": 30}, timedelta(seconds=30)),
        ({"path": "/2.0/events", "status": 503}, None),
        ({"path": "/2.0/events", "status": 400, "code": "bad_request"}, None),
        ({"path": "/2.0/events", "status": 0}, None),
        ({"path": "/2.0/events", "status": 200, "body": '{"entries":[{"event_id":"a@b.example"}]}'}, None),
        ({"path": "/2.0/collaborations/", "status": 500}, None),
    ],
)
async def test_trouble_is_for_later_and_nothing_is_lost(
    box: StandIn, fault: dict[str, Any], after: timedelta | None
) -> None:
    cursor = await start(box)
    await box.seed(events=[event("COLLABORATION_INVITE")])
    await box.fail(fault)
    with pytest.raises(LaterError) as caught:
        await box.source().poll("events", cursor)
    assert (caught.value.reason, caught.value.after) == (Reason.SOURCE, after)
    assert "@" not in str(caught.value.detail)
    assert [told.id for told in (await box.source().poll("events", cursor)).events] == ["box:COLLABORATION_INVITE-1"]


async def test_wrong_credentials_are_no_fault_of_the_position(box: StandIn) -> None:
    cursor = await start(box)
    with pytest.raises(LaterError):
        await box.source(client_secret="wrong").poll("events", cursor)
