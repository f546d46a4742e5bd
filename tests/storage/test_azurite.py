"""What only the real services have: queues on the wire, races inside a reading, the account itself."""

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.queue import QueueMessage
from azure.storage.queue.aio import QueueClient

from shared.domain.ledger import Changes
from shared.domain.messages import DeliveryMessage, GrantMessage, InvitationMessage, Queue
from shared.domain.trouble import ConflictError
from shared.storage.account import CONTAINER, QUEUES, TABLES, StorageAccount
from shared.storage.envelope import decode
from shared.storage.ledger import TableLedger
from shared.storage.queues import StorageQueues
from shared.storage.tables import TableMarks, TableScopes
from shared.workflows.ports import Queues
from tests.storage.worlds import NASTY, NOON, event, guest, scope, share


async def received(client: QueueClient) -> QueueMessage:
    """Wait for the next message that is visible, and take it out."""
    async with asyncio.timeout(30):
        while (message := await client.receive_message()) is None:  # noqa: ASYNC110 - a queue can only be polled
            await asyncio.sleep(0.05)
    await client.delete_message(message)
    return message


def text(message: QueueMessage) -> str:
    """Return what the host hands to a function: the base64 text, decoded."""
    return base64.b64decode(message.content, validate=True).decode()


@pytest.fixture
async def queue(account: StorageAccount) -> AsyncIterator[QueueClient]:
    """The queue for grants, empty."""
    client = account.queues.get_queue_client(Queue.GRANTS.value)
    await client.clear_messages()
    yield client
    await client.clear_messages()


class TestQueues:
    async def test_a_message_arrives_as_the_host_reads_it(self, account: StorageAccount, queue: QueueClient) -> None:
        message = GrantMessage(guest=NASTY, shares=("one", "two"))
        await StorageQueues(account.queues).send(Queue.GRANTS, message, attempt=4)
        arrived = await received(queue)
        assert decode(text(arrived)) == (message, 4, None)
        assert arrived.expires_on is not None
        assert arrived.expires_on.year == 9999, "a message waits for ever"

    async def test_each_queue_gets_its_own(self, account: StorageAccount) -> None:
        sender: Queues = StorageQueues(account.queues)
        for each in Queue:
            await sender.send(each, InvitationMessage(guest=each.value))
        for each in Queue:
            message = await received(account.queues.get_queue_client(each.value))
            assert decode(text(message)) == (InvitationMessage(guest=each.value), 0, None)

    async def test_a_delayed_message_arrives_after_one_sent_later(
        self, account: StorageAccount, queue: QueueClient
    ) -> None:
        sender = StorageQueues(account.queues)
        await sender.send(Queue.GRANTS, GrantMessage(guest="late"), delay=timedelta(milliseconds=1_001), attempt=1)
        await sender.send(Queue.GRANTS, GrantMessage(guest="soon"), delay=timedelta(seconds=-5))
        assert [decode(text(await received(queue))) for _ in range(2)] == [
            (GrantMessage(guest="soon"), 0, None),
            (GrantMessage(guest="late"), 1, None),
        ]

    async def test_a_longer_delay_than_there_is_becomes_the_longest(
        self, account: StorageAccount, queue: QueueClient
    ) -> None:
        await StorageQueues(account.queues).send(Queue.GRANTS, GrantMessage(guest="g"), delay=timedelta(days=400))
        assert (await queue.get_queue_properties()).approximate_message_count == 1
        assert await queue.receive_message() is None

    async def test_the_largest_message_fits_and_a_larger_one_is_refused(
        self, account: StorageAccount, queue: QueueClient
    ) -> None:
        sender = StorageQueues(account.queues)
        body = DeliveryMessage(connection="c", id="d", received_at=NOON, body="x" * 48_700)
        await sender.send(Queue.GRANTS, body)
        assert decode(text(await received(queue)))[0] == body
        with pytest.raises(ValueError, match="49152"):
            await sender.send(Queue.GRANTS, body.model_copy(update={"body": "x" * 49_152}))


