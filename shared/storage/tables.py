"""The smaller tables: worklist, scopes, marks, references and account maps."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime

from azure.data.tables import TableEntity, UpdateMode
from azure.data.tables.aio import TableClient

from shared.domain.addresses import InvalidAddressError, digest, normalise
from shared.domain.connections import Destination
from shared.domain.events import Item, Principal
from shared.domain.grants import Scope
from shared.domain.maps import Mapped
from shared.domain.messages import ListEntry
from shared.domain.trouble import ConflictError
from shared.storage.rows import columns, encode, escape, find, newest_first, oldest_first, parse, swap, text_of

_BY_KEY = ("account", "search-")
_OLDEST_FIRST = ("expiring", "inviting")
_PAGE = 1000  # rows in one answer of Table storage
_PATH_KEY = 200  # characters of the normalised path that take part in a query: an URL has its limits


class TableWorklist:
    """Table `worklist`: PartitionKey is the list's name, RowKey the inverted time and the key.

    A row is known by list, time and key, so it is taken out with the time with which it was put in. Some lists are
    kept differently: `account` and `search-…` by key alone and in the order of keys, `expiring` and `inviting` oldest
    first.
    """

    def __init__(self, table: TableClient) -> None:
        """Keep the lists in this table."""
        self._table = table

    async def put(self, *entries: ListEntry) -> None:
        """Take rows out, then write rows. Nothing happens when a row to take out is gone already."""
        for present in (False, True):
            await asyncio.gather(*(self._put(entry) for entry in entries if entry.present is present))

    async def _put(self, entry: ListEntry) -> None:
        partition, row_key = escape(entry.list), _list_row_key(entry)
        if not entry.present:
            await self._table.delete_entity(partition, row_key)
            return
        row = {"PartitionKey": partition, "RowKey": row_key, "guest": entry.guest, "at": entry.at.isoformat()}
        await self._table.upsert_entity(row | columns(entry.model_dump_json()), mode=UpdateMode.REPLACE)

    async def read(self, name: str, *, until: datetime | None = None) -> AsyncIterator[ListEntry]:
        """The rows of a list; with `until` only those whose time has come."""
        query, parameters = "PartitionKey eq @list", {"list": escape(name)}
        if until is not None and name in _OLDEST_FIRST:
            query += " and RowKey lt @until"
            parameters["until"] = f"{oldest_first(until)}."  # "." follows the "-" between time and key
        elif until is not None and not name.startswith(_BY_KEY):
            query += " and RowKey ge @until"
            parameters["until"] = newest_first(until)
        async for row in self._table.query_entities(query, parameters=parameters):
            entry = parse(ListEntry, text_of(row))
            if until is None or entry.at <= until:
                yield entry

    async def page(self, name: str, limit: int, after: str) -> tuple[Sequence[ListEntry], str | None]:
        """At most `limit` rows behind a place, and the place to go on from; see the port."""
        query = "PartitionKey eq @list and RowKey gt @after"
        rows = await self._first(query, {"list": escape(name), "after": after}, limit + 1)
        entries = [parse(ListEntry, text_of(row)) for row in rows[:limit]]
        return entries, rows[limit - 1]["RowKey"] if len(rows) > limit else None

    async def count(self, name: str, limit: int) -> int:
        """How many rows a list has, counted up to `limit`."""
        return len(await self._first("PartitionKey eq @list", {"list": escape(name)}, limit, select=["RowKey"]))

    async def starting(self, name: str, beginning: str, limit: int) -> Sequence[ListEntry]:
        """The first rows of a list kept by key alone whose key begins like that."""
        low = encode(beginning)
        query = "PartitionKey eq @list and RowKey ge @low and RowKey lt @high"
        rows = await self._first(query, {"list": escape(name), "low": low, "high": f"{low}~"}, limit)
        return [parse(ListEntry, text_of(row)) for row in rows]

    async def _first(
        self, query: str, parameters: dict[str, str], limit: int, select: list[str] | None = None
    ) -> list[TableEntity]:
        """Return the first rows of a query: one request, except where the storage divides an answer."""
        found: list[TableEntity] = []
        async for row in self._table.query_entities(
            query, parameters=parameters, results_per_page=min(limit, _PAGE), select=select
        ):
            found.append(row)
            if len(found) == limit:
                break
        return found

    async def find(self, name: str, key: str) -> ListEntry | None:
        """One row of a list that is kept by key alone (`account`)."""
        row = await find(self._table, escape(name), escape(key))
        return parse(ListEntry, text_of(row)) if row is not None else None


def _list_row_key(entry: ListEntry) -> str:
    if entry.list.startswith(_BY_KEY):
        return escape(entry.key)
    order = oldest_first if entry.list in _OLDEST_FIRST else newest_first
    return f"{order(entry.at)}-{escape(entry.key)}"


class TableScopes:
    """Table `scopes`: PartitionKey is the drive, RowKey the item's id."""

    def __init__(self, table: TableClient) -> None:
        """Keep the scopes in this table."""
        self._table = table

    async def get(self, drive: str, item_id: str) -> tuple[Scope | None, str | None]:
        """One scope and its version."""
        row = await find(self._table, escape(drive), escape(item_id))
        return (parse(Scope, text_of(row)), row.metadata["etag"]) if row is not None else (None, None)

    async def put(self, scope: Scope, version: str | None) -> None:
        """Write it if it is still at that version (None: if it does not exist). Raises ConflictError."""
        row = {
            "PartitionKey": escape(scope.place.drive),
            "RowKey": escape(scope.item_id),
            "path_key": path_key(scope.place),
            **columns(scope.model_dump_json()),
        }
        await swap(self._table, row, version)

    async def beneath(self, place: Destination) -> Sequence[Scope]:
        """The scopes beneath a place, without the place itself."""
        low = path_key(place)
        query = "PartitionKey eq @drive and path_key ge @low and path_key lt @high"
        parameters = {
            "drive": escape(place.drive),
            "low": low,
            "high": f"{low}~",
        }  # "~" is in no key and behind all that is
        found = self._table.query_entities(query, parameters=parameters)
        scopes = [parse(Scope, text_of(row)) async for row in found]
        return [scope for scope in scopes if place.covers(scope.place) and not scope.place.covers(place)]


