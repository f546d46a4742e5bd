"""Feeds: found, polled, watched; what a delivery hints at; trouble of the platform; crashes in between."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.addresses import guest_key
from shared.domain.decision import explain
from shared.domain.feeds import Feed, Health
from shared.domain.messages import DeliveryMessage, PollMessage, Queue
from shared.domain.platforms import Platform, Role
from shared.domain.reasons import Reason
from shared.domain.sources import FoundFeed, Hint, Subscription
from shared.domain.trouble import LaterError, RefusedError
from shared.workflows.accounts import list_accounts
from shared.workflows.deliveries import accept_delivery, answer_handshake
from shared.workflows.feeds import follow, tend_feeds
from shared.workflows.reconciliation import record_failure
from tests.conftest import COUNTS
from tests.memory import Hook, carry_on
from tests.workflows.account import Account
from tests.workflows.world import Crash, Fuse, World, connection

WHO = "guest@partner.example"
MINUTE = timedelta(minutes=1)


class SourceWorld(World):
    """A world whose one connection is a Dropbox account in memory: polled every five minutes, scanned every week."""

    def __init__(self, step: Hook = carry_on) -> None:
        super().__init__(step)
        self.connection = connection().model_copy(update={"platform": Platform.DROPBOX})
        self.account = Account(self.clock, step=step)
        self.ports = replace(
            self.ports,
            connections={"files": self.connection},
            sources={"files": self.account},
            public_url="https://app.example",
        )

    async def tend(self, minutes: int = 1) -> None:
        """Let time pass, the timer run, and everything follow from it."""
        self.clock.advance(minutes * MINUTE)
        await tend_feeds(self.ports)
        await self.drain()

    async def feed(self, name: str) -> Feed:
        """One feed as it is kept."""
        feed, _ = await self.ports.feeds.get("files", name)
        assert feed is not None
        return feed

    async def health(self, name: str) -> Health:
        """Whether a feed is healthy."""
        return (await self.feed(name)).health(self.clock.now(), 5 * MINUTE, self.ports.timing.busy)


async def started() -> SourceWorld:
    world = SourceWorld()
    await world.tend()
    return world


async def reasons(world: SourceWorld, address: str = WHO) -> dict[str, Reason]:
    book = await world.ledger.read(guest_key(address), None)
    return {share.item.path: explain(share, book.guest) for share in book.shares.values() if share.item}  # type: ignore[misc]


async def test_feeds_are_found_page_by_page_and_start_where_now_is() -> None:
    world = SourceWorld()
    world.account.share(WHO, "/a", "viewer")
    await world.tend()
    assert {(await world.feed(name)).cursor for name in ("log", "changes")} == {"1"}
    assert await reasons(world) == {}, "what was shared before comes in as a batch, not by surprise"


async def test_a_feed_that_is_gone_is_forgotten_and_a_new_one_is_found() -> None:
    world = await started()
    world.account.found = [FoundFeed("changes", watches=True), FoundFeed("another")]
    await world.tend(61)
    assert {feed.name async for feed in world.ports.feeds.read("files")} == {"changes", "another"}


@pytest.mark.parametrize("feed", ["log", "changes"])
async def test_the_timer_finds_what_no_notification_told(feed: str) -> None:
    world = await started()
    world.account.found = [FoundFeed(feed)]
    await world.tend(61)
    for path in ("/a", "/a/b", "/c"):
        world.account.share(WHO, path, "viewer")
    await world.tend(6)
    assert await reasons(world) == dict.fromkeys(("/a", "/a/b", "/c"), Reason.APPROVAL)
    world.account.remove(WHO, "/c")
    await world.tend(6)
    assert (await reasons(world))["/c"] is Reason.REMOVED_AT_SOURCE


async def test_a_hint_is_followed_at_once_and_many_hints_are_one_poll() -> None:
    world = await started()
    world.account.share(WHO, "/a", "viewer")
    before = world.account.polls
    world.clock.advance(MINUTE)
    for _ in range(20):
        await accept_delivery(world.ports, "files", {}, b"log")
    await world.drain()
    assert world.account.polls == before + 1
    assert await reasons(world) == {"/a": Reason.APPROVAL}


async def test_a_hint_during_a_poll_is_not_lost() -> None:
    """The poll that runs may have read past the change: another one must start after the hint."""
    world = await started()
    queued: list[int] = []

    async def hint_while_polling(name: str) -> None:
        if name == "source.poll" and not queued:
            queued.append(1)
            world.clock.advance(MINUTE)
            await follow(world.ports, world.connection, Hint("log"))

    before = world.account.polls
    world.clock.advance(MINUTE)
    world.account.step = hint_while_polling
    await follow(world.ports, world.connection, Hint("log"))
    await world.drain()
    assert world.account.polls == before + 2


async def test_a_poll_that_starts_before_it_is_noted_does_not_hide_later_hints() -> None:
    """Another worker can have the message before this one has written down that it was sent."""
    world = await started()
    sent: list[int] = []

    async def overtake(name: str) -> None:
        if name == "feeds.get" and world.queues.waiting and not sent:
            sent.append(1)
            world.clock.advance(MINUTE / 60)
            await world.drain()
            world.clock.advance(MINUTE / 60)

    world.ports.feeds.step = overtake  # type: ignore[attr-defined]
    world.clock.advance(MINUTE)
    before = world.account.polls
    await follow(world.ports, world.connection, Hint("log"))
    assert world.account.polls == before + 1
    world.clock.advance(MINUTE / 60)
    world.account.share(WHO, "/a", "viewer")
    await follow(world.ports, world.connection, Hint("log"))
    await world.drain()
    assert await reasons(world) == {"/a": Reason.APPROVAL}


async def test_a_hint_about_an_unknown_feed_is_nothing() -> None:
    world = await started()
    await follow(world.ports, world.connection, Hint("elsewhere"))
    assert not world.queues.waiting


async def test_a_notification_about_another_resource_is_passed_over() -> None:
    world = await started()
    before = world.account.polls
    world.clock.advance(MINUTE)
    await accept_delivery(world.ports, "files", {}, b"changes|another")
    await world.drain()
    assert world.account.polls == before
    await accept_delivery(world.ports, "files", {}, b"changes|resource of changes")
    await world.drain()
    assert world.account.polls == before + 1


async def test_a_platform_in_trouble_is_left_alone_as_long_as_it_asks() -> None:
    world = await started()
    world.account.share(WHO, "/a", "viewer")
    world.account.trouble = [LaterError(Reason.SOURCE, timedelta(minutes=30), "busy")]
    await follow(world.ports, world.connection, Hint("log"))
    await world.drain()
    failure = (await world.feed("log")).poll_failure
    assert failure is not None
    assert (failure.reason, failure.detail, failure.attempts) == (Reason.SOURCE, "busy", 1)
    assert await world.health("log") is Health.POLL_FAILS
    polls = world.account.polls
    await follow(world.ports, world.connection, Hint("log"))  # more notifications change nothing about that
    await world.drain()
    assert world.account.polls == polls
    await world.tend(31)
    assert await reasons(world) == {"/a": Reason.APPROVAL}
    assert await world.health("log") is Health.HEALTHY


async def test_an_account_whose_feeds_are_not_found_is_not_healthy() -> None:
    world = SourceWorld()

    async def shown() -> tuple[bool, str | None]:
        (account,) = (await list_accounts(world.ports)).sources
        return account.healthy, account.trouble

    assert await shown() == (False, "Its feeds were not found yet.")
    world.account.trouble = [RefusedError(Reason.SOURCE_REFUSED, "scope missing")]
    await world.tend()
    assert await shown() == (False, "scope missing")
    await world.tend(61)
    assert await shown() == (True, None)


async def test_a_refusal_waits_for_somebody_and_is_tried_again() -> None:
    world = await started()
    world.account.trouble = [RefusedError(Reason.SOURCE_REFUSED, "scope missing")]
    await follow(world.ports, world.connection, Hint("log"))
    await world.drain()
    (shown,) = (await list_accounts(world.ports)).sources
    assert [(feed.name, feed.poll_failure and feed.poll_failure.detail) for feed in shown.ailing] == [
        ("log", "scope missing")
    ]
    assert shown.healthy is False
    await world.tend(61)
    (shown,) = (await list_accounts(world.ports)).sources
    assert (shown.healthy, shown.ailing, shown.polled_at) == (True, [], shown.feeds[0].polled_at)


async def test_a_poll_that_fails_for_good_is_noted_on_its_feed() -> None:
    world = await started()
    await record_failure(world.ports, Queue.FEEDS, PollMessage(connection="files", feed="log"), "text")
    failure = (await world.feed("log")).poll_failure
    assert failure is not None
    assert failure.reason is Reason.PROCESSING_FAILED


async def test_a_void_cursor_starts_a_scan_by_itself() -> None:
    world = await started()
    world.account.share(WHO, "/a", "viewer", tells=False)
    world.account.void = True
    await follow(world.ports, world.connection, Hint("log"))
    await world.drain()
    batches = [batch async for batch in world.ports.batches.read()]
    assert [batch.by for batch in batches] == ["guestpass: the platform voided a cursor"]
    assert await reasons(world) == {"/a": Reason.APPROVAL}


async def test_subscriptions_are_renewed_at_half_of_their_life_and_the_old_one_is_ended() -> None:
    world = await started()
    first = (await world.feed("changes")).subscription
    assert first is not None
    assert list(world.account.subscriptions) == [first.id]
    await world.tend(12 * 60)
    assert (await world.feed("changes")).subscription == first
    await world.tend(12 * 60 + 1)
    second = (await world.feed("changes")).subscription
    assert second is not None
    assert second.id != first.id
    assert list(world.account.subscriptions) == [second.id]


async def test_a_subscription_that_the_platform_ended_is_made_anew_at_once() -> None:
    world = await started()
    first = (await world.feed("changes")).subscription
    await follow(world.ports, world.connection, Hint("changes", renew=True))
    await world.drain()
    assert (await world.feed("changes")).subscription != first


async def test_a_renewal_that_fails_shows_and_is_tried_again() -> None:
    world = await started()
    world.account.trouble = [LaterError(Reason.SOURCE, detail="no")]
    await follow(world.ports, world.connection, Hint("changes", renew=True))
    while (waiting := world.take()) is not None:
        if isinstance(waiting.body, PollMessage):
            continue
        await world.handle(waiting.body)
    assert (await world.feed("changes")).renewal_failure is not None
    assert await world.health("changes") is Health.RENEWAL_FAILS
    await world.tend(120)
    assert await world.health("changes") is Health.HEALTHY


async def test_an_old_subscription_that_cannot_be_ended_does_not_stop_the_new_one() -> None:
    world = await started()

    async def trouble_when_ending(name: str) -> None:
        if name == "source.unsubscribe":
            raise LaterError(Reason.SOURCE)

    world.account.step = trouble_when_ending
    await world.tend(24 * 60 + 1)
    assert len(world.account.subscriptions) == 2
    assert await world.health("changes") is Health.HEALTHY


async def test_without_a_public_address_nothing_is_subscribed_and_that_shows() -> None:
    world = SourceWorld()
    world.ports = replace(world.ports, public_url=None)
    await world.tend()
    await world.tend(11)
    assert not world.account.subscriptions
    assert await world.health("changes") is Health.NOT_WATCHED


@pytest.mark.parametrize(
    ("feed", "expected"),
    [
        ({}, Health.HEALTHY),
        ({"polled_at": 0}, Health.HEALTHY),
        ({"polled_at": -21, "since": -100}, Health.NOT_POLLED),
        ({"since": -21}, Health.NOT_POLLED),
        ({"since": -21, "started_at": -1}, Health.HEALTHY),
        ({"watches": True, "polled_at": 0, "since": -11}, Health.NOT_WATCHED),
        ({"watches": True, "polled_at": 0, "subscription": -1}, Health.NOT_WATCHED),
        ({"watches": True, "polled_at": 0, "subscription": 1}, Health.HEALTHY),
        ({"polls": False, "since": -1000}, Health.HEALTHY),
    ],
)
def test_health(feed: dict[str, int], expected: Health) -> None:
    now = World().clock.now()
    ends = feed.pop("subscription", None)
    times = {name: now + value * MINUTE for name, value in feed.items() if type(value) is int}
    made = Feed.model_validate({"connection": "c", "name": "f", "since": now, "found_at": now, **feed, **times})
    if ends is not None:
        held = Subscription(id="s", made_at=now - 60 * MINUTE, expires_at=now + ends * MINUTE)
        made = made.model_copy(update={"subscription": held})
    assert made.health(now, 5 * MINUTE, 10 * MINUTE) is expected


async def test_a_handshake_is_answered_by_the_platform_s_module() -> None:
    world = SourceWorld()
    assert answer_handshake(world.ports, "files", {"challenge": "abc"}) == "abc"
    assert answer_handshake(world.ports, "files", {}) is None


async def test_a_delivery_of_a_connection_that_was_taken_out_is_recorded_as_failed() -> None:
    world = await started()
    await record_failure(
        world.ports,
        Queue.DELIVERIES,
        DeliveryMessage(connection="gone", id="d", received_at=world.clock.now(), body="{}"),
        "text",
    )
    assert len([entry async for entry in world.worklist.read("unreadable")]) == 1


async def _story(world: SourceWorld) -> None:
    """Finding, polls of several pages, a hint, a renewal: all that a crash can cut. Who is cut short comes again."""
    account = world.account
    await _again(world.tend)
    account.share(WHO, "/a", "viewer")
    account.share(WHO, "/a/b", "editor")
    account.share(WHO, "/c", "viewer")
    await _again(world.tend)
    world.clock.advance(6 * MINUTE)
    await _again(world.tend)
    account.remove(WHO, "/a")
    await _again(lambda: accept_delivery(world.ports, "files", {}, b"changes"))
    await _again(world.drain)
    world.clock.advance(25 * 60 * MINUTE)
    await _again(world.tend)
    await _again(lambda: world.approve(guest_key(WHO)))
    await _again(world.drain)
    world.tenant.accept(WHO)
    await _again(world.settle)


async def _again(act: Callable[[], Awaitable[object]]) -> None:
    try:
        await act()
    except Crash:
        await act()


async def test_a_crash_anywhere_is_repaired_by_redelivery_or_the_timer() -> None:
    fuse = Fuse(10**9)
    world = SourceWorld(fuse)
    await _story(world)
    assert world.access() == {(WHO, "/a/b"): Role.WRITE, (WHO, "/c"): Role.READ}
    effects = 10**9 - fuse.left
    for at in range(effects):
        crashed = SourceWorld(Fuse(at))
        await _story(crashed)
        await crashed.repair()
        await crashed.settle()
        assert crashed.access() == world.access(), f"crash at effect {at}"
        assert crashed.tenant.mails == [WHO], f"crash at effect {at}"
    COUNTS["crash points of feeds"] += effects
