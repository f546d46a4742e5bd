"""The ports: what the workflows need from outside, as protocols. Adapters and the in-memory ones implement them."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from shared.domain.batches import Batch, BatchKind, CheckedFile
from shared.domain.connections import Connection, Destination
from shared.domain.events import Item, Principal, ShareEvent
from shared.domain.feeds import Feed
from shared.domain.grants import Permission, Scope
from shared.domain.identity import Accepted, Account, Invited, Listed
from shared.domain.ledger import Book, Changes
from shared.domain.mailing import Mail, MailRules
from shared.domain.maps import Mapped
from shared.domain.messages import ListEntry, Message, Queue, Record
from shared.domain.platforms import Role
from shared.domain.preflight import Tenant
from shared.domain.reasons import Reason
from shared.domain.sources import Delivery, FeedsPage, Hint, Page, PermissionSet, Subscription


class Ledger(Protocol):
    """Table `guests`: one partition per guest, one transaction per change."""

    async def read(self, key: str, shares: Iterable[str] | None) -> Book:
        """Read the guest and the undone effects, and the named shares, or with None all shares and grants.

        A partition that does not exist reads as an empty guest.
        """
        ...

    async def glance(self, key: str, shares: int) -> Book:
        """Read the guest and at most that many of the shares, in one request."""
        ...

    async def commit(self, book: Book, changes: Changes) -> None:
        """Write all or nothing, if the partition is still at `book.version`. Raises ConflictError."""
        ...

    async def clear(self, key: str, outbox: str) -> None:
        """Forget effects that were carried out. Nothing happens when they are gone already."""
        ...

    def keys(self, after: str) -> AsyncIterator[str]:
        """The partitions whose key comes after that one, in order, for the reconciler."""
        ...


class History(Protocol):
    """Table `history`: append-only, newest first."""

    async def append(self, record: Record) -> None:
        """Write an entry; the same entry again changes nothing."""
        ...

    def read(self, partition: str) -> AsyncIterator[Record]:
        """The entries of a partition, newest first."""
        ...


class Worklist(Protocol):
    """Table `worklist`: the index that the page and the timers read. Repaired by the reconciler."""

    async def put(self, *entries: ListEntry) -> None:
        """Take rows out, then write rows. Each stands for itself: after a crash some may be done and others not."""
        ...

    def read(self, name: str, *, until: datetime | None = None) -> AsyncIterator[ListEntry]:
        """The rows of a list, newest first; with `until` only those whose time has come."""
        ...

    async def page(self, name: str, limit: int, after: str) -> tuple[Sequence[ListEntry], str | None]:
        """At most `limit` rows behind the place `after` ("" is the beginning), and the place to go on from, if any."""
        ...

    async def count(self, name: str, limit: int) -> int:
        """How many rows a list has, counted up to `limit`, at most 1000."""
        ...

    async def starting(self, name: str, beginning: str, limit: int) -> Sequence[ListEntry]:
        """The first rows, at most 1000, of a list kept by key alone whose key begins like that."""
        ...

    async def find(self, name: str, key: str) -> ListEntry | None:
        """One row of a list that is kept by key alone (`account`)."""
        ...


class Scopes(Protocol):
    """Table `scopes`: items at which Guestpass ended inheritance, per drive."""

    async def get(self, drive: str, item_id: str) -> tuple[Scope | None, str | None]:
        """One scope and its version."""
        ...

    async def put(self, scope: Scope, version: str | None) -> None:
        """Write it if it is still at that version (None: if it does not exist). Raises ConflictError."""
        ...

    async def beneath(self, place: Destination) -> Sequence[Scope]:
        """The scopes beneath a place, without the place itself."""
        ...


class Marks(Protocol):
    """Cursors and watermarks in table `sources`."""

    async def get(self, name: str) -> str | None:
        """A mark's value."""
        ...

    async def set(self, name: str, value: str) -> None:
        """Set a mark."""
        ...


