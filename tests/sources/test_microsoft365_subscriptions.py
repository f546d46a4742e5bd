"""Subscriptions against the simulated tenant: handshake, notifications as it sends them, renewal, loss, rotation."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web

from shared.domain.events import ShareEvent
from shared.domain.reasons import Reason
from shared.domain.sources import Delivery, Hint
from shared.domain.trouble import LaterError, RejectedError
from shared.sources.microsoft365.base import Microsoft365Source
from tests.sources.microsoft365_samples import (
    ANN,
    BEN,
    OLGA,
    SECRETS,
    Tenant,
    feeds,
    office365,
    onedrive,
    poll,
    reading,
    running_tenant,
)

PROJECT = f"/{OLGA}/Projects/Alpha"


class Receiver:
    """The app's address: it judges and reads what comes with the source, and answers as functions/sources.py does."""

    def __init__(self, source: Microsoft365Source) -> None:
        self.source = source
        self.url = ""
        self.answers_handshakes = True
        self.handshakes = 0
        self.deliveries: list[Delivery] = []
        self.read: list[ShareEvent | Hint] = []

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        try:
            proof = self.source.answer_handshake(request.query)
            if proof is not None:
                self.handshakes += 1
                kind = "text/plain" if self.answers_handshakes else "text/html"
                return web.Response(text=proof, content_type=kind)
            delivery = self.source.authenticate(request.headers, body, datetime.now(UTC))
        except RejectedError as refused:
            return web.Response(status=refused.status)
        self.deliveries.append(delivery)
        self.read += self.source.read(delivery.body)
        return web.Response(status=202)


