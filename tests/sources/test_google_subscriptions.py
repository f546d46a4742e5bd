"""Google Workspace: channels, as the platform makes them and delivers over them."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from shared.domain.events import Change
from shared.domain.sources import Subscription
from shared.domain.trouble import RefusedError
from shared.sources.google_workspace.channels import subscription
from shared.sources.google_workspace.parts import Channel
from tests.sources.google_samples import EXA, OLGA, PAUL, Google, google_workspace, roles, sets

SECOND = timedelta(seconds=1)


@pytest.fixture
async def google() -> AsyncIterator[Google]:
    async with google_workspace() as one:
        yield one


def names(google: Google) -> list[str]:
    drive = next(iter(google.account.drives), None) or google.account.add_drive("Sales", PAUL)
    return ["reports", f"changes:{google.account.people[OLGA].id}", f"drive:{drive}"]


async def hints(google: Google) -> list[str]:
    return [hint.feed for delivery in await google.delivered() for hint in google.source.read(delivery.body)]


@pytest.mark.parametrize(("which", "life"), [(0, timedelta(hours=6)), (1, timedelta(days=7)), (2, timedelta(days=7))])
async def test_a_channel_lasts_as_long_as_google_allows(google: Google, which: int, life: timedelta) -> None:
    feed, before = names(google)[which], datetime.now(UTC)
    made = await google.source.subscribe(feed, None, google.address)
    assert made.expires_at is not None
    assert before - SECOND <= made.made_at <= datetime.now(UTC)
    assert abs(made.expires_at - made.made_at - life) < SECOND
    (channel,) = google.stand_in.channels.open.values()
    assert (channel.id, channel.resource_id, channel.address) == (made.id, made.resource_id, google.address)
    assert not channel.payload


@pytest.mark.parametrize("which", [0, 1, 2])
async def test_the_first_message_is_a_reason_to_look_and_may_come_before_the_answer(google: Google, which: int) -> None:
    feed = names(google)[which]
    made = await google.source.subscribe(feed, None, google.address)
    (delivery,) = await google.delivered()
    (hint,) = google.source.read(delivery.body)
    assert (hint.feed, hint.resource_id, hint.renew) == (feed, made.resource_id, False)


@pytest.mark.parametrize("which", [0, 1, 2])
async def test_a_renewal_is_another_channel_to_the_same_and_both_deliver_until_one_ends(
    google: Google, which: int
) -> None:
    feed = names(google)[which]
    first = await google.source.subscribe(feed, None, google.address)
    second = await google.source.subscribe(feed, first, google.address)
    assert first.id != second.id
    assert first.resource_id == second.resource_id  # a shared drive's channel watches that drive again, not a My Drive
    await google.delivered()
    path = "/Shared drives/Sales/Offers" if which == 2 else f"/{OLGA}/Alpha"
    await google.act("share", EXA, path)
    assert await hints(google) == [feed, feed]
    await google.source.unsubscribe(feed, first)
    assert list(google.stand_in.channels.open) == [second.id]
    await google.act("role", EXA, path, "reader")
    assert await hints(google) == [feed]


@pytest.mark.parametrize("which", [0, 1, 2])
async def test_ending_what_is_gone_is_no_error(google: Google, which: int) -> None:
    feed, now = names(google)[which], datetime.now(UTC)
    await google.source.unsubscribe(feed, Subscription(id="gone", made_at=now, resource_id="gone"))
    await google.source.unsubscribe(feed, Subscription(id="gone", made_at=now))


async def test_repeats_silence_and_order_do_no_harm(google: Google) -> None:
    feeds = names(google)
    cursors = {feed: await google.start(feed) for feed in feeds}
    for feed in feeds:
        await google.source.subscribe(feed, None, google.address)
    assert sorted(await hints(google)) == sorted(feeds)
    await google.act("share", EXA, f"/{OLGA}/Alpha", notify="twice")
    assert sorted(await hints(google)) == sorted([feeds[0], feeds[1]] * 2)
    await google.act("role", EXA, f"/{OLGA}/Alpha", "reader", notify="never")
    assert await hints(google) == []
    (seen,) = [s for s in sets((await google.polled(feeds[1], cursors[feeds[1]]))[0]).values() if s.facts]
    assert roles(seen) == {EXA: "reader"}
    changes = [fact.change for fact in await google.told(cursors["reports"])]
    assert changes == [Change.GIVEN, Change.KEPT]
    assert google.turned_away == []


async def test_google_does_not_send_again_what_was_turned_away(google: Google) -> None:
    feed = names(google)[1]
    await google.source.subscribe(feed, None, google.address)
    await google.delivered()
    (channel,) = google.stand_in.channels.open.values()
    channel.token = "not ours"
    await google.act("share", EXA, f"/{OLGA}/Alpha")
    assert await hints(google) == []
    assert google.turned_away == ["token-wrong"]
    assert google.stand_in.deliveries[-1]["attempts"] == 1


async def test_an_address_that_google_does_not_deliver_to_needs_somebody(google: Google) -> None:
    for feed in names(google):
        with pytest.raises(RefusedError) as caught:
            await google.source.subscribe(feed, None, "http://guestpass.example/api/webhooks/google-main")
        assert "push.webhookUrlNotHttps" in str(caught.value.detail)


@pytest.mark.parametrize("expiration", ["1764064800000", "1764064800"])
def test_an_end_in_milliseconds_or_seconds_is_the_same(expiration: str) -> None:
    channel = Channel.model_validate({"id": "c", "resourceId": "r", "expiration": expiration})
    assert subscription(channel, datetime.now(UTC)).expires_at == datetime(2025, 11, 25, 10, 0, tzinfo=UTC)


def test_a_channel_whose_end_google_does_not_tell_lasts_an_hour() -> None:
    now = datetime.now(UTC)
    made = subscription(Channel.model_validate({"id": "c", "resourceId": "r"}), now)
    assert made.expires_at == now + timedelta(hours=1)