class References(Protocol):
    """Table `sources`: what a platform's own permission ids stood for, since the platform forgets them on removal."""

    async def remember(self, connection: str, reference: str, principal: Principal, item: Item | None) -> None:
        """Note that this permission concerned this person (one row per person) and item."""
        ...

    async def end(self, connection: str, reference: str, at: datetime) -> None:
        """Note that this permission was taken back at that time; an earlier note with a later time stays."""
        ...

    async def recall(
        self, connection: str, reference: str
    ) -> tuple[Sequence[tuple[Principal, Item | None]], datetime | None]:
        """Everybody noted, with the item as last known, and when it ended."""
        ...


class AccountMaps(Protocol):
    """Table `accountmaps`: which source identity is which account at the destination, per connection."""

    async def find(self, connection: str, source: str) -> Mapped | None:
        """The entry of one source address, and None when it is not mapped."""
        ...

    def read(self, connection: str) -> AsyncIterator[Mapped]:
        """All entries of a connection, by source address."""
        ...

    def moving(self) -> AsyncIterator[Mapped]:
        """The entries whose people are still being moved."""
        ...

    async def put(self, entry: Mapped) -> None:
        """Write an entry; see Mapped.version for what guards it. Raises ConflictError."""
        ...


class Permissions(Protocol):
    """Table `permissions`: the newest fact about each permission of each source item, and when the item was last read.

    Platforms whose notifications do not say what changed, and every scan, are compared with it.
    """

    async def known(self, connection: str, item_id: str) -> Mapping[str, ShareEvent]:
        """What is known of an item, by `ShareEvent.permission`; nothing that was lost."""
        ...

    async def note(self, fact: ShareEvent) -> None:
        """Keep a fact about an item if it is the newest about its permission; a loss takes the permission out."""
        ...

    async def mark_read(self, connection: str, item: Item, at: datetime) -> None:
        """Note that all permissions of an item were read at that time."""
        ...

    def unread_since(self, connection: str, at: datetime, after: str) -> AsyncIterator[tuple[str, Item]]:
        """The known items that were not read at that time or later, with keys, in the order of the keys behind
        `after`."""
        ...

    async def forget(self, connection: str, item_id: str) -> None:
        """Forget an item of which no permission is known any more; nothing happens when there is one."""
        ...


class Feeds(Protocol):
    """Table `sources`: the feeds of every connection."""

    async def get(self, connection: str, name: str) -> tuple[Feed | None, str | None]:
        """One feed and its version."""
        ...

    async def put(self, feed: Feed, version: str | None) -> None:
        """Write it if it is still at that version (None: if it does not exist). Raises ConflictError."""
        ...

    async def remove(self, connection: str, name: str) -> None:
        """Forget a feed. It is no error when it is gone."""
        ...

    def read(self, connection: str) -> AsyncIterator[Feed]:
        """All feeds of a connection."""
        ...


class Batches(Protocol):
    """Table `batches`: every batch, and the outcome of every share that it brought."""

    async def get(self, ident: str) -> tuple[Batch | None, str | None]:
        """One batch and its version."""
        ...

    async def put(self, batch: Batch, version: str | None) -> None:
        """Write it if it is still at that version (None: if it does not exist). Raises ConflictError."""
        ...

    def read(self) -> AsyncIterator[Batch]:
        """All batches, newest first."""
        ...

    async def note(self, ident: str, event: str, outcome: Reason) -> None:
        """Note what came of a share event of the batch, in the place of what was noted of it before."""
        ...

    async def outcomes(self, ident: str) -> Mapping[Reason, int]:
        """How many share events of the batch came to what."""
        ...


class Bodies(Protocol):
    """Blobs for what no queue message can hold: large delivery bodies, and the files of batches."""

    async def put(self, name: str, body: bytes) -> None:
        """Store a body."""
        ...

    async def get(self, name: str) -> bytes | None:
        """Read a body."""
        ...

    async def part(self, name: str, start: int, length: int) -> bytes | None:
        """Read at most `length` bytes from `start` on; empty behind the end, None when there is no such body."""
        ...

    async def delete(self, name: str) -> None:
        """Delete a body. It is no error when it is gone."""
        ...