class TestReading:
    async def test_what_changes_while_a_partition_is_read_makes_the_commit_conflict(
        self, account: StorageAccount, name: str
    ) -> None:
        for shares in (None, ["one"]):
            other = TableLedger(account.tables.get_table_client("guests"))
            before = await other.read(name, None)
            await other.commit(before, Changes(guest=guest(name), shares={"one": share("one")}))

            async def overtake(other: TableLedger = other) -> None:
                book = await other.read(name, None)
                await other.commit(book, Changes(guest=guest(name, wanting=1), shares={"one": None}))

            table = account.tables.get_table_client("guests")
            _after_the_first_answer(table, overtake)
            book = await TableLedger(table).read(name, shares)
            with pytest.raises(ConflictError):
                await other.commit(book, Changes(guest=guest(name, wanting=9), shares={"one": share("one")}))
            assert (await other.read(name, None)).shares == {}

    async def test_a_row_that_vanishes_while_it_is_removed_makes_the_commit_conflict(
        self, account: StorageAccount, name: str
    ) -> None:
        other = TableLedger(account.tables.get_table_client("guests"))
        await other.commit(await other.read(name, None), Changes(guest=guest(name), shares={"one": share("one")}))
        book = await other.read(name, [])

        async def overtake() -> None:
            await other.commit(await other.read(name, None), Changes(guest=guest(name), shares={"one": None}))

        table = account.tables.get_table_client("guests")
        _after_the_first_answer(table, overtake)
        with pytest.raises(ConflictError):
            await TableLedger(table).commit(book, Changes(guest=guest(name), shares={"one": None}))

    async def test_a_guest_row_taken_away_by_hand_makes_the_commit_conflict(
        self, account: StorageAccount, name: str
    ) -> None:
        table = account.tables.get_table_client("guests")
        ledger = TableLedger(table)
        await ledger.commit(await ledger.read(name, []), Changes(guest=guest(name)))
        book = await ledger.read(name, [])
        await table.delete_entity(name, "guest")
        with pytest.raises(ConflictError):
            await ledger.commit(book, Changes(guest=guest(name), shares={"one": share("one")}))

    async def test_a_large_partition_is_read_over_many_pages(self, account: StorageAccount, name: str) -> None:
        ledger = TableLedger(account.tables.get_table_client("guests"))
        for start in range(0, 1_100, 99):
            many = {f"s{n}": share(f"s{n}") for n in range(start, min(start + 99, 1_100))}
            await ledger.commit(await ledger.read(name, []), Changes(guest=guest(name), shares=many))
        assert len((await ledger.read(name, None)).shares) == 1_100


def _after_the_first_answer(table: Any, then: Callable[[], Awaitable[None]]) -> None:
    """Let somebody else go between the first answer of this client and whatever it asks next."""
    get, query = table.get_entity, table.query_entities
    pending = [then]

    async def get_entity(*args: Any, **kwargs: Any) -> Any:
        try:
            return await get(*args, **kwargs)
        finally:
            while pending:
                await pending.pop()()

    async def query_entities(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        rows = [row async for row in query(*args, **kwargs)]
        while pending:
            await pending.pop()()
        for row in rows:
            yield row

    table.get_entity, table.query_entities = get_entity, query_entities


class TestAccount:
    async def test_everything_is_made_and_making_it_again_is_no_error(self, account: StorageAccount) -> None:
        await account.ensure()
        assert set(TABLES) <= {table.name async for table in account.tables.list_tables()}
        assert set(QUEUES) == {queue.name async for queue in account.queues.list_queues()}
        assert [container.name async for container in account.blobs.list_containers()] == [CONTAINER]
        assert "share-events-poison" in QUEUES

    async def test_a_missing_table_is_an_accident_and_not_an_empty_one(self, account: StorageAccount) -> None:
        missing = account.tables.get_table_client("nosuchtable")
        book = await TableLedger(account.tables.get_table_client("guests")).read("nobody", None)
        attempts: list[Callable[[], Awaitable[object]]] = [
            lambda: TableLedger(missing).read("nobody", None),
            lambda: TableLedger(missing).commit(book, Changes(guest("nobody"))),
            lambda: TableMarks(missing).get("m"),
            lambda: TableScopes(missing).put(scope("d", "i", "/a"), None),
            lambda: TableScopes(missing).put(scope("d", "i", "/a"), "W/\"datetime'2026-03-01T12%3A00%3A00Z'\""),
        ]
        for attempt in attempts:
            with pytest.raises(HttpResponseError, match="TableNotFound"):
                await attempt()

    async def test_the_emulator_has_a_short_name(self) -> None:
        async with StorageAccount.from_connection_string(" UseDevelopmentStorage=true; ") as emulator:
            assert emulator.tables.url == "http://127.0.0.1:10002/devstoreaccount1"
            assert emulator.queues.url.startswith("http://127.0.0.1:10001/devstoreaccount1")
            assert emulator.blobs.url.startswith("http://127.0.0.1:10000/devstoreaccount1")


async def test_a_share_event_with_an_odd_path_survives_both_services(account: StorageAccount, name: str) -> None:
    odd = event("r", path="/\ufffe\uffff\u2028" + NASTY)
    ledger = TableLedger(account.tables.get_table_client("guests"))
    await ledger.commit(await ledger.read(name, []), Changes(guest=guest(name), shares={"s": share("s", odd)}))
    assert (await ledger.read(name, ["s"])).shares["s"] == share("s", odd)