def path_key(place: Destination) -> str:
    """Return the beginning of the path in the one spelling that all its spellings share, with a slash behind.

    What lies beneath a place has the place's key as the beginning of its own. With very long paths other things have
    it as well.
    """
    path = "".join(f"/{segment}" for segment in place.path.casefold().split("/") if segment) + "/"
    return encode(path[:_PATH_KEY])[:_PATH_KEY]


class TableMarks:
    """Cursors and watermarks in table `sources`, partition `mark`."""

    def __init__(self, table: TableClient) -> None:
        """Keep the marks in this table."""
        self._table = table

    async def get(self, name: str) -> str | None:
        """A mark's value."""
        row = await find(self._table, "mark", escape(name))
        return text_of(row) if row is not None else None

    async def set(self, name: str, value: str) -> None:
        """Set a mark."""
        row = {"PartitionKey": "mark", "RowKey": escape(name), **columns(value)}
        await self._table.upsert_entity(row, mode=UpdateMode.REPLACE)


class TableReferences:
    """Table `sources`, a partition per permission of a source: rows `person:<who>`, and `ended` once it is."""

    def __init__(self, table: TableClient) -> None:
        """Keep the references in this table."""
        self._table = table

    async def remember(self, connection: str, reference: str, principal: Principal, item: Item | None) -> None:
        """Note that this permission concerned this person and item. An item known before is not forgotten for None."""
        row = {
            "PartitionKey": _reference_key(connection, reference),
            "RowKey": f"person:{_who(principal)}",
            "connection": connection,
            "principal": principal.model_dump_json(),
        }
        if item is not None:
            row["item"] = item.model_dump_json()
        await self._table.upsert_entity(row, mode=UpdateMode.MERGE)

    async def end(self, connection: str, reference: str, at: datetime) -> None:
        """Note that this permission was taken back at that time; an earlier note with a later time stays."""
        partition = _reference_key(connection, reference)
        while True:
            row = await find(self._table, partition, "ended")
            if row is not None and datetime.fromisoformat(row["at"]) >= at:
                return
            ended = {"PartitionKey": partition, "RowKey": "ended", "connection": connection, "at": at.isoformat()}
            try:
                await swap(self._table, ended, row.metadata["etag"] if row is not None else None)
            except ConflictError:
                continue
            return

    async def recall(
        self, connection: str, reference: str
    ) -> tuple[Sequence[tuple[Principal, Item | None]], datetime | None]:
        """Everybody noted, with the item as last known, and when it ended."""
        people: list[tuple[Principal, Item | None]] = []
        ended: datetime | None = None
        parameters = {"key": _reference_key(connection, reference)}
        async for row in self._table.query_entities("PartitionKey eq @key", parameters=parameters):
            if row["RowKey"] == "ended":
                ended = datetime.fromisoformat(row["at"])
            else:
                item = parse(Item, row["item"]) if "item" in row else None
                people.append((parse(Principal, row["principal"]), item))
        return people, ended


def _reference_key(connection: str, reference: str) -> str:
    return f"reference:{digest(connection, reference)}"


def _who(principal: Principal) -> str:
    """Return what one person is known by within a permission: the mailbox, else the source's id."""
    try:
        return digest("mailbox", normalise(principal.address or ""))
    except InvalidAddressError:
        return digest(principal.kind, principal.source_id or principal.address or "")


class TableAccountMaps:
    """Table `accountmaps`: PartitionKey is the connection, RowKey the source address."""

    def __init__(self, table: TableClient) -> None:
        """Keep the maps in this table."""
        self._table = table

    async def find(self, connection: str, source: str) -> Mapped | None:
        """The entry of one source address, and None when it is not mapped."""
        row = await find(self._table, escape(connection), escape(source))
        return _mapped(row) if row is not None else None

    async def read(self, connection: str) -> AsyncIterator[Mapped]:
        """All entries of a connection, by source address."""
        async for row in self._table.query_entities(
            "PartitionKey eq @connection", parameters={"connection": escape(connection)}
        ):
            yield _mapped(row)

    async def moving(self) -> AsyncIterator[Mapped]:
        """The entries whose people are still being moved."""
        async for row in self._table.query_entities("moving eq true"):
            yield _mapped(row)

    async def put(self, entry: Mapped) -> None:
        """Write an entry if it is still at its version (None: if it does not exist). Raises ConflictError."""
        row = {
            "PartitionKey": escape(entry.connection),
            "RowKey": escape(entry.source),
            "moving": bool(entry.moving_from),
            **columns(entry.model_dump_json(exclude={"version"})),
        }
        await swap(self._table, row, entry.version)


def _mapped(row: TableEntity) -> Mapped:
    return parse(Mapped, text_of(row)).model_copy(update={"version": row.metadata["etag"]})
