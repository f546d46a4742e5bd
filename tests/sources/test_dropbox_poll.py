"""Dropbox: the team's log page by page, and cursors that are void."""

import json
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone
from itertools import permutations
from typing import Any

import pytest

from shared.domain.events import Change
from shared.domain.reasons import Reason
from shared.domain.shares import Share
from shared.domain.sources import Hint
from shared.domain.trouble import LaterError
from shared.sources.dropbox.api import DropboxApi
from shared.sources.dropbox.source import FEED
from tests.sources.dropbox_samples import ADMIN, ANNA, ERIKA, OTTO, REAL_EVENT, SECRETS, StandIn, make, people, stand_in

FOLDER = "/Projects/Alpha"


@pytest.fixture
async def dropbox() -> AsyncIterator[StandIn]:
    async with stand_in() as one:
        yield one


async def test_the_beginning_is_now_and_asks_nothing(dropbox: StandIn) -> None:
    await dropbox.act("share", ERIKA, FOLDER, shared_at="2020-05-01T09:00:00+00:00")
    page = await dropbox.source.poll(FEED, None)
    assert (page.events, page.seen, page.more, page.rescan) == ((), (), False, False)
    assert await dropbox.requests() == []
    assert page.cursor is not None
    assert await dropbox.told(page.cursor) == []


async def test_what_is_shared_before_the_first_reading_is_not_lost(dropbox: StandIn) -> None:
    cursor = await dropbox.start()
    await dropbox.act("share", ERIKA, FOLDER)
    assert [one.principal.address for one in await dropbox.told(cursor)] == [ERIKA]


