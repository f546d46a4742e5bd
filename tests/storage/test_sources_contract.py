"""What every implementation of the ports about source accounts does, in memory and on Azurite."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from shared.domain.batches import Batch, BatchKind, BatchState
from shared.domain.events import Change, ShareEvent
from shared.domain.feeds import Feed
from shared.domain.reasons import Reason
from shared.domain.trouble import ConflictError
from tests.storage.worlds import MINUTE, NASTY, NOON, World, event


async def listed[T](items: AsyncIterator[T]) -> list[T]:
    return [item async for item in items]


def fact(connection: str, reference: str, minute: int = 0, item: str = "42", **update: object) -> ShareEvent:
    told = event(reference)
    assert told.item is not None
    where = told.item.model_copy(update={"id": item})
    return told.model_copy(
        update={"id": f"{reference} {minute}", "connection": connection, "at": NOON + minute * MINUTE, "item": where}
        | update
    )


class TestPermissions:
    async def test_the_newest_fact_about_each_permission_is_known(self, world: World, name: str) -> None:
        newest = fact(name, "one", 3, role="viewer")
        for told in (fact(name, "one", 2), newest, fact(name, "one", 1), fact(name, "two", 1)):
            await world.permissions.note(told)
        known = await world.permissions.known(name, "42")
        assert known == {told.permission: told for told in (newest, fact(name, "two", 1))}

    async def test_what_is_lost_is_not_known_any_more(self, world: World, name: str) -> None:
        await world.permissions.note(fact(name, "one", 2))
        await world.permissions.note(fact(name, "one", 1, change=Change.LOST))
        assert len(await world.permissions.known(name, "42")) == 1
        await world.permissions.note(fact(name, "one", 3, change=Change.LOST))
        await world.permissions.note(fact(name, "one", 3, change=Change.LOST))
        assert await world.permissions.known(name, "42") == {}

    async def test_items_and_connections_are_told_apart(self, world: World, name: str) -> None:
        await world.permissions.note(fact(name, "one", item="a" + NASTY))
        await world.permissions.note(fact(name, "one", item="b"))
        await world.permissions.note(fact(name + "-other", "one", item="b", role="viewer"))
        assert [known.role for known in (await world.permissions.known(name, "b")).values()] == ["editor"]
        assert [item.id for _, item in await listed(world.permissions.unread_since(name, NOON, ""))] != []
        assert len(await world.permissions.known(name, "a" + NASTY)) == 1

    async def test_an_item_that_was_read_since_then_is_not_listed(self, world: World, name: str) -> None:
        for item in ("a", "b", "c"):
            await world.permissions.note(fact(name, "one", item=item))
        read, late = fact(name, "one", item="b").item, fact(name, "one", item="c").item
        assert read is not None
        assert late is not None
        await world.permissions.mark_read(name, read, NOON)
        await world.permissions.mark_read(name, late, NOON - timedelta(seconds=1))
        await world.permissions.note(fact(name, "two", item="b"))  # a note is no reading, nor does it undo one
        unread = await listed(world.permissions.unread_since(name, NOON, ""))
        assert {item.id for _, item in unread} == {"a", "c"}
        keys = [key for key, _ in unread]
        assert keys == sorted(keys)
        assert await listed(world.permissions.unread_since(name, NOON, keys[0])) == unread[1:]

    async def test_only_an_item_of_which_nothing_is_known_is_forgotten(self, world: World, name: str) -> None:
        await world.permissions.note(fact(name, "one"))
        await world.permissions.forget(name, "42")
        assert len(await listed(world.permissions.unread_since(name, NOON, ""))) == 1
        await world.permissions.note(fact(name, "one", 1, change=Change.LOST))
        for _ in range(2):
            await world.permissions.forget(name, "42")
            assert await listed(world.permissions.unread_since(name, NOON, "")) == []

    async def test_of_concurrent_notes_the_newest_stays(self, world: World, name: str) -> None:
        await asyncio.gather(*(world.permissions.note(fact(name, "one", minute)) for minute in (2, 4, 1, 3)))
        assert [known.id for known in (await world.permissions.known(name, "42")).values()] == ["one 4"]


class TestFeeds:
    async def test_a_feed_is_written_only_at_the_version_that_was_read(self, world: World, name: str) -> None:
        feed = Feed(connection=name, name="changes:" + "x" * 190, since=NOON, found_at=NOON, cursor="c" * 30_000)
        assert await world.feeds.get(name, feed.name) == (None, None)
        await world.feeds.put(feed, None)
        with pytest.raises(ConflictError):
            await world.feeds.put(feed, None)
        read, version = await world.feeds.get(name, feed.name)
        assert read == feed
        await world.feeds.put(moved := feed.model_copy(update={"cursor": "d"}), version)
        with pytest.raises(ConflictError):
            await world.feeds.put(feed, version)
        assert (await world.feeds.get(name, feed.name))[0] == moved

    async def test_the_feeds_of_a_connection_are_read_and_removed(self, world: World, name: str) -> None:
        feeds = [Feed(connection=name, name=each, since=NOON, found_at=NOON) for each in ("one", "two", "user:ü@b")]
        for feed in (*feeds, Feed(connection=name + "-other", name="one", since=NOON, found_at=NOON)):
            await world.feeds.put(feed, None)
        assert sorted(await listed(world.feeds.read(name)), key=lambda feed: feed.name) == feeds
        for _ in range(2):
            await world.feeds.remove(name, "two")
        assert {feed.name for feed in await listed(world.feeds.read(name))} == {"one", "user:ü@b"}


def batch(name: str, **update: object) -> Batch:
    made = Batch(id=name, connection="box", kind=BatchKind.SCAN, by="admin", started_at=NOON, moved_at=NOON)
    return made.model_copy(update=update)


class TestBatches:
    async def test_a_batch_is_written_only_at_the_version_that_was_read(self, world: World, name: str) -> None:
        assert await world.batches.get(name) == (None, None)
        await world.batches.put(batch(name), None)
        _, version = await world.batches.get(name)
        await world.batches.put(batch(name, state=BatchState.CANCELLED), version)
        for stale in (None, version):
            with pytest.raises(ConflictError):
                await world.batches.put(batch(name), stale)
        assert (await world.batches.get(name))[0] == batch(name, state=BatchState.CANCELLED)

    async def test_the_newest_batch_comes_first(self, world: World, name: str) -> None:
        names = [f"{number}-{name}" for number in (1, 3, 2)]
        for each in names:
            await world.batches.put(batch(each), None)
        read = [found.id for found in await listed(world.batches.read()) if found.id in names]
        assert read == [f"{number}-{name}" for number in (3, 2, 1)]

    async def test_the_last_outcome_of_each_event_counts(self, world: World, name: str) -> None:
        assert await world.batches.outcomes(name) == {}
        for number in range(40):
            await world.batches.note(name, f"event {number}", Reason.APPROVAL)
        for number in range(10):
            await world.batches.note(name, f"event {number}", Reason.INTERNAL)
        await world.batches.note(name + "-other", "event 1", Reason.EXPIRED)
        assert await world.batches.outcomes(name) == {Reason.APPROVAL: 30, Reason.INTERNAL: 10}


class TestParts:
    async def test_a_body_is_read_in_parts(self, world: World, name: str) -> None:
        assert await world.bodies.part(name, 0, 10) is None
        await world.bodies.put(name, b"0123456789")
        assert await world.bodies.part(name, 0, 4) == b"0123"
        assert await world.bodies.part(name, 8, 4) == b"89"
        assert await world.bodies.part(name, 10, 4) == b""