@asynccontextmanager
async def receiving(source: Microsoft365Source) -> AsyncIterator[Receiver]:
    receiver, app = Receiver(source), web.Application()
    app.router.add_post("/api/webhooks/one", receiver.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/api/webhooks/one?code=key"
    try:
        yield receiver
    finally:
        await runner.cleanup()


@pytest.fixture
async def tenant() -> AsyncIterator[Tenant]:
    async with running_tenant() as tenant:
        await tenant.share(BEN, f"/{OLGA}/Other")
        await tenant.share(BEN, "/sites/Legal/Documents/Other")
        yield tenant


async def told(tenant: Tenant, receiver: Receiver) -> Sequence[ShareEvent | Hint]:
    """What has come since the last time."""
    await tenant.control("idle")
    found, receiver.read = receiver.read, []
    return found


async def posted(tenant: Tenant) -> list[dict[str, Any]]:
    return [e for e in (await tenant.show("exchanges"))["value"] if e["path"].endswith("/subscriptions")]


async def test_a_subscription_is_made_as_graph_wants_it(tenant: Tenant) -> None:
    async with reading(tenant, onedrive) as source, receiving(source) as receiver:
        (feed,) = await feeds(source)
        began = datetime.now(UTC).replace(microsecond=0)
        made = await source.subscribe(feed, None, receiver.url)
    (exchange,) = await posted(tenant)
    body = exchange["requestBody"]
    headers = {name.lower(): value for name, value in exchange["requestHeaders"].items()}
    assert headers["prefer"] == "includesecuritywebhooks"
    assert (body["changeType"], body["resource"]) == ("updated", f"/drives/{feed.removeprefix('drive:')}/root")
    assert body["notificationUrl"] == body["lifecycleNotificationUrl"] == receiver.url
    assert len(body["clientState"]) <= 128
    assert receiver.handshakes == 2
    assert made.expires_at is not None
    assert made.made_at >= began
    assert made.made_at < made.renew_at < made.expires_at
    assert made.expires_at - made.made_at <= timedelta(minutes=42_300)


async def test_a_share_is_told_at_once_and_the_poll_finds_it(tenant: Tenant) -> None:
    for make, path in ((onedrive, PROJECT), (office365, "/sites/Legal/Documents/Deal")):
        async with reading(tenant, make) as source, receiving(source) as receiver:
            (feed,) = await feeds(source)
            await source.subscribe(feed, None, receiver.url)
            cursor = (await source.poll(feed, None)).cursor
            await tenant.share(ANN, path)
            assert await told(tenant, receiver) == [Hint(feed)]
            found = (await poll(source, feed, cursor)).facts
            assert ANN in [fact.principal.address for fact in found]


async def test_duplicates_silence_and_other_changes(tenant: Tenant) -> None:
    async with reading(tenant, onedrive) as source, receiving(source) as receiver:
        (feed,) = await feeds(source)
        await source.subscribe(feed, None, receiver.url)
        await tenant.share(ANN, PROJECT, notify="twice")
        assert await told(tenant, receiver) == [Hint(feed), Hint(feed)]
        await tenant.share(BEN, PROJECT, notify="never")
        await tenant.act("remove", BEN, PROJECT, notify="never")
        assert await told(tenant, receiver) == []
        await tenant.share(BEN, PROJECT, by="link")
        assert await told(tenant, receiver) == [Hint(feed)]
        await tenant.share(ANN, PROJECT, by="link")  # one more person in an existing link
        assert await told(tenant, receiver) == []
        await tenant.share(ANN, "/sites/Legal/Documents/Deal")
        assert await told(tenant, receiver) == []


async def test_a_subscription_is_renewed_and_keeps_its_id(tenant: Tenant) -> None:
    async with reading(tenant, onedrive) as source, receiving(source) as receiver:
        (feed,) = await feeds(source)
        made = await source.subscribe(feed, None, receiver.url)
        held = made.model_copy(update={"expires_at": made.made_at})
        renewed = await source.subscribe(feed, held, receiver.url)
        assert renewed.id == made.id
        assert renewed.expires_at is not None
        assert renewed.expires_at > renewed.made_at + timedelta(days=2)
        assert receiver.handshakes == 2
        await tenant.share(ANN, PROJECT)
        assert await told(tenant, receiver) == [Hint(feed)]


async def test_a_subscription_that_was_lost_is_made_again(tenant: Tenant) -> None:
    async with reading(tenant, onedrive) as source, receiving(source) as receiver:
        (feed,) = await feeds(source)
        made = await source.subscribe(feed, None, receiver.url)
        drive = feed.removeprefix("drive:")
        await tenant.control("subscribed", {"drive": drive, "event": "subscriptionRemoved"})
        assert await told(tenant, receiver) == [Hint(feed, renew=True)]
        again = await source.subscribe(feed, made, receiver.url)
        assert again.id != made.id
        await tenant.share(ANN, PROJECT)
        assert await told(tenant, receiver) == [Hint(feed)]


@pytest.mark.parametrize(("event", "renew"), [("reauthorizationRequired", True), ("missed", False)])
async def test_lifecycle_notifications_say_no_resource_and_find_their_drive(
    tenant: Tenant, event: str, renew: bool
) -> None:
    async with reading(tenant, onedrive) as source, receiving(source) as receiver:
        (feed,) = await feeds(source)
        await source.subscribe(feed, None, receiver.url)
        await tenant.control("subscribed", {"drive": feed.removeprefix("drive:"), "event": event})
        assert await told(tenant, receiver) == [Hint(feed, renew=renew)]


async def test_an_ended_subscription_is_silent_and_ending_it_twice_is_no_error(tenant: Tenant) -> None:
    async with reading(tenant, onedrive) as source, receiving(source) as receiver:
        (feed,) = await feeds(source)
        made = await source.subscribe(feed, None, receiver.url)
        await source.unsubscribe(feed, made)
        await source.unsubscribe(feed, made)
        await tenant.share(ANN, PROJECT)
        assert await told(tenant, receiver) == []


async def test_an_address_that_is_not_proven_yet_is_tried_again_later(tenant: Tenant) -> None:
    """A cold start outlasts the ten seconds that Graph waits."""
    async with reading(tenant, onedrive) as source, receiving(source) as receiver:
        (feed,) = await feeds(source)
        receiver.answers_handshakes = False
        with pytest.raises(LaterError) as caught:
            await source.subscribe(feed, None, receiver.url)
        assert caught.value.reason is Reason.SOURCE
        receiver.answers_handshakes = True
        assert await source.subscribe(feed, None, receiver.url)


async def test_replacing_the_channel_secret_loses_nothing(tenant: Tenant) -> None:
    newer = {"channel_secret": "a-newer-secret-of-32-characters-!"}
    both = {**newer, "previous_channel_secret": SECRETS["channel_secret"]}
    async with reading(tenant, onedrive) as before, receiving(before) as receiver:
        (feed,) = await feeds(before)
        old = await before.subscribe(feed, None, receiver.url)
        async with reading(tenant, onedrive, **both) as between:
            receiver.source = between
            await tenant.share(ANN, PROJECT)
            assert await told(tenant, receiver) == [Hint(feed)]
            new = await between.subscribe(feed, old, receiver.url)
            assert new.id != old.id
            await between.unsubscribe(feed, old)
        async with reading(tenant, onedrive, **newer) as after:
            receiver.source = after
            await tenant.share(BEN, PROJECT)
            assert await told(tenant, receiver) == [Hint(feed)]
            assert (await after.subscribe(feed, new, receiver.url)).id == new.id


async def test_a_tenant_s_notifications_are_not_let_in_at_another_connection(tenant: Tenant) -> None:
    stranger = onedrive(channel_secret="somebody-else-s-secret-of-32-char")
    async with reading(tenant, onedrive) as source, receiving(source) as receiver:
        (feed,) = await feeds(source)
        await source.subscribe(feed, None, receiver.url)
        receiver.source = stranger
        await tenant.share(ANN, PROJECT)
        assert await told(tenant, receiver) == []
        assert {one["status"] for one in await tenant.show("deliveries")} == {401}