async def test_times_are_utc_wherever_this_runs(dropbox: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dropbox's SDK takes and gives times without an offset."""
    monkeypatch.setenv("TZ", "America/Los_Angeles")
    time.tzset()
    try:
        cursor = await dropbox.start()
        await dropbox.act("share", ERIKA, FOLDER)
        (event,) = await dropbox.told(cursor)
    finally:
        monkeypatch.undo()
        time.tzset()
    assert abs(event.at - datetime.now(UTC)) < timedelta(minutes=5)
    assert event.at.utcoffset() == timedelta(0)
    elsewhere = timezone(timedelta(hours=-8))
    api = DropboxApi({**SECRETS, "api_url": dropbox.url})
    since = (datetime.now(UTC) - timedelta(hours=1)).astimezone(elsewhere)
    assert len((await api.log("sharing", since, None, 10)).events) == 1


async def test_the_log_is_read_page_by_page(dropbox: StandIn) -> None:
    cursor = await dropbox.start()
    for number in range(65):
        await dropbox.act("share", f"p{number}@partner.example", FOLDER)
    events = await dropbox.told(cursor)
    assert sorted(one.principal.address or "" for one in events) == sorted(f"p{n}@partner.example" for n in range(65))
    asked = [one for one in await dropbox.requests() if one.startswith("team_log/get_events")]
    assert len(asked) == 2 * 4  # both categories, four pages


async def test_an_empty_page_does_not_end_the_log(dropbox: StandIn) -> None:
    cursor = await dropbox.start()
    await dropbox.act("share", ERIKA, FOLDER)
    await dropbox.seed(empty_log_pages=2)
    first = await dropbox.source.poll(FEED, cursor)
    assert (first.events, first.more, first.cursor == cursor) == ([], True, False)
    assert first.cursor is not None
    assert [one.principal.address for one in (await dropbox.polled(first.cursor)).events] == [ERIKA]


async def test_the_newest_cursor_is_kept_although_there_is_nothing_new(dropbox: StandIn) -> None:
    cursor = await dropbox.start()
    first = await dropbox.source.poll(FEED, cursor)
    assert first.cursor is not None
    second = await dropbox.source.poll(FEED, first.cursor)
    assert len({cursor, first.cursor, second.cursor}) == 3


async def test_events_that_are_logged_late_are_told(dropbox: StandIn) -> None:
    cursor = (await dropbox.polled(await dropbox.start())).cursor
    assert cursor is not None
    await dropbox.act("share", ERIKA, FOLDER, shared_at="2020-05-01T09:00:00+00:00")
    (event,) = await dropbox.told(cursor)
    assert event.at == event.shared_at == datetime(2020, 5, 1, 9, tzinfo=UTC)


async def test_a_reset_cursor_resumes_at_the_time_that_dropbox_says(dropbox: StandIn) -> None:
    cursor = await dropbox.start()
    await dropbox.act("share", ERIKA, FOLDER)
    page = await dropbox.polled(cursor)
    assert page.cursor is not None
    await dropbox.seed(void="reset")
    await dropbox.act("share", OTTO, FOLDER)
    void = await dropbox.source.poll(FEED, page.cursor)
    assert (void.events, void.seen, void.more, void.rescan) == ((), (), True, False)
    assert void.cursor is not None
    again = await dropbox.polled(void.cursor)
    assert {one.principal.address for one in again.events} == {ERIKA, OTTO}
    assert {one.id for one in page.events} <= {one.id for one in again.events}
    assert not again.rescan


async def test_an_unknown_cursor_leads_to_a_scan_and_to_what_is_new(dropbox: StandIn) -> None:
    cursor = await dropbox.start()
    await dropbox.act("share", ERIKA, FOLDER)
    page = await dropbox.polled(cursor)
    assert page.cursor is not None
    await dropbox.seed(void="bad_cursor")
    void = await dropbox.source.poll(FEED, page.cursor)
    assert (void.more, void.rescan) == (True, True)
    assert void.cursor is not None
    await dropbox.act("share", OTTO, FOLDER)
    assert {one.principal.address for one in (await dropbox.polled(void.cursor)).events} == {ERIKA, OTTO}


async def test_a_cursor_that_is_none_of_ours_begins_anew(dropbox: StandIn) -> None:
    page = await dropbox.source.poll(FEED, "nonsense")
    assert (page.more, page.rescan) == (True, True)
    assert page.cursor is not None
    assert (await dropbox.polled(page.cursor)).events == []


async def test_a_time_that_dropbox_does_not_take_begins_anew(dropbox: StandIn) -> None:
    cursor = json.loads(await dropbox.start())
    cursor["sharing"]["since"] = "2999-01-01T00:00:00Z"
    page = await dropbox.source.poll(FEED, json.dumps(cursor))
    assert (page.more, page.rescan) == (True, True)
    assert page.cursor is not None
    await dropbox.act("share", ERIKA, FOLDER)
    assert len((await dropbox.polled(page.cursor)).events) == 1


async def test_a_void_cursor_of_one_category_loses_nothing_of_the_other(dropbox: StandIn) -> None:
    cursor = (await dropbox.polled(await dropbox.start())).cursor
    assert cursor is not None
    mixed = {**json.loads(cursor), "members": {"since": "2026-01-01T00:00:00Z", "cursor": "forgotten"}}
    await dropbox.act("share", ERIKA, FOLDER)
    page = await dropbox.polled(json.dumps(mixed))
    assert [one.principal.address for one in page.events] == [ERIKA]


@pytest.mark.parametrize(
    ("person", "status", "rescan"),
    [
        ("temp@agency.example", "suspended", True),
        ("temp@agency.example", "removed", True),
        ("temp@agency.example", "moved_to_another_team", True),
        ("temp@agency.example", "active", True),
        ("temp@agency.example", "invited", False),
        ("temp@agency.example", "not_joined", False),
        ("otto@contoso.example", "suspended", False),
    ],
)
async def test_a_member_s_status_leads_to_a_scan_where_it_matters(
    dropbox: StandIn, person: str, status: str, rescan: bool
) -> None:
    """Which shares it concerns is not told; of people with an address of the company none is carried anyway."""
    await dropbox.seed(members=[{"email": person}])
    cursor = await dropbox.start()
    await dropbox.happen("status", person=person, status=status)
    page = await dropbox.polled(cursor)
    assert (page.events, page.rescan) == ([], rescan)


async def test_a_suspended_member_is_flagged_and_the_same_person_s_own_address_is_not(dropbox: StandIn) -> None:
    inside, outside = "kim@agency.example", "kim@home.example"
    await dropbox.seed(members=[{"email": inside, "status": "suspended"}])
    cursor = await dropbox.start()
    await dropbox.act("share", inside, FOLDER)
    await dropbox.act("share", outside, FOLDER)
    told = {one.principal.address: one.principal.suspended for one in await dropbox.told(cursor)}
    seen, _ = await dropbox.scanned()
    shown = {one.principal.address: one.principal.suspended for found in seen for one in found.facts}
    assert told == {inside: True, outside: False}
    assert shown == told


async def test_others_folders_are_not_our_shares(dropbox: StandIn) -> None:
    await dropbox.seed(members=[{"email": ANNA}], outside_folders=[{"name": "Theirs", "member": ANNA}])
    theirs = next(one for one in dropbox.team.namespaces.values() if one.name == "Theirs")
    cursor = await dropbox.start()
    asset = {".tag": "folder", "path": {"namespace_relative": {"ns_id": theirs.id}}}
    file = {
        ".tag": "file",
        "file_id": "id:x",
        "path": {"namespace_relative": {"ns_id": theirs.id, "relative_path": "/x"}},
    }
    event = {**REAL_EVENT, "timestamp": "2100-01-01T00:00:00Z", "assets": [asset, file]}
    await dropbox.log(event)
    await dropbox.log({**event, "event_type": {".tag": "shared_content_claim_invitation", "description": "x"}})
    assert await dropbox.told(cursor) == []
    assert (await dropbox.polled(cursor)).seen == []


async def test_a_folder_named_by_the_one_above_is_found(dropbox: StandIn) -> None:
    await dropbox.seed(folders=["/Projects", FOLDER])
    above, inner = (next(o for o in dropbox.team.namespaces.values() if o.name == n) for n in ("Projects", "Alpha"))
    cursor = await dropbox.start()
    place = {"ns_id": above.id, "relative_path": "/alpha", "is_shared_namespace": True}
    gone = {**place, "relative_path": "/gone"}
    assets = [{".tag": "folder", "path": {"namespace_relative": one}} for one in (place, gone)]
    await dropbox.log({**REAL_EVENT, "timestamp": "2100-01-01T00:00:00Z", "assets": assets})
    found = {one.item.id: one.item.path for one in await dropbox.told(cursor) if one.item}
    assert found == {f"folder:{inner.id}": FOLDER, f"folder:{above.id}/gone": None}


async def test_whose_folder_is_restricted_is_looked_at(dropbox: StandIn) -> None:
    await dropbox.act("share", ERIKA, "/Projects")
    await dropbox.act("share", OTTO, FOLDER, role="viewer")
    cursor = await dropbox.start()
    await dropbox.happen("restrict", path=FOLDER)
    (seen,) = (await dropbox.polled(cursor)).seen
    assert people(seen) == {OTTO: "viewer"}


@pytest.mark.parametrize("event", [{"event_type": {".tag": "x"}}, {"timestamp": "2026-01-01 10:00", "event_type": "x"}])
async def test_a_log_that_is_not_as_documented_is_for_later(dropbox: StandIn, event: dict[str, Any]) -> None:
    cursor = await dropbox.start()
    body = {"events": [{**event, "email": ERIKA}], "cursor": "x", "has_more": False}
    await dropbox.fail({"path": "/2/team_log/get_events", "status": 200, "body": json.dumps(body)})
    with pytest.raises(LaterError) as caught:
        await dropbox.source.poll(FEED, cursor)
    assert caught.value.reason is Reason.SOURCE
    assert ERIKA not in str(caught.value.detail)


async def test_the_webhook_hints_at_the_feed(dropbox: StandIn) -> None:
    assert await dropbox.enter_webhook(dropbox.inbox_url) == 204
    cursor = await dropbox.start()
    await dropbox.act("share", ERIKA, FOLDER, sharer=ANNA, notify="twice")
    await dropbox.act("share", OTTO, f"/{ADMIN}/Own", sharer=ANNA, notify="never")
    assert len(dropbox.inbox) == 2
    for headers, body in dropbox.inbox:
        delivery = make().authenticate(headers, body, datetime.now(UTC))
        assert make().read(delivery.body) == [Hint(FEED)]
    assert [one.principal.address for one in (await dropbox.polled(cursor)).events] == [ERIKA]
    swallowed = [one for found in (await dropbox.scanned())[0] for one in found.facts]
    assert OTTO in [one.principal.address for one in swallowed]


async def test_the_stand_in_insists_on_its_challenge(dropbox: StandIn) -> None:
    assert await dropbox.enter_webhook(dropbox.inbox_url.replace("/hook", "/nothing")) == 400


async def test_any_order_of_reading_is_one_state(dropbox: StandIn) -> None:
    """The log is "not guaranteed to be sorted": each fact has its own time, and the later one counts."""
    cursor = await dropbox.start()
    await dropbox.act("share", ERIKA, FOLDER)
    await dropbox.act("role", ERIKA, FOLDER, role="viewer")
    await dropbox.act("remove", ERIKA, FOLDER)
    events = (await dropbox.polled(cursor)).events
    assert {one.change for one in events} == set(Change)
    for order in permutations(events):
        share = Share(id="s", connection="dropbox-main")
        for event in order:
            share = share.fold(event)
        assert share.live_claims == []
