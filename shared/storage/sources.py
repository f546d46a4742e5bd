"""What is kept about the source accounts: feeds, the permissions that were seen there, and batches."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from datetime import datetime

from azure.core import MatchConditions
from azure.core.exceptions import ResourceModifiedError, ResourceNotFoundError
from azure.data.tables import UpdateMode
from azure.data.tables.aio import TableClient

from shared.domain.addresses import digest
from shared.domain.batches import Batch
from shared.domain.events import Change, Item, ShareEvent
from shared.domain.feeds import Feed
from shared.domain.reasons import Reason
from shared.domain.trouble import ConflictError
from shared.storage.rows import columns, escape, find, oldest_first, parse, swap, text_of

_NEVER_READ = ""
_SHARDS = 16


class TableFeeds:
    """Table `sources`, a partition per connection: PartitionKey `feed:<connection>`, RowKey a digest of the name."""

    def __init__(self, table: TableClient) -> None:
        """Keep the feeds in this table."""
        self._table = table

    async def get(self, connection: str, name: str) -> tuple[Feed | None, str | None]:
        """One feed and its version."""
        row = await find(self._table, _feeds_of(connection), digest(name))
        return (parse(Feed, text_of(row)), row.metadata["etag"]) if row is not None else (None, None)

    async def put(self, feed: Feed, version: str | None) -> None:
        """Write it if it is still at that version (None: if it does not exist). Raises ConflictError."""
        keys = {"PartitionKey": _feeds_of(feed.connection), "RowKey": digest(feed.name)}
        await swap(self._table, keys | columns(feed.model_dump_json()), version)

    async def remove(self, connection: str, name: str) -> None:
        """Forget a feed. It is no error when it is gone."""
        await self._table.delete_entity(_feeds_of(connection), digest(name))

    async def read(self, connection: str) -> AsyncIterator[Feed]:
        """All feeds of a connection."""
        parameters = {"key": _feeds_of(connection)}
        async for row in self._table.query_entities("PartitionKey eq @key", parameters=parameters):
            yield parse(Feed, text_of(row))


def _feeds_of(connection: str) -> str:
    return f"feed:{connection}"


class TablePermissions:
    """Table `permissions`: a partition per item with a row per permission; a partition per connection with its items.

    Every note touches the item's row as well, so that an item is not forgotten while something is noted about it.
    """

    def __init__(self, table: TableClient) -> None:
        """Keep the permissions in this table."""
        self._table = table

    async def known(self, connection: str, item_id: str) -> Mapping[str, ShareEvent]:
        """What is known of an item, by `ShareEvent.permission`; nothing that was lost."""
        parameters = {"key": _item_key(connection, item_id)}
        rows = self._table.query_entities("PartitionKey eq @key", parameters=parameters)
        return {row["RowKey"]: parse(ShareEvent, text_of(row)) async for row in rows}

    async def note(self, fact: ShareEvent) -> None:
        """Keep a fact about an item if it is the newest about its permission; a loss takes the permission out."""
        assert fact.item is not None, "only facts about items are noted"
        partition = _item_key(fact.connection, fact.item.id)
        while True:
            row = await find(self._table, partition, fact.permission)
            if row is not None and not fact.outranks(parse(ShareEvent, text_of(row))):
                break
            try:
                if fact.change is not Change.LOST:
                    keys = {"PartitionKey": partition, "RowKey": fact.permission}
                    content = columns(fact.model_dump_json(exclude_defaults=True))
                    await swap(self._table, keys | content, row.metadata["etag"] if row is not None else None)
                elif row is not None:
                    await _delete(self._table, partition, fact.permission, row.metadata["etag"])
            except ConflictError:
                continue
            break
        if fact.change is not Change.LOST:
            await self._touch(fact.connection, fact.item, None)

    async def mark_read(self, connection: str, item: Item, at: datetime) -> None:
        """Note that all permissions of an item were read at that time."""
        await self._touch(connection, item, at)

    async def _touch(self, connection: str, item: Item, read_at: datetime | None) -> None:
        row = {
            "PartitionKey": _items_of(connection),
            "RowKey": digest(item.id),
            "item": item.model_dump_json(),
        }
        if read_at is not None:
            row["read_at"] = oldest_first(read_at)
        await self._table.upsert_entity(row, mode=UpdateMode.MERGE)

    async def unread_since(self, connection: str, at: datetime, after: str) -> AsyncIterator[tuple[str, Item]]:
        """The known items that were not read at that time or later, in the order of the keys behind `after`."""
        query, limit = "PartitionKey eq @key and RowKey gt @after", oldest_first(at)
        parameters = {"key": _items_of(connection), "after": after}
        async for row in self._table.query_entities(query, parameters=parameters):
            if row.get("read_at", _NEVER_READ) < limit:
                yield row["RowKey"], parse(Item, row["item"])

    async def forget(self, connection: str, item_id: str) -> None:
        """Forget an item of which no permission is known any more; nothing happens when there is one."""
        row = await find(self._table, _items_of(connection), digest(item_id))
        if row is None or await self.known(connection, item_id):
            return
        try:
            await _delete(self._table, row["PartitionKey"], row["RowKey"], row.metadata["etag"])
        except ConflictError:
            return  # something was noted about it just now


def _item_key(connection: str, item_id: str) -> str:
    return f"item:{digest(connection, item_id)}"


def _items_of(connection: str) -> str:
    return f"items:{connection}"


async def _delete(table: TableClient, partition: str, row: str, version: str | None) -> None:
    condition = MatchConditions.IfNotModified
    try:
        await table.delete_entity(partition, row, etag=version, match_condition=condition)
    except (ResourceModifiedError, ResourceNotFoundError) as error:
        raise ConflictError("the row was changed by somebody else") from error


class TableBatches:
    """Table `batches`: partition `batch` with a row per batch; a batch's outcomes, a row per share event, are spread
    over sixteen partitions that are counted side by side."""

    def __init__(self, table: TableClient) -> None:
        """Keep the batches in this table."""
        self._table = table

    async def get(self, ident: str) -> tuple[Batch | None, str | None]:
        """One batch and its version."""
        row = await find(self._table, "batch", escape(ident))
        return (parse(Batch, text_of(row)), row.metadata["etag"]) if row is not None else (None, None)

    async def put(self, batch: Batch, version: str | None) -> None:
        """Write it if it is still at that version (None: if it does not exist). Raises ConflictError."""
        keys = {"PartitionKey": "batch", "RowKey": escape(batch.id)}
        await swap(self._table, keys | columns(batch.model_dump_json()), version)

    async def read(self) -> AsyncIterator[Batch]:
        """All batches, newest first: their ids begin with the time."""
        rows = [row async for row in self._table.query_entities("PartitionKey eq 'batch'")]
        for row in reversed(rows):
            yield parse(Batch, text_of(row))

    async def note(self, ident: str, event: str, outcome: Reason) -> None:
        """Note what came of a share event of the batch, in the place of what was noted of it before."""
        name = digest(event)
        row = {"PartitionKey": _shard(ident, int(name[0], 16)), "RowKey": name, "outcome": outcome.value}
        await self._table.upsert_entity(row, mode=UpdateMode.REPLACE)

    async def outcomes(self, ident: str) -> Mapping[Reason, int]:
        """How many share events of the batch came to what."""

        async def count(number: int) -> Counter[str]:
            parameters = {"key": _shard(ident, number)}
            rows = self._table.query_entities("PartitionKey eq @key", parameters=parameters, select=["outcome"])
            return Counter([row["outcome"] async for row in rows])

        counted = sum(await asyncio.gather(*(count(number) for number in range(_SHARDS))), Counter[str]())
        return {reason: counted[reason] for reason in Reason if counted[reason]}


def _shard(ident: str, number: int) -> str:
    return f"outcome:{escape(ident)}:{number:x}"
