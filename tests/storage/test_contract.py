"""What every implementation of the storage ports does, in memory and on Azurite."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone

import pytest

from shared.domain.connections import Destination
from shared.domain.events import Item
from shared.domain.guests import GuestState
from shared.domain.ledger import Book, Changes
from shared.domain.maps import Mapped
from shared.domain.platforms import ItemKind
from shared.domain.trouble import ConflictError
from tests.storage.worlds import (
    MINUTE,
    NASTY,
    NOON,
    World,
    entry,
    event,
    grant,
    guest,
    outbox,
    person,
    record,
    scope,
    share,
)


async def listed[T](items: AsyncIterator[T]) -> list[T]:
    return [item async for item in items]


async def settled(world: World, key: str) -> Book:
    """Return a partition with a guest, two shares, a grant and undone effects."""
    changes = Changes(
        guest=guest(key),
        shares={"one": share("one", event("r1")), "two": share("two", event("r2"))},
        grants={"g1": grant("i1")},
        outbox=outbox("o1"),
    )
    await world.ledger.commit(Book(guest(key)), changes)
    return await world.ledger.read(key, None)


class TestLedger:
    async def test_a_partition_that_does_not_exist_reads_as_an_empty_guest(self, world: World, name: str) -> None:
        for shares in (None, ["one"]):
            book = await world.ledger.read(name, shares)
            assert book.guest.key == name
            assert book.guest.state is GuestState.UNKNOWN
            assert (book.shares, book.grants, book.outbox, book.version) == ({}, {}, [], None)

    async def test_everything_written_is_read(self, world: World, name: str) -> None:
        book = await settled(world, name)
        assert book.guest == guest(name)
        assert book.shares == {"one": share("one", event("r1")), "two": share("two", event("r2"))}
        assert book.grants == {"g1": grant("i1")}
        assert book.outbox == [outbox("o1")]
        assert book.version is not None

    async def test_named_shares_are_read_with_the_guest_and_the_undone_effects(self, world: World, name: str) -> None:
        full = await settled(world, name)
        book = await world.ledger.read(name, ["two", "two", "nothing"])
        assert book.guest == full.guest
        assert set(book.shares) == {"two"}
        assert book.outbox == full.outbox
        assert book.version == full.version
        assert (await world.ledger.read(name, [])).shares == {}

    async def test_every_commit_makes_a_new_version(self, world: World, name: str) -> None:
        before = await settled(world, name)
        await world.ledger.commit(before, Changes(guest=before.guest))
        after = await world.ledger.read(name, None)
        assert after.version != before.version
        assert (after.guest, after.shares, after.grants) == (before.guest, before.shares, before.grants)

    async def test_the_second_of_two_commits_conflicts_and_leaves_no_trace(self, world: World, name: str) -> None:
        book = await settled(world, name)
        await world.ledger.commit(book, Changes(guest=guest(name, wanting=1)))
        late = Changes(
            guest=guest(name, wanting=2),
            shares={"one": None, "three": share("three")},
            grants={"g1": None, "g2": grant("i2")},
            outbox=outbox("o2"),
        )
        with pytest.raises(ConflictError):
            await world.ledger.commit(book, late)
        after = await world.ledger.read(name, None)
        assert after.guest.wanting == 1
        assert (after.shares, after.grants, after.outbox) == (book.shares, book.grants, book.outbox)

    async def test_of_concurrent_commits_one_wins(self, world: World, name: str) -> None:
        book = await settled(world, name)
        attempts = [
            world.ledger.commit(book, Changes(guest=guest(name, wanting=n), shares={f"s{n}": share(f"s{n}")}))
            for n in range(1, 6)
        ]
        outcomes = await asyncio.gather(*attempts, return_exceptions=True)
        assert sorted(type(outcome).__name__ for outcome in outcomes) == ["ConflictError"] * 4 + ["NoneType"]
        winner = outcomes.index(None) + 1
        after = await world.ledger.read(name, None)
        assert after.guest.wanting == winner
        assert set(after.shares) == {"one", "two", f"s{winner}"}

    async def test_of_concurrent_creations_one_wins(self, world: World, name: str) -> None:
        empty = await world.ledger.read(name, None)
        attempts = [
            world.ledger.commit(empty, Changes(guest=guest(name, wanting=n), shares={f"s{n}": share(f"s{n}")}))
            for n in range(3)
        ]
        outcomes = await asyncio.gather(*attempts, return_exceptions=True)
        assert sorted(type(outcome).__name__ for outcome in outcomes) == ["ConflictError"] * 2 + ["NoneType"]
        winner = outcomes.index(None)
        assert set((await world.ledger.read(name, None)).shares) == {f"s{winner}"}

    async def test_shares_and_grants_are_replaced_and_removed(self, world: World, name: str) -> None:
        book = await settled(world, name)
        moved = share("two").model_copy(update={"moved_to": "one"})
        await world.ledger.commit(
            book, Changes(guest=book.guest, shares={"one": None, "two": moved}, grants={"g1": None})
        )
        after = await world.ledger.read(name, None)
        assert after.shares == {"two": moved}
        assert after.grants == {}

    async def test_what_was_not_read_can_be_removed(self, world: World, name: str) -> None:
        await settled(world, name)
        book = await world.ledger.read(name, [])
        await world.ledger.commit(book, Changes(guest=book.guest, shares={"one": None}, grants={"g1": None}))
        after = await world.ledger.read(name, None)
        assert (set(after.shares), after.grants) == ({"two"}, {})

    async def test_removing_what_is_not_there_does_not_hinder_the_rest(self, world: World, name: str) -> None:
        book = await settled(world, name)
        changes = Changes(guest=guest(name, wanting=7), shares={"gone": None}, grants={"gone": None})
        await world.ledger.commit(book, changes)
        after = await world.ledger.read(name, None)
        assert after.guest.wanting == 7
        assert after.shares == book.shares

    async def test_effects_are_forgotten_once_or_twice(self, world: World, name: str) -> None:
        book = await settled(world, name)
        await world.ledger.clear(name, "o1")
        await world.ledger.clear(name, "o1")
        await world.ledger.clear(f"{name}-nobody", "o1")
        after = await world.ledger.read(name, [])
        assert after.outbox == []
        assert after.version == book.version, "clearing conflicts with nobody"

    async def test_a_share_of_200_kilobytes_is_kept(self, world: World, name: str) -> None:
        # One character in front shifts the surrogate pairs across every even boundary.
        big = share("big", *(event(f"r{n}", path="/x" + "😀" * 1_200) for n in range(45)))
        assert len(big.model_dump_json().encode()) > 200_000
        empty = await world.ledger.read(name, None)
        await world.ledger.commit(empty, Changes(guest=guest(name), shares={"big": big}))
        assert (await world.ledger.read(name, ["big"])).shares == {"big": big}
        small = share("big", event("r1"))
        await world.ledger.commit(await world.ledger.read(name, []), Changes(guest=guest(name), shares={"big": small}))
        assert (await world.ledger.read(name, ["big"])).shares == {"big": small}

    async def test_a_hundred_rows_are_one_transaction_and_more_are_refused(self, world: World, name: str) -> None:
        empty = await world.ledger.read(name, None)
        shares = {f"s{n}": share(f"s{n}") for n in range(99)}
        with pytest.raises(ValueError, match="100 rows"):
            await world.ledger.commit(empty, Changes(guest=guest(name), shares=shares, outbox=outbox("o1")))
        assert (await world.ledger.read(name, None)).version is None
        await world.ledger.commit(empty, Changes(guest=guest(name), shares=shares))
        assert (await world.ledger.read(name, None)).shares == shares

    async def test_keys_and_names_may_hold_any_character(self, world: World, name: str) -> None:
        key = name + NASTY
        changes = Changes(
            guest=guest(key), shares={NASTY: share(NASTY)}, grants={NASTY: grant("i")}, outbox=outbox(NASTY)
        )
        await world.ledger.commit(await world.ledger.read(key, None), changes)
        book = await world.ledger.read(key, None)
        assert (set(book.shares), set(book.grants), book.outbox) == ({NASTY}, {NASTY}, [outbox(NASTY)])
        assert set((await world.ledger.read(key, [NASTY])).shares) == {NASTY}
        await world.ledger.clear(key, NASTY)
        assert (await world.ledger.read(key, [])).outbox == []
        assert key in await listed(world.ledger.keys(""))

    async def test_every_partition_is_told_once(self, world: World, name: str) -> None:
        for key in (f"{name}-1", f"{name}-2"):
            await settled(world, key)
        mine = [key for key in await listed(world.ledger.keys("")) if key.startswith(name)]
        assert mine == [f"{name}-1", f"{name}-2"]
        rest = [key for key in await listed(world.ledger.keys(f"{name}-1")) if key.startswith(name)]
        assert rest == [f"{name}-2"]


class TestHistory:
    async def test_entries_come_newest_first_and_once(self, world: World, name: str) -> None:
        other_zone = timezone(timedelta(hours=9))
        records = [
            record(name, f"w{n}", (NOON + n * MINUTE).astimezone(other_zone if n % 2 else UTC)) for n in range(5)
        ]
        for each in [records[2], *records, records[4]]:
            await world.history.append(each)
        await world.history.append(record(f"{name}-other", "elsewhere", NOON))
        assert await listed(world.history.read(name)) == records[::-1]

    async def test_two_entries_of_one_moment_are_both_kept(self, world: World, name: str) -> None:
        for what in ("approved", "invited"):
            await world.history.append(record(name, what, NOON))
        assert {each.what for each in await listed(world.history.read(name))} == {"approved", "invited"}

    async def test_a_partition_may_have_any_name(self, world: World, name: str) -> None:
        await world.history.append(record(name + NASTY, "w", NOON))
        assert [each.partition for each in await listed(world.history.read(name + NASTY))] == [name + NASTY]

    async def test_times_at_the_ends_of_the_calendar_stand_in_order(self, world: World, name: str) -> None:
        times = [
            datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))),
            datetime(1, 1, 1, tzinfo=UTC),
            NOON,
            datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC),
            datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone(timedelta(hours=-12))),
        ]
        for at in times:
            await world.history.append(record(name, "w", at))
        assert [each.at for each in await listed(world.history.read(name))] == times[::-1]


class TestWorklist:
    async def test_rows_come_newest_first_and_until_a_time(self, world: World, name: str) -> None:
        rows = [entry(name, f"k{n}", NOON + n * MINUTE) for n in range(4)]
        for row in (rows[1], rows[3], rows[0], rows[2], rows[1]):
            await world.worklist.put(row)
        await world.worklist.put(entry(f"{name}-other", "k", NOON))
        assert await listed(world.worklist.read(name)) == rows[::-1]
        assert await listed(world.worklist.read(name, until=NOON + 2 * MINUTE)) == rows[2::-1]
        assert await listed(world.worklist.read(name, until=NOON - MINUTE)) == []

    async def test_a_row_is_taken_out_once_or_twice(self, world: World, name: str) -> None:
        for key in ("stays", "goes"):
            await world.worklist.put(entry(name, key, NOON))
        for _ in range(2):
            await world.worklist.put(entry(name, "goes", NOON, present=False))
        assert [row.key for row in await listed(world.worklist.read(name))] == ["stays"]

    async def test_a_row_is_taken_out_with_its_time_in_any_zone(self, world: World, name: str) -> None:
        await world.worklist.put(entry(name, "k", NOON))
        await world.worklist.put(entry(name, "k", NOON + MINUTE, present=False))
        assert len(await listed(world.worklist.read(name))) == 1
        abroad = NOON.astimezone(timezone(timedelta(hours=-5)))
        await world.worklist.put(entry(name, "k", abroad, present=False))
        assert await listed(world.worklist.read(name)) == []

    async def test_a_row_put_again_is_replaced(self, world: World, name: str) -> None:
        await world.worklist.put(entry(name, "k", NOON))
        noted = entry(name, "k", NOON).model_copy(update={"note": "again"})
        await world.worklist.put(noted)
        assert await listed(world.worklist.read(name)) == [noted]

    async def test_what_expires_comes_oldest_first_and_when_its_time_has_come(self, world: World, name: str) -> None:
        rows = [entry("expiring", f"{name}{n}", NOON + n * MINUTE) for n in range(4)]
        for row in rows[::-1]:
            await world.worklist.put(row)

        async def mine(until: datetime | None) -> list[str]:
            return [r.key for r in await listed(world.worklist.read("expiring", until=until)) if r.key.startswith(name)]

        keys = [row.key for row in rows]
        assert await mine(None) == keys
        assert await mine(NOON + 2 * MINUTE) == keys[:3]
        assert await mine(NOON + 2 * MINUTE - timedelta(microseconds=1)) == keys[:2]
        await world.worklist.put(rows[1].model_copy(update={"present": False}))
        assert await mine(NOON + 2 * MINUTE) == [keys[0], keys[2]]

    async def test_accounts_are_kept_by_key_alone(self, world: World, name: str) -> None:
        await world.worklist.put(entry("account", name, NOON))
        moved = entry("account", name, NOON + MINUTE).model_copy(update={"guest": "other"})
        await world.worklist.put(moved)
        assert await world.worklist.find("account", name) == moved
        assert moved in await listed(world.worklist.read("account"))
        assert moved not in await listed(world.worklist.read("account", until=NOON))
        await world.worklist.put(entry("account", name, NOON + 5 * MINUTE, present=False))
        assert await world.worklist.find("account", name) is None

    async def test_lists_and_keys_may_have_any_name(self, world: World, name: str) -> None:
        row = entry(name + NASTY, NASTY, NOON)
        await world.worklist.put(row)
        assert await listed(world.worklist.read(name + NASTY)) == [row]
        await world.worklist.put(entry("account", name + NASTY, NOON))
        found = await world.worklist.find("account", name + NASTY)
        assert found is not None
        assert found.key == name + NASTY


class TestScopes:
    async def test_a_scope_is_written_only_at_the_version_that_was_read(self, world: World, name: str) -> None:
        assert await world.scopes.get(name, "i") == (None, None)
        await world.scopes.put(scope(name, "i", "/a"), None)
        with pytest.raises(ConflictError):
            await world.scopes.put(scope(name, "i", "/a", "late"), None)
        read, version = await world.scopes.get(name, "i")
        assert read == scope(name, "i", "/a")
        await world.scopes.put(scope(name, "i", "/a", "copy"), version)
        with pytest.raises(ConflictError):
            await world.scopes.put(scope(name, "i", "/a", "late"), version)
        read, newer = await world.scopes.get(name, "i")
        assert read == scope(name, "i", "/a", "copy")
        assert newer != version

    async def test_a_version_of_a_scope_that_is_not_there_conflicts(self, world: World, name: str) -> None:
        await world.scopes.put(scope(name, "i", "/a"), None)
        _, version = await world.scopes.get(name, "i")
        with pytest.raises(ConflictError):
            await world.scopes.put(scope(name, "elsewhere", "/a"), version)

    async def test_beneath_is_beneath(self, world: World, name: str) -> None:
        long = "/" + "/".join(["long name 漢字"] * 30)
        paths = [
            *("/", "/a", "/A/", "/a/b", "/A/B/c", "/ab", "/ab/c", "/a b", "/a'b/c", "/a~", "/a/~", "/a/😀"),
            *("/straße/x", "/STRASSE/y", long, f"{long}/x", f"{long}x", f"{long}x/y"),
        ]
        for number, path in enumerate(paths):
            await world.scopes.put(scope(name, f"i{number}", path), None)
        await world.scopes.put(scope(f"{name}-other", "i", "/a/b"), None)

        async def beneath(path: str) -> set[str]:
            return {each.place.path for each in await world.scopes.beneath(Destination(drive=name, path=path))}

        assert await beneath("/a") == {"/a/b", "/A/B/c", "/a/~", "/a/😀"}
        assert await beneath("//A/") == await beneath("/a")
        assert await beneath("/a'b") == {"/a'b/c"}
        assert await beneath("/strasse") == {"/straße/x", "/STRASSE/y"}
        assert await beneath("/") == set(paths) - {"/"}
        assert await beneath(long) == {f"{long}/x"}
        assert await beneath("/nothing") == set()

    async def test_drives_and_items_may_have_any_id(self, world: World, name: str) -> None:
        odd = scope(name + NASTY, NASTY, "/a/" + NASTY)
        await world.scopes.put(odd, None)
        read, _ = await world.scopes.get(name + NASTY, NASTY)
        assert read == odd
        assert await world.scopes.beneath(Destination(drive=name + NASTY, path="/a")) == [odd]


class TestMarks:
    async def test_a_mark_keeps_its_last_value(self, world: World, name: str) -> None:
        assert await world.marks.get(name) is None
        for value in ("", "x" * 100_000, f"cursor {NASTY}"):
            await world.marks.set(name, value)
            assert await world.marks.get(name) == value

    async def test_names_may_hold_any_character_and_differ_in_case(self, world: World, name: str) -> None:
        for suffix in (NASTY, "a", "A"):
            await world.marks.set(name + suffix, suffix)
        assert [await world.marks.get(name + suffix) for suffix in (NASTY, "a", "A")] == [NASTY, "a", "A"]


class TestReferences:
    FOLDER = Item(id="42", kind=ItemKind.FOLDER, path="/Plans")

    async def test_what_nobody_noted_is_nothing(self, world: World, name: str) -> None:
        assert await world.references.recall("box-main", name) == ([], None)

    async def test_everybody_is_noted_once_with_the_last_known_item(self, world: World, name: str) -> None:
        remember = world.references.remember
        await remember("box-main", name, person(), None)
        await remember("box-main", name, person("Anna@Example.org", name="Anna"), self.FOLDER)
        await remember("box-main", name, person(" anna@example.org", name="Anna B"), None)
        await remember("box-main", name, person(None, source_id="u7"), None)
        await remember("box-main", name, person("not an address", source_id="u7"), self.FOLDER)
        await remember("other", name, person("ben@example.org"), None)
        people, ended = await world.references.recall("box-main", name)
        assert sorted(people, key=lambda each: each[0].source_id or "") == [
            (person(" anna@example.org", name="Anna B"), self.FOLDER),
            (person("not an address", source_id="u7"), self.FOLDER),
        ]
        assert ended is None

    async def test_the_latest_end_stays(self, world: World, name: str) -> None:
        for minutes, expected in ((5, 5), (3, 5), (5, 5), (9, 9)):
            await world.references.end("box-main", name, NOON + minutes * MINUTE)
            assert await world.references.recall("box-main", name) == ([], NOON + expected * MINUTE)

    async def test_of_concurrent_ends_the_latest_stays(self, world: World, name: str) -> None:
        await asyncio.gather(*(world.references.end("box-main", name, NOON + n * MINUTE) for n in (2, 4, 1, 3)))
        assert (await world.references.recall("box-main", name))[1] == NOON + 4 * MINUTE

    async def test_a_reference_may_be_anything(self, world: World, name: str) -> None:
        odd = name + NASTY * 6 + "\ud800"
        await world.references.remember("box-main", odd, person(), self.FOLDER)
        await world.references.end("box-main", odd, NOON)
        assert await world.references.recall("box-main", odd) == ([(person(), self.FOLDER)], NOON)


class TestBodies:
    async def test_a_body_is_kept_replaced_and_deleted(self, world: World, name: str) -> None:
        assert await world.bodies.get(name) is None
        await world.bodies.put(name, b"first")
        await world.bodies.put(name, bytes(range(256)) * 400)
        assert await world.bodies.get(name) == bytes(range(256)) * 400
        for _ in range(2):
            await world.bodies.delete(name)
            assert await world.bodies.get(name) is None

    async def test_an_empty_body_is_a_body(self, world: World, name: str) -> None:
        await world.bodies.put(name, b"")
        assert await world.bodies.get(name) == b""


class TestGlance:
    async def test_the_guest_and_some_of_the_shares_are_seen(self, world: World, name: str) -> None:
        full = await settled(world, name)
        book = await world.ledger.glance(name, 1)
        assert (book.guest, book.version) == (full.guest, full.version)
        assert list(book.shares) == ["one"]
        assert set((await world.ledger.glance(name, 5)).shares) == {"one", "two"}
        assert (await world.ledger.glance(f"{name}-nobody", 5)).version is None


class TestPages:
    async def test_pages_follow_each_other_in_the_order_of_the_list(self, world: World, name: str) -> None:
        keys = [f"k{number}" for number in range(7)]
        await world.worklist.put(*(entry(name, key, NOON - n * MINUTE) for n, key in enumerate(keys)))
        found: list[str] = []
        sizes = []
        after: str | None = ""
        while after is not None:
            entries, after = await world.worklist.page(name, 3, after)
            found += [one.key for one in entries]
            sizes.append(len(entries))
        assert found == keys
        assert sizes == [3, 3, 1]

    async def test_a_page_that_ends_with_the_list_is_the_last(self, world: World, name: str) -> None:
        await world.worklist.put(*(entry(name, key, NOON) for key in ("a", "b")))
        assert (await world.worklist.page(name, 2, ""))[1] is None
        assert await world.worklist.page(f"{name}-empty", 2, "") == ([], None)

    async def test_a_page_goes_on_behind_a_row_that_is_gone(self, world: World, name: str) -> None:
        rows = [entry(name, key, NOON - n * MINUTE) for n, key in enumerate("abcd")]
        await world.worklist.put(*rows)
        _, after = await world.worklist.page(name, 2, "")
        assert after is not None
        await world.worklist.put(rows[2].model_copy(update={"present": False}))
        entries, _ = await world.worklist.page(name, 2, after)
        assert [one.key for one in entries] == ["d"]

    async def test_rows_are_counted_up_to_a_limit(self, world: World, name: str) -> None:
        await world.worklist.put(*(entry(name, f"k{number}", NOON) for number in range(5)))
        assert await world.worklist.count(name, 1000) == 5
        assert await world.worklist.count(name, 3) == 3
        assert await world.worklist.count(f"{name}-empty", 3) == 0

    async def test_terms_are_found_by_their_beginning(self, world: World, name: str) -> None:
        listed_as = f"search-{name}"
        terms = ["alpha", "alpha beta", "alp~", "alq", "ALPHA", "al", NASTY]
        await world.worklist.put(*(entry(listed_as, term, NOON) for term in terms))
        await world.worklist.put(entry(listed_as, "alpha", NOON + MINUTE))  # the same row: these lists know no time

        async def found(beginning: str, limit: int = 10) -> list[str]:
            return sorted(one.key for one in await world.worklist.starting(listed_as, beginning, limit))

        assert await found("alpha") == ["alpha", "alpha beta"]
        assert await found("alp~") == ["alp~"]
        assert await found(NASTY[:10]) == [NASTY]
        assert await found("zzz") == []
        assert len(await found("", 3)) == 3


class TestAccountMaps:
    async def test_an_entry_is_kept_guarded_and_found(self, world: World, name: str) -> None:
        maps = world.account_maps
        assert await maps.find(name, "a@b.example") is None
        first = Mapped(connection=name, source="a@b.example", destination=None, by="x", at=NOON, moving_from=("p", "q"))
        await maps.put(first)
        known = await maps.find(name, "a@b.example")
        assert known is not None
        assert known.model_copy(update={"version": None}) == first
        with pytest.raises(ConflictError):
            await maps.put(first)
        await maps.put(known.model_copy(update={"destination": "c@d.example", "moving_from": ()}))
        with pytest.raises(ConflictError):
            await maps.put(known)
        await maps.put(Mapped(connection=name, source=f"{NASTY}@b.example", destination="c@d.example"))
        await maps.put(Mapped(connection=f"{name}-other", source="a@b.example", destination="c@d.example"))
        assert {one.source for one in await listed(maps.read(name))} == {"a@b.example", f"{NASTY}@b.example"}

    async def test_what_is_being_moved_is_listed(self, world: World, name: str) -> None:
        maps = world.account_maps
        await maps.put(Mapped(connection=name, source="a@b.example", destination="x@y.example", moving_from=("p",)))
        await maps.put(Mapped(connection=name, source="b@b.example", destination="x@y.example"))
        moving = [one.source async for one in maps.moving() if one.connection == name]
        assert moving == ["a@b.example"]