class Source(Protocol):
    """What a platform's module implements for one connection.

    The asynchronous methods ask the platform's API and may raise LaterError (try again, after the time it asked for)
    or RefusedError (an administrator has to act). None of them waits for long: one call reads one page.
    """

    def answer_handshake(self, query: Mapping[str, str]) -> str | None:
        """Return the text that proves to the platform that the address is ours; None when it is not asking for that.

        Raises RejectedError for a hostile question.
        """
        ...

    def authenticate(self, headers: Mapping[str, str], body: bytes, now: datetime) -> Delivery:
        """Check that the raw bytes come from the platform, now.

        Raises RejectedError, and nothing else, whatever the sender sends.
        """
        ...

    def read(self, body: bytes) -> Sequence[ShareEvent | Hint]:
        """Read a delivery into share events, as far as it tells, or into hints where to look. Pure.

        Raises UnreadableError. An empty answer means that the delivery is about nothing that concerns shares.
        """
        ...

    async def enrich(self, event: ShareEvent) -> Sequence[ShareEvent]:
        """Fetch what an event lacks: the path, the members of a group."""
        ...

    async def feeds(self, cursor: str | None) -> FeedsPage:
        """List what can be polled or watched in the account, page by page."""
        ...

    async def poll(self, feed: str, cursor: str | None) -> Page:
        """Read what is new in a feed since the cursor; without a cursor, find where now is."""
        ...

    async def scan(self, cursor: str | None) -> Page:
        """Read a part of all that is shared in the account now, as permission sets; `more` until the end.

        The cursor holds all that is needed to go on: memory does not grow with the account.
        """
        ...

    async def look(self, item: Item) -> PermissionSet | None:
        """Read one item's permissions as they are now; None when the platform does not show the item.

        An item that the platform says is deleted, or in the trash, has an empty set.
        """
        ...

    async def subscribe(self, feed: str, held: Subscription | None, address: str) -> Subscription:
        """Make, or renew, the feed's subscription to deliver to `address`; return the one that holds from now on."""
        ...

    async def unsubscribe(self, feed: str, subscription: Subscription) -> None:
        """End a subscription that another one has replaced. It is no error when it is gone."""
        ...


class ShareFiles(Protocol):
    """The formats in which existing shares come as a file."""

    def check(self, kind: BatchKind, content: bytes, as_of: datetime | None, now: datetime) -> CheckedFile:
        """Check every line."""
        ...

    def read(
        self, batch: Batch, head: bytes, part: bytes, cursor: str | None
    ) -> tuple[Sequence[ShareEvent], str | None]:
        """Read the next shares of a checked file, and where to go on; None at its end.

        `head` are the file's first bytes, `part` those from `offset(cursor)` on.
        """
        ...

    def offset(self, cursor: str | None) -> int:
        """Where in the file the next shares begin."""
        ...


class Queues(Protocol):
    """The storage queues."""

    async def send(
        self,
        queue: Queue,
        body: Message,
        *,
        delay: timedelta = timedelta(0),
        attempt: int = 0,
    ) -> None:
        """Send a message that becomes visible after `delay`. `attempt` counts how often it was put off."""
        ...

    async def depths(self) -> Mapping[str, int]:
        """How many messages are in each queue and its poison queue (`…-poison`), also those that wait; roughly."""
        ...


class Directory(Protocol):
    """Entra: guests and invitations. Every call may raise LaterError or RefusedError."""

    async def find(self, address: str) -> Sequence[Account]:
        """All accounts that have the address, in any of the places where Entra keeps one."""
        ...

    async def invite(self, address: str, name: str | None, *, mail: bool, language: str = "en") -> Invited:
        """Create the invitation, with Microsoft's stock mail in that language or without one."""
        ...

    async def accepted_since(self, watermark: datetime | None) -> Sequence[Accepted]:
        """Everybody who accepted since then, in one filtered, selected list; with None everybody who ever did."""
        ...

    async def guests(self) -> Sequence[Listed]:
        """Every guest account of the tenant, in one selected list."""
        ...

    async def inspect(self, sender: str | None) -> Tenant:
        """The tenant's settings that can make everything fail; what cannot be read is None."""
        ...


