"""Dropbox: what does not work, and who has to do something about it."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from shared.domain.events import ShareEvent
from shared.domain.reasons import Reason
from shared.domain.trouble import LaterError, RefusedError
from shared.sources.dropbox.source import FEED
from tests.sources.dropbox_samples import ANNA, ERIKA, StandIn, make, stand_in

FOLDER = "/Projects/Alpha"


@pytest.fixture
async def dropbox() -> AsyncIterator[StandIn]:
    async with stand_in() as one:
        await one.act("share", ERIKA, FOLDER, sharer=ANNA)
        yield one


async def an_event(dropbox: StandIn) -> ShareEvent:
    cursor = await dropbox.start()
    await dropbox.act("share", ERIKA, FOLDER, sharer=ANNA)
    return (await dropbox.polled(cursor)).events[0]


@pytest.mark.parametrize(
    ("fault", "after"),
    [
        ({"status": 429, "retry_after": 300}, timedelta(seconds=300)),
        ({"status": 429, "retry_after": "soon"}, None),
        ({"status": 429, "body": "slow down"}, None),
        ({"status": 500}, None),
        ({"status": 503, "retry_after": 7}, None),
        ({"status": 0}, None),
        ({"status": 404}, None),
        ({"status": 418}, None),
        ({"status": 200, "body": "<html>proxy</html>"}, None),
        ({"status": 200, "body": "[]"}, None),
        ({"status": 401, "body": "erika@partner.example"}, None),
        ({"status": 409, "body": "erika@partner.example"}, None),
        ({"status": 422, "body": '{"error": {".tag": "other"}}'}, None),
    ],
)
async def test_passing_trouble_is_for_later_and_not_slept_through(
    dropbox: StandIn, fault: dict[str, Any], after: timedelta | None
) -> None:
    event = await an_event(dropbox)
    before = len(await dropbox.requests())
    await dropbox.fail({"path": "/2/sharing/get_folder_metadata", **fault})
    with pytest.raises(LaterError) as caught:
        await dropbox.source.enrich(event)
    assert (caught.value.reason, caught.value.after) == (Reason.SOURCE, after)
    assert "partner.example" not in str(caught.value.detail)
    assert len(await dropbox.requests()) == before + 1
    (complete,) = await dropbox.source.enrich(event)
    assert complete.item is not None
    assert complete.item.path == FOLDER


@pytest.mark.parametrize(
    "answer",
    [
        {"shared_folder_id": 7, "name": ERIKA},
        {"shared_folder_id": "1", "name": ERIKA, "is_team_folder": "yes"},
        {"name": ERIKA, "is_team_folder": True},
        None,
    ],
)
async def test_answers_that_are_not_as_documented_are_for_later(dropbox: StandIn, answer: object) -> None:
    event = await an_event(dropbox)
    headers_and_body = {"status": 200, "body": json.dumps(answer)}
    await dropbox.fail({"path": "/2/sharing/get_folder_metadata", **headers_and_body})
    with pytest.raises(LaterError) as caught:
        await dropbox.source.enrich(event)
    assert caught.value.reason is Reason.SOURCE
    assert ERIKA not in str(caught.value.detail)


async def test_an_expired_token_is_renewed(dropbox: StandIn) -> None:
    event = await an_event(dropbox)
    before = await dropbox.source.enrich(event)
    await dropbox.seed(expire_tokens=True)
    assert await dropbox.source.enrich(event) == before


async def test_a_token_that_expires_again_and_again_is_for_later(dropbox: StandIn) -> None:
    event = await an_event(dropbox)
    fault = {"path": "/2/sharing/", "status": 401, "code": "expired_access_token"}
    await dropbox.fail(fault, fault)
    with pytest.raises(LaterError):
        await dropbox.source.enrich(event)


@pytest.mark.parametrize(("name", "value"), [("app_key", "wrong"), ("refresh_token", "wrong-token")])
async def test_credentials_that_dropbox_refuses_need_somebody(dropbox: StandIn, name: str, value: str) -> None:
    source = make(api_url=dropbox.url, **{name: value})
    cursor = (await source.poll(FEED, None)).cursor
    with pytest.raises(RefusedError) as caught:
        await source.poll(FEED, cursor)
    assert caught.value.reason is Reason.SOURCE_REFUSED
    assert value not in str(caught.value.detail)


@pytest.mark.parametrize(
    ("scope", "task"),
    [
        ("events.read", "poll"),
        ("team_data.member", "scan"),
        ("sharing.read", "scan"),
        ("team_info.read", "scan"),
        ("files.metadata.read", "scan"),
        ("members.read", "scan"),
        ("groups.read", "scan"),
    ],
)
async def test_a_missing_scope_is_named(dropbox: StandIn, scope: str, task: str) -> None:
    """Each scope of the set-up in the docs is needed for something."""
    await dropbox.seed(groups=[{"name": "G", "members": [ANNA]}])
    await dropbox.act("share", "group:G", FOLDER)
    all_scopes = [
        "events.read",
        "team_data.member",
        "sharing.read",
        "team_info.read",
        "files.metadata.read",
        "members.read",
        "groups.read",
    ]
    cursor = await dropbox.start()
    await dropbox.seed(scopes=[one for one in all_scopes if one != scope])
    with pytest.raises(RefusedError) as caught:
        await (dropbox.source.poll(FEED, cursor) if task == "poll" else dropbox.scanned())
    assert caught.value.reason is Reason.SOURCE_REFUSED
    assert scope in str(caught.value.detail)
    await dropbox.seed(scopes=all_scopes)
    assert await (dropbox.source.poll(FEED, cursor) if task == "poll" else dropbox.scanned())


async def test_the_scopes_of_the_set_up_are_enough(dropbox: StandIn) -> None:
    named = ["events.read", "files.metadata.read", "groups.read", "members.read", "sharing.read"]
    await dropbox.seed(scopes=[*named, "team_data.member", "team_info.read"])
    await dropbox.happen("link", owner=ANNA, path=f"/{ANNA}/f", kind="file")
    cursor = await dropbox.start()
    await dropbox.act("share", ERIKA, f"/{ANNA}/g", kind="file", sharer=ANNA)
    assert await dropbox.told(cursor)
    seen, _ = await dropbox.scanned()
    assert len([one for one in seen if one.facts]) == 3
    assert all([await dropbox.source.look(one.item) for one in seen])


async def test_an_admin_who_is_none_any_more_needs_somebody(dropbox: StandIn) -> None:
    event = await an_event(dropbox)
    await dropbox.source.enrich(event)
    await dropbox.seed(members=[{"email": "boss@contoso.example"}], admin="boss@contoso.example")
    with pytest.raises(RefusedError) as caught:
        await dropbox.source.enrich(event)
    assert "team admin" in str(caught.value.detail)
    assert await dropbox.source.enrich(event)  # the one who has linked the app meanwhile


async def test_an_admin_who_has_left_needs_somebody(dropbox: StandIn) -> None:
    event = await an_event(dropbox)
    await dropbox.seed(members=[{"email": "admin@contoso.example", "status": "suspended"}])
    with pytest.raises(RefusedError) as caught:
        await make(api_url=dropbox.url).enrich(event)
    assert caught.value.reason is Reason.SOURCE_REFUSED


@pytest.mark.parametrize("tag", ["team_access_denied", "invalid_account_type", "no_permission"])
async def test_a_plan_that_lacks_it_needs_somebody(dropbox: StandIn, tag: str) -> None:
    await dropbox.fail({"path": "/2/team/namespaces", "status": 403, "code": tag})
    with pytest.raises(RefusedError) as caught:
        await dropbox.source.scan(None)
    assert caught.value.reason is Reason.SOURCE_REFUSED


async def test_a_request_that_dropbox_does_not_take_needs_somebody(dropbox: StandIn) -> None:
    await dropbox.fail({"path": "/2/team/namespaces", "status": 400, "body": f"Error in call: {ERIKA}"})
    with pytest.raises(RefusedError) as caught:
        await dropbox.source.scan(None)
    assert ERIKA not in str(caught.value.detail)


async def test_a_place_that_cannot_be_read_is_no_path(dropbox: StandIn) -> None:
    event = await an_event(dropbox)
    no_permission = '{"error_summary": "no_permission/", "error": {".tag": "no_permission"}}'
    await dropbox.fail({"path": "/2/files/get_metadata", "status": 422, "body": no_permission})
    (complete,) = await dropbox.source.enrich(event)
    assert complete.item is not None
    assert complete.item.path is None


@pytest.mark.parametrize("member", [{"account_id": "x"}, {"email": ERIKA, "same_team": 1}])
async def test_a_member_that_is_not_as_documented_stops_the_page(dropbox: StandIn, member: dict[str, Any]) -> None:
    """Leaving one out would take access from somebody who has it."""
    answer = {"users": [{"access_type": {".tag": "editor"}, "user": member}], "groups": [], "invitees": []}
    await dropbox.fail(
        {"path": "/2/sharing/list_folder_members", "status": 200, "body": json.dumps(answer), "times": 9}
    )
    with pytest.raises(LaterError) as caught:
        await dropbox.scanned()
    assert ERIKA not in str(caught.value.detail)
