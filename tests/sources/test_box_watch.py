"""Box: webhooks are made, found again, and end."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from box_sdk_gen import CreateWebhookTarget, CreateWebhookTargetTypeField, CreateWebhookTriggers

from shared.domain.reasons import Reason
from shared.domain.sources import FoundFeed, Subscription
from shared.domain.trouble import LaterError, RefusedError
from shared.sources.box.source import TRIGGERS, BoxSource
from tests.sources.box_world import StandIn, stand_in

ADDRESS = "https://guestpass.example/api/webhooks/box-main"
ELSEWHERE = "https://other.example/api/webhooks/box-main"
FOLDERS = [{"id": "5000", "name": "Projects", "parent": "0"}, {"id": "5678", "name": "Valve", "parent": "5000"}]


@pytest.fixture
async def box() -> AsyncIterator[StandIn]:
    async with stand_in() as box:
        await box.seed(folders=FOLDERS)
        yield box


async def all_feeds(source: BoxSource) -> list[FoundFeed]:
    page = await source.feeds(None)
    found = list(page.feeds)
    while page.cursor is not None:
        page = await source.feeds(page.cursor)
        found += page.feeds
    return found


async def hook(box: StandIn, ident: str) -> dict[str, Any]:
    shown: dict[str, Any] = (await box.ask(lambda client: client.webhooks.get_webhook_by_id(ident))).raw_data
    return shown


async def by_hand(box: StandIn, folder: str) -> str:
    """Make a webhook as somebody would in the Developer Console; return its id."""
    target = CreateWebhookTarget(id=folder, type=CreateWebhookTargetTypeField.FOLDER)
    triggers = [CreateWebhookTriggers.COLLABORATION_CREATED]
    return str((await box.ask(lambda client: client.webhooks.create_webhook(target, ADDRESS, triggers))).id)


async def test_the_log_is_polled_and_the_folders_at_the_top_are_watched(box: StandIn) -> None:
    theirs = {"id": "6000", "name": "Theirs", "parent": "0", "is_externally_owned": True}
    await box.seed(folders=[theirs], files=[{"id": "1", "name": "a", "parent": "0"}])
    assert await all_feeds(box.source()) == [
        FoundFeed("events", polls=True, watches=False),
        FoundFeed("folder:5000", polls=False, watches=True),
    ]


async def test_no_more_folders_are_watched_than_box_allows(box: StandIn) -> None:
    await box.seed(folders=[{"id": str(n), "name": f"f{n}", "parent": "0"} for n in range(10_000, 11_200)])
    await box.seed(folders=[{"id": "1", "name": "Theirs", "parent": "0", "is_externally_owned": True}])
    found = await all_feeds(box.source())
    names = [feed.name for feed in found if feed.watches]
    assert len(names) == len(set(names)) == 1000
    assert len(found) == 1001
    assert len(await box.requests()) == 6


async def test_an_app_that_may_not_read_folders_is_told_so(box: StandIn) -> None:
    await box.fail({"path": "/2.0/folders/0/items", "status": 403, "code": "insufficient_scope"})
    with pytest.raises(RefusedError, match="source-refused"):
        await box.source().feeds(None)


async def test_a_webhook_is_made_with_all_that_can_be_read(box: StandIn) -> None:
    made = await box.source().subscribe("folder:5000", None, ADDRESS)
    shown = await hook(box, made.id)
    assert (shown["address"], shown["target"]) == (ADDRESS, {"type": "folder", "id": "5000"})
    assert set(shown["triggers"]) == set(TRIGGERS)
    assert datetime.now(UTC) - made.made_at < timedelta(minutes=1)
    assert (made.expires_at, made.resource_id) == (None, None)
    assert made.renew_at == made.made_at + timedelta(days=1)


async def test_one_that_is_still_there_is_left_alone(box: StandIn) -> None:
    source = box.source()
    made = await source.subscribe("folder:5000", None, ADDRESS)
    again = await source.subscribe("folder:5000", made, ADDRESS)
    assert again.id == made.id
    assert again.made_at >= made.made_at
    assert [request.split()[0] for request in await box.requests()] == ["POST", "GET"]


async def test_one_that_box_deleted_is_made_again(box: StandIn) -> None:
    source = box.source()
    made = await source.subscribe("folder:5000", None, ADDRESS)
    await box.seed(forget_webhooks=True)
    again = await source.subscribe("folder:5000", made, ADDRESS)
    assert (await hook(box, again.id))["address"] == ADDRESS
    assert [request.split()[0] for request in await box.requests()][:3] == ["POST", "GET", "POST"]


async def test_one_of_another_folder_is_not_ours_to_keep(box: StandIn) -> None:
    source = box.source()
    other = await source.subscribe("folder:5678", None, ADDRESS)
    made = await source.subscribe("folder:5000", other, ADDRESS)
    assert made.id != other.id


async def test_the_app_s_address_may_change(box: StandIn) -> None:
    source = box.source()
    made = await source.subscribe("folder:5000", None, ELSEWHERE)
    again = await source.subscribe("folder:5000", made, ADDRESS)
    assert again.id == made.id
    assert (await hook(box, made.id))["address"] == ADDRESS


async def test_one_that_was_made_by_hand_is_adopted(box: StandIn) -> None:
    """Among many: the list shows no addresses, so each of the folder is asked for."""
    await box.seed(folders=[{"id": str(7000 + n), "name": f"{n}", "parent": "0"} for n in range(201)])
    for number in range(201):
        await by_hand(box, str(7000 + number))
    theirs = await by_hand(box, "5000")
    before = len(await box.requests())
    made = await box.source().subscribe("folder:5000", None, ADDRESS)
    assert made.id == theirs
    assert set((await hook(box, made.id))["triggers"]) == set(TRIGGERS)
    methods = [request.split()[0] for request in await box.requests()][before:]
    assert methods == ["POST", "GET", "GET", "GET", "PUT", "GET"]  # the last one is this test's


async def test_one_that_delivers_elsewhere_is_somebody_else_s(box: StandIn) -> None:
    source = box.source()
    theirs = await source.subscribe("folder:5000", None, ELSEWHERE)
    with pytest.raises(RefusedError) as caught:
        await source.subscribe("folder:5000", None, ADDRESS)
    assert caught.value.reason is Reason.SOURCE_REFUSED
    assert "delivers elsewhere" in str(caught.value.detail)
    assert "example" not in str(caught.value.detail)
    assert (await hook(box, theirs.id))["address"] == ELSEWHERE


@pytest.mark.parametrize("feed", ["folder:0", "events", "file:77"])
async def test_only_folders_beneath_the_root_have_webhooks(box: StandIn, feed: str) -> None:
    with pytest.raises(RefusedError):
        await box.source().subscribe(feed, None, ADDRESS)
    assert await box.requests() == []


@pytest.mark.parametrize(
    ("feed", "address"),
    [
        ("folder:404", ADDRESS),
        ("folder:5000", "http://guestpass.example/api/webhooks/box-main"),
        ("folder:5000", "https://guestpass.example:8443/api/webhooks/box-main"),
    ],
)
async def test_what_box_refuses_needs_an_administrator(box: StandIn, feed: str, address: str) -> None:
    with pytest.raises(RefusedError) as caught:
        await box.source().subscribe(feed, None, address)
    assert caught.value.reason is Reason.SOURCE_REFUSED
    assert "Manage webhooks" in str(caught.value.detail)
    assert "guestpass.example" not in str(caught.value.detail)


async def test_a_change_that_box_refuses_needs_an_administrator(box: StandIn) -> None:
    made = await box.source().subscribe("folder:5000", None, ADDRESS)
    with pytest.raises(RefusedError):
        await box.source().subscribe("folder:5000", made, "http://guestpass.example/")


@pytest.mark.parametrize(
    ("fault", "after"),
    [({"status": 429, "retry_after": 9}, timedelta(seconds=9)), ({"status": 500}, None), ({"status": 0}, None)],
)
async def test_trouble_is_for_later(box: StandIn, fault: dict[str, Any], after: timedelta | None) -> None:
    await box.fail({"path": "/2.0/webhooks", **fault})
    with pytest.raises(LaterError) as caught:
        await box.source().subscribe("folder:5000", None, ADDRESS)
    assert caught.value.after == after


async def test_wrong_credentials_are_not_the_webhook_s_fault(box: StandIn) -> None:
    with pytest.raises(LaterError):
        await box.source(client_secret="wrong").subscribe("folder:5000", None, ADDRESS)


async def test_a_webhook_ends_once(box: StandIn) -> None:
    source = box.source()
    made = await source.subscribe("folder:5000", None, ADDRESS)
    await source.unsubscribe("folder:5000", made)
    assert (await box.ask(lambda client: client.webhooks.get_webhooks())).entries == []
    await source.unsubscribe("folder:5000", made)
    await source.unsubscribe("folder:5000", Subscription(id="0", made_at=made.made_at))