class Post(Protocol):
    """The sender mailbox."""

    async def send(self, mail: Mail) -> None:
        """Send one mail of our own. May raise LaterError, UnansweredError when it may have left, or RefusedError."""
        ...


class Sites(Protocol):
    """SharePoint: items, permissions, links. Every call may raise LaterError or RefusedError."""

    async def resolve(self, place: Destination, known_id: str | None) -> str | None:
        """The item's id, by the id known from earlier or by its path; None when nothing is there."""
        ...

    async def permissions(self, drive: str, item_id: str, object_id: str) -> Sequence[Permission]:
        """All entries of the item's permission list; `mine` marks the direct ones of this person."""
        ...

    async def grant(self, drive: str, item_id: str, object_id: str, role: Role) -> None:
        """Give a direct role, without mail, keeping what is inherited."""
        ...

    async def change(self, drive: str, item_id: str, permission_id: str, role: Role) -> None:
        """Change the role of a direct entry."""
        ...

    async def remove(self, drive: str, item_id: str, permission_id: str) -> None:
        """Remove an entry. It is no error when it is gone."""
        ...

    async def link(self, drive: str, item_id: str, object_ids: Sequence[str], role: Role) -> str:
        """Make our link for these people, or let them into ours that exists; return its permission id."""
        ...

    async def address(self, drive: str, item_id: str) -> str | None:
        """The item's address in a browser; None when it is not there."""
        ...


class Pacer(Protocol):
    """Hands out time slots for sharing calls below Microsoft's published budget."""

    async def delay(self, calls: int) -> timedelta:
        """Reserve that many calls and return how long to wait for them; zero means now."""
        ...


class Clock(Protocol):
    """The time, as UTC."""

    def now(self) -> datetime:
        """Now."""
        ...


@dataclass(frozen=True)
class Timing:
    """How long to wait for what.

    `lag`: how long Microsoft Entra may hide what was just written (seconds to minutes; no bound is published).
    `retry`: the first wait before something is tried again; it doubles up to `longest_retry`.
    `patience`: after that long a guest whom SharePoint does not resolve needs attention.
    `item_patience`: after that long an item that has not arrived needs attention.
    `busy`: longer than any function may run (host.json, functionTimeout).
    `look_again`: after that long access that others give is looked at again.
    `overlap`: how far each acceptance query reaches back behind the watermark, for replication.
    """

    lag: timedelta = timedelta(minutes=2)
    retry: timedelta = timedelta(seconds=30)
    longest_retry: timedelta = timedelta(hours=1)
    patience: timedelta = timedelta(hours=24)
    item_patience: timedelta = timedelta(days=30)
    busy: timedelta = timedelta(minutes=10)
    look_again: timedelta = timedelta(days=1)
    overlap: timedelta = timedelta(minutes=15)

    def wait(self, attempts: int, asked: timedelta | None = None) -> timedelta:
        """Return how long to wait before the next try; at least what the outside asked for."""
        own = min(self.retry * float(2 ** min(attempts, 20)), self.longest_retry)
        return max(own, asked or timedelta(0))


@dataclass(frozen=True)
class Ports:
    """All that a workflow can reach."""

    connections: Mapping[str, Connection]
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
    files: ShareFiles
    sources: Mapping[str, Source]
    queues: Queues
    directory: Directory
    sites: Sites
    pacer: Pacer
    clock: Clock
    account_maps: AccountMaps
    post: Post
    postage: Pacer
    timing: Timing = Timing()
    mail_rules: MailRules = field(default_factory=MailRules)
    sender: str | None = None
    public_url: str | None = None
    """Where the platforms reach this app (`https://host`); without it no subscription can be made."""
