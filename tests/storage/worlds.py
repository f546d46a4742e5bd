"""What the tests of the storage share: both kinds of ports under one name, and values to keep in them."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from shared.domain.connections import Destination
from shared.domain.events import Change, Item, Principal, ShareEvent
from shared.domain.grants import Grant, Link, Scope
from shared.domain.guests import Guest, GuestState
from shared.domain.messages import GrantMessage, ListEntry, Outbox, Queue, Record, Send
from shared.domain.platforms import ItemKind, Role
from shared.domain.reasons import Reason
from shared.domain.shares import Share
from shared.storage.account import CONTAINER, StorageAccount
from shared.storage.blobs import BlobBodies
from shared.storage.ledger import TableHistory, TableLedger
from shared.storage.sources import TableBatches, TableFeeds, TablePermissions
from shared.storage.tables import TableAccountMaps, TableMarks, TableReferences, TableScopes, TableWorklist
from shared.workflows.ports import (
    AccountMaps,
    Batches,
    Bodies,
    Feeds,
    History,
    Ledger,
    Marks,
    Permissions,
    References,
    Scopes,
    Worklist,
)
from tests import memory

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
NASTY = "a/b\\c#d?e%f=g~h'i\"j k\t\n\x00\x1f\x7f\x85ü漢😀&+,;:@!|<>{}^`$*()[]"


@dataclass(frozen=True)
class World:
    """The ports of one kind."""

    ledger: Ledger
    history: History
    worklist: Worklist
    scopes: Scopes
    marks: Marks
    references: References
    permissions: Permissions
    feeds: Feeds
    batches: Batches
    bodies: Bodies
    account_maps: AccountMaps


def in_memory() -> World:
    """The ports in memory, empty."""
    return World(
        ledger=memory.MemoryLedger(),
        history=memory.MemoryHistory(),
        worklist=memory.MemoryWorklist(),
        scopes=memory.MemoryScopes(),
        marks=memory.MemoryMarks(),
        references=memory.MemoryReferences(),
        permissions=memory.MemoryPermissions(),
        feeds=memory.MemoryFeeds(),
        batches=memory.MemoryBatches(),
        bodies=memory.MemoryBodies(),
        account_maps=memory.MemoryAccountMaps(),
    )


def in_storage(account: StorageAccount) -> World:
    """The ports of the storage account, with whatever it holds."""
    table = account.tables.get_table_client
    return World(
        ledger=TableLedger(table("guests")),
        history=TableHistory(table("history")),
        worklist=TableWorklist(table("worklist")),
        scopes=TableScopes(table("scopes")),
        marks=TableMarks(table("sources")),
        references=TableReferences(table("sources")),
        permissions=TablePermissions(table("permissions")),
        feeds=TableFeeds(table("sources")),
        batches=TableBatches(table("batches")),
        bodies=BlobBodies(account.blobs.get_container_client(CONTAINER)),
        account_maps=TableAccountMaps(table("accountmaps")),
    )


def person(address: str | None = "anna@example.org", **fields: str) -> Principal:
    """A receiver of shares."""
    return Principal(address=address, **fields)


def event(reference: str, path: str = "/Plans") -> ShareEvent:
    """A share event."""
    return ShareEvent(
        id=f"event {reference}",
        connection="box-main",
        change=Change.GIVEN,
        at=NOON,
        principal=person(),
        role="editor",
        item=Item(id="42", kind=ItemKind.FOLDER, path=path),
        reference=reference,
    )


def guest(key: str, wanting: int = 0) -> Guest:
    """A guest whose invitation waits for approval."""
    return Guest(key=key, address="anna@example.org", state=GuestState.HELD, since=NOON, wanting=wanting)


def share(name: str, *events: ShareEvent) -> Share:
    """A share of these events."""
    folded = Share(id=name, connection="box-main", verdict=Reason.PATH_UNKNOWN)
    for each in events:
        folded = folded.fold(each)
    return folded


def grant(item_id: str) -> Grant:
    """A grant on an item."""
    return Grant(item_id=item_id, place=Destination(drive="b!drive", path="/Plans"), link=False, role=Role.WRITE)


def outbox(name: str) -> Outbox:
    """Effects of one commit, one of each kind."""
    return Outbox(
        id=name,
        effects=(
            Send(queue=Queue.GRANTS, body=GrantMessage(guest="g", shares=("one", "two"))),
            record("g", "decided", NOON),
            entry("waiting/approval", "one", NOON),
        ),
    )


def record(partition: str, what: str, at: datetime) -> Record:
    """An entry of the history."""
    return Record(partition=partition, at=at, what=what, reason=Reason.APPROVAL, share="one")


def entry(name: str, key: str, at: datetime, *, present: bool = True) -> ListEntry:
    """A row of a worklist."""
    return ListEntry(list=name, key=key, at=at, guest="g", present=present)


def scope(drive: str, item_id: str, path: str, *copied: str) -> Scope:
    """A scope."""
    return Scope(
        item_id=item_id,
        place=Destination(drive=drive, path=path),
        copied=copied,
        links={Role.READ: Link(id="l1", members=("o1", "o2"))},
    )
