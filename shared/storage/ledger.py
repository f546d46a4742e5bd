"""The ledger and its history on Table storage."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError, ResourceExistsError
from azure.data.tables import TableEntity, TableErrorCode, UpdateMode
from azure.data.tables.aio import TableClient

from shared.domain.grants import Grant
from shared.domain.guests import Guest
from shared.domain.ledger import Book, Changes
from shared.domain.messages import Outbox, Record
from shared.domain.shares import Share
from shared.domain.trouble import ConflictError
from shared.domain.value import Value
from shared.storage.rows import Row, columns, escape, find, newest_first, parse, text_of, unescape

_TRANSACTION_ROWS = 100  # Microsoft, "Performing entity group transactions"
_REPLACE = {"mode": UpdateMode.REPLACE}

# Somebody else wrote the guest row first, or took away a row that stood there a moment ago.
_CONFLICTS = (
    TableErrorCode.UPDATE_CONDITION_NOT_SATISFIED,
    TableErrorCode.CONDITION_NOT_MET,
    TableErrorCode.ENTITY_ALREADY_EXISTS,
    TableErrorCode.RESOURCE_NOT_FOUND,
    TableErrorCode.ENTITY_NOT_FOUND,
)


class TableLedger:
    """Table `guests`: PartitionKey is the guest key; rows `guest`, `share:<id>`, `grant:<id>`, `outbox:<id>`."""

    def __init__(self, table: TableClient) -> None:
        """Keep the ledger in this table."""
        self._table = table

    async def read(self, key: str, shares: Iterable[str] | None) -> Book:
        """Read a partition; see the port.

        The guest row comes first, always: its ETag is the version of the whole partition, because every commit writes
        it. Whatever is written while the other rows are read makes the later commit fail with ConflictError. The
        other way round a commit could overwrite what it never saw.
        """
        partition = escape(key)
        row = await find(self._table, partition, "guest")
        if row is None:
            return Book(guest=Guest(key=key))
        book = Book(guest=parse(Guest, text_of(row)), version=row.metadata["etag"])
        if shares is None:
            async for row in self._query("PartitionKey eq @key", key=partition):
                _take(book, row)
            return book
        rows = await asyncio.gather(*(find(self._table, partition, _row_key("share", name)) for name in shares))
        for found in rows:
            if found is not None:
                _take(book, found)
        outbox = "PartitionKey eq @key and RowKey ge 'outbox:' and RowKey lt 'outbox;'"
        async for row in self._query(outbox, key=partition):
            _take(book, row)
        return book

    async def glance(self, key: str, shares: int) -> Book:
        """Read the guest and at most that many of the shares; rows stand in the order guest, outbox, share."""
        query = self._table.query_entities(
            "PartitionKey eq @key and RowKey ge 'guest' and RowKey lt 'share;'",
            parameters={"key": escape(key)},
            results_per_page=shares + 2,
        )
        book = Book(guest=Guest(key=key))
        async for row in query:
            if row["RowKey"] == "guest":
                book = Book(guest=parse(Guest, text_of(row)), version=row.metadata["etag"])
            elif len(book.shares) < shares:
                _take(book, row)
            if len(book.shares) >= shares:
                break
        return book

    async def commit(self, book: Book, changes: Changes) -> None:
        """Write all or nothing; see the port. Raises ValueError above the 100 rows of a transaction."""
        partition = escape(book.guest.key)
        written: list[tuple[str, Value | None, bool]] = [
            *((_row_key("share", name), value, name in book.shares) for name, value in changes.shares.items()),
            *((_row_key("grant", name), value, name in book.grants) for name, value in changes.grants.items()),
        ]
        if changes.outbox is not None:
            written.append((_row_key("outbox", changes.outbox.id), changes.outbox, False))
        if len(written) >= _TRANSACTION_ROWS:
            raise ValueError(f"a transaction holds {_TRANSACTION_ROWS} rows, this one has {len(written) + 1}")

        # The guest row leads, so that a conflict shows as one and not as the missing row that it may cause further on.
        operations: list[tuple[Any, ...]] = [_guarded(_row(partition, "guest", changes.guest), book.version)]
        for row_key, value, known in written:
            if value is not None:
                operations.append(("upsert", _row(partition, row_key, value), _REPLACE))
            # Deleting a row that is not there would undo the transaction. The answer cannot become wrong until then:
            # nobody adds or removes such a row without writing the guest row.
            elif known or await find(self._table, partition, row_key) is not None:
                operations.append(("delete", {"PartitionKey": partition, "RowKey": row_key}))
        try:
            await self._table.submit_transaction(operations)
        except HttpResponseError as error:
            if getattr(error, "error_code", None) in _CONFLICTS:
                raise ConflictError(f"guest {book.guest.key} was changed by somebody else") from error
            raise

    async def clear(self, key: str, outbox: str) -> None:
        """Forget effects that were carried out; see the port."""
        await self._table.delete_entity(escape(key), _row_key("outbox", outbox))

    async def keys(self, after: str) -> AsyncIterator[str]:
        """The partitions whose key comes after that one; see the port."""
        rows = self._table.query_entities(
            "PartitionKey gt @after and RowKey eq 'guest'", parameters={"after": escape(after)}, select=["PartitionKey"]
        )
        async for row in rows:
            yield unescape(row["PartitionKey"])

    def _query(self, text: str, **parameters: str) -> AsyncIterator[TableEntity]:
        return self._table.query_entities(text, parameters=parameters)


def _row_key(kind: str, name: str) -> str:
    return f"{kind}:{escape(name)}"


def _row(partition: str, row_key: str, value: Value) -> Row:
    row = {"PartitionKey": partition, "RowKey": row_key, "kind": row_key.partition(":")[0]}
    if isinstance(value, Guest):
        row["state"] = value.state.value
    return row | columns(value.model_dump_json())


def _guarded(row: Row, version: str | None) -> tuple[Any, ...]:
    if version is None:
        return ("create", row)
    return ("update", row, {**_REPLACE, "etag": version, "match_condition": MatchConditions.IfNotModified})


def _take(book: Book, row: TableEntity) -> None:
    kind, _, name = row["RowKey"].partition(":")
    match kind:
        case "share":
            book.shares[unescape(name)] = parse(Share, text_of(row))
        case "grant":
            book.grants[unescape(name)] = parse(Grant, text_of(row))
        case "outbox":
            book.outbox.append(parse(Outbox, text_of(row)))


class TableHistory:
    """Table `history`: PartitionKey is the record's partition, RowKey the inverted time and the record's id."""

    def __init__(self, table: TableClient) -> None:
        """Keep the history in this table."""
        self._table = table

    async def append(self, record: Record) -> None:
        """Write an entry; the same entry again changes nothing."""
        row = {
            "PartitionKey": escape(record.partition),
            "RowKey": f"{newest_first(record.at)}-{record.id}",
            "what": record.what,
            "reason": record.reason.value if record.reason else "",
            **columns(record.model_dump_json()),
        }
        try:
            await self._table.create_entity(row)
        except ResourceExistsError:
            return

    async def read(self, partition: str) -> AsyncIterator[Record]:
        """The entries of a partition, newest first."""
        query = self._table.query_entities("PartitionKey eq @key", parameters={"key": escape(partition)})
        async for row in query:
            yield parse(Record, text_of(row))
