"""The ports in memory: simple and obviously right. What they do is what tests/storage/test_contract.py asks of both.

Every operation first awaits its hook with its name (`ledger.commit`), so that a simulation can stop it or let another
one go first; it takes effect at once after that. Values are kept as JSON text, so that no two hands hold one object.
"""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from shared.domain.addresses import InvalidAddressError, normalise
from shared.domain.batches import Batch
from shared.domain.connections import Destination
from shared.domain.events import Change, Item, Principal, ShareEvent
from shared.domain.feeds import Feed
from shared.domain.grants import Grant, Scope
from shared.domain.guests import Guest
from shared.domain.ledger import Book, Changes
from shared.domain.maps import Mapped
from shared.domain.messages import ListEntry, Message, Outbox, Queue, Record
from shared.domain.reasons import Reason
from shared.domain.shares import Share
from shared.domain.trouble import ConflictError
from shared.domain.value import Value
from shared.storage.envelope import decode, encode
from shared.storage.rows import newest_first, oldest_first
from shared.workflows.ports import Clock

type Hook = Callable[[str], Awaitable[None]]


async def carry_on(name: str) -> None:
    """The hook that does nothing."""


class Port:
    """What the ports in memory have in common: the hook."""

    def __init__(self, step: Hook = carry_on) -> None:
        """Await `step` with the operation's name before each operation takes effect."""
        self.step = step


@dataclass
class Partition:
    """The rows of one guest, as JSON."""

    version: int
    guest: str
    shares: dict[str, str] = field(default_factory=dict)
    grants: dict[str, str] = field(default_factory=dict)
    outbox: dict[str, str] = field(default_factory=dict)


class MemoryLedger(Port):
    """The ledger; the version counts the commits of a partition."""

    def __init__(self, step: Hook = carry_on) -> None:
        """Begin empty."""
        super().__init__(step)
        self.partitions: dict[str, Partition] = {}

    async def read(self, key: str, shares: Iterable[str] | None) -> Book:
        """Read a partition."""
        await self.step("ledger.read")
        rows = self.partitions.get(key)
        if rows is None:
            return Book(guest=Guest(key=key))
        names = rows.shares if shares is None else [name for name in shares if name in rows.shares]
        grants = rows.grants if shares is None else {}
        return Book(
            guest=Guest.model_validate_json(rows.guest),
            shares={name: Share.model_validate_json(rows.shares[name]) for name in names},
            grants={name: Grant.model_validate_json(text) for name, text in grants.items()},
            outbox=[Outbox.model_validate_json(text) for _, text in sorted(rows.outbox.items())],
            version=str(rows.version),
        )

    async def glance(self, key: str, shares: int) -> Book:
        """Read the guest and some of the shares."""
        names = sorted(self.partitions[key].shares)[:shares] if key in self.partitions else []
        return await self.read(key, names)

    async def commit(self, book: Book, changes: Changes) -> None:
        """Write all or nothing."""
        await self.step("ledger.commit")
        if 1 + len(changes.shares) + len(changes.grants) + (changes.outbox is not None) > 100:
            raise ValueError("a transaction holds 100 rows")
        rows = self.partitions.get(book.guest.key)
        if book.version != (None if rows is None else str(rows.version)):
            raise ConflictError
        guest = changes.guest.model_dump_json()
        if rows is None:
            rows = self.partitions[book.guest.key] = Partition(0, guest)
        rows.version, rows.guest = rows.version + 1, guest
        for kept, changed in ((rows.shares, changes.shares), (rows.grants, changes.grants)):
            for name, value in changed.items():
                kept.pop(name, None)
                if value is not None:
                    kept[name] = value.model_dump_json()
        if changes.outbox is not None:
            rows.outbox[changes.outbox.id] = changes.outbox.model_dump_json()

    async def clear(self, key: str, outbox: str) -> None:
        """Forget effects that were carried out."""
        await self.step("ledger.clear")
        if key in self.partitions:
            self.partitions[key].outbox.pop(outbox, None)

    async def keys(self, after: str) -> AsyncIterator[str]:
        """The partitions after that one."""
        await self.step("ledger.keys")
        for key in sorted(self.partitions):
            if key > after:
                yield key


class MemoryHistory(Port):
    """The history."""

    def __init__(self, step: Hook = carry_on) -> None:
        """Begin empty."""
        super().__init__(step)
        self.records: dict[tuple[str, datetime, str], str] = {}

    async def append(self, record: Record) -> None:
        """Write an entry."""
        await self.step("history.append")
        self.records.setdefault((record.partition, record.at, record.id), record.model_dump_json())

    async def read(self, partition: str) -> AsyncIterator[Record]:
        """The entries of a partition, newest first."""
        await self.step("history.read")
        records = [Record.model_validate_json(text) for text in self.records.values()]
        mine = [record for record in records if record.partition == partition]
        for record in sorted(mine, key=lambda r: (_MUCH_LATER - r.at, r.id)):
            yield record


_MUCH_LATER = datetime.max.replace(tzinfo=UTC)


class MemoryWorklist(Port):
    """The worklist: a row is known by list, time and key; in `account` and the lists for searching by key alone."""

    def __init__(self, step: Hook = carry_on) -> None:
        """Begin empty."""
        super().__init__(step)
        self.rows: dict[tuple[str, datetime | None, str], str] = {}

    async def put(self, *entries: ListEntry) -> None:
        """Take rows out, then write rows."""
        if entries:
            await self.step("worklist.put")
        for entry in sorted(entries, key=lambda entry: entry.present):
            row = (entry.list, None if _by_key(entry.list) else entry.at, entry.key)
            if entry.present:
                self.rows[row] = entry.model_dump_json()
            else:
                self.rows.pop(row, None)

    async def read(self, name: str, *, until: datetime | None = None) -> AsyncIterator[ListEntry]:
        """The rows of a list: newest first, `expiring` and `inviting` oldest first, some by key."""
        await self.step("worklist.read")
        for entry in self._sorted(name):
            if until is None or entry.at <= until:
                yield entry

    def _sorted(self, name: str) -> list[ListEntry]:
        entries = [ListEntry.model_validate_json(text) for row, text in self.rows.items() if row[0] == name]
        entries.sort(key=lambda entry: entry.key)
        if not _by_key(name):
            entries.sort(key=lambda entry: entry.at, reverse=name not in ("expiring", "inviting"))
        return entries

    async def page(self, name: str, limit: int, after: str) -> tuple[Sequence[ListEntry], str | None]:
        """A page; the place is the order of the last row."""
        await self.step("worklist.page")
        rest = [(place, entry) for entry in self._sorted(name) if (place := _place(entry)) > after]
        return [entry for _, entry in rest[:limit]], rest[limit - 1][0] if len(rest) > limit else None

    async def count(self, name: str, limit: int) -> int:
        """Count rows."""
        await self.step("worklist.count")
        return min(limit, len(self._sorted(name)))

    async def starting(self, name: str, beginning: str, limit: int) -> Sequence[ListEntry]:
        """The first rows whose key begins like that."""
        await self.step("worklist.starting")
        return [entry for entry in self._sorted(name) if entry.key.startswith(beginning)][:limit]

    async def find(self, name: str, key: str) -> ListEntry | None:
        """One row of a list that is kept by key alone."""
        await self.step("worklist.find")
        text = self.rows.get((name, None, key))
        return ListEntry.model_validate_json(text) if text is not None else None


def _place(entry: ListEntry) -> str:
    if _by_key(entry.list):
        return entry.key
    order = oldest_first if entry.list in ("expiring", "inviting") else newest_first
    return f"{order(entry.at)}-{entry.key}"


def _by_key(name: str) -> bool:
    return name.startswith(("account", "search-"))


class MemoryScopes(Port):
    """The scopes; the version counts the writes."""

    def __init__(self, step: Hook = carry_on) -> None:
        """Begin empty."""
        super().__init__(step)
        self.rows: dict[tuple[str, str], tuple[str, int]] = {}

    async def get(self, drive: str, item_id: str) -> tuple[Scope | None, str | None]:
        """One scope and its version."""
        await self.step("scopes.get")
        if (drive, item_id) not in self.rows:
            return None, None
        text, version = self.rows[drive, item_id]
        return Scope.model_validate_json(text), str(version)

    async def put(self, scope: Scope, version: str | None) -> None:
        """Write it if it is still at that version."""
        await self.step("scopes.put")
        _, current = self.rows.get((scope.place.drive, scope.item_id), ("", 0))
        if version != (str(current) if current else None):
            raise ConflictError
        self.rows[scope.place.drive, scope.item_id] = scope.model_dump_json(), current + 1

    async def beneath(self, place: Destination) -> Sequence[Scope]:
        """The scopes beneath a place, without the place itself."""
        await self.step("scopes.beneath")
        scopes = [Scope.model_validate_json(text) for _, (text, _) in sorted(self.rows.items())]
        return [scope for scope in scopes if place.covers(scope.place) and not scope.place.covers(place)]


class MemoryMarks(Port):
    """The marks."""

    def __init__(self, step: Hook = carry_on) -> None:
        """Begin empty."""
        super().__init__(step)
        self.values: dict[str, str] = {}

    async def get(self, name: str) -> str | None:
        """A mark's value."""
        await self.step("marks.get")
        return self.values.get(name)

    async def set(self, name: str, value: str) -> None:
        """Set a mark."""
        await self.step("marks.set")
        self.values[name] = value


class MemoryReferences(Port):
    """The references; a person is known by the mailbox, else by the source's id."""

    def __init__(self, step: Hook = carry_on) -> None:
        """Begin empty."""
        super().__init__(step)
        self.people: dict[tuple[str, str], dict[str, tuple[str, str | None]]] = {}
        self.ended: dict[tuple[str, str], datetime] = {}

    async def remember(self, connection: str, reference: str, principal: Principal, item: Item | None) -> None:
        """Note that this permission concerned this person and item; a known item is not forgotten for None."""
        await self.step("references.remember")
        try:
            who = f"mailbox {normalise(principal.address or '')}"
        except InvalidAddressError:
            who = f"{principal.kind} {principal.source_id or principal.address or ''}"
        people = self.people.setdefault((connection, reference), {})
        _, known = people.get(who, ("", None))
        people[who] = principal.model_dump_json(), item.model_dump_json() if item else known

    async def end(self, connection: str, reference: str, at: datetime) -> None:
        """Note that this permission was taken back at that time; the latest note stays."""
        await self.step("references.end")
        self.ended[connection, reference] = max(at, self.ended.get((connection, reference), at))

    async def recall(
        self, connection: str, reference: str
    ) -> tuple[Sequence[tuple[Principal, Item | None]], datetime | None]:
        """Everybody noted, with the item as last known, and when it ended."""
        await self.step("references.recall")
        people = [
            (Principal.model_validate_json(principal), Item.model_validate_json(item) if item else None)
            for principal, item in self.people.get((connection, reference), {}).values()
        ]
        return people, self.ended.get((connection, reference))


class MemoryAccountMaps(Port):
    """The account maps; the version counts the writes."""

    def __init__(self, step: Hook = carry_on) -> None:
        """Begin empty."""
        super().__init__(step)
        self.rows: dict[tuple[str, str], tuple[str, int]] = {}

    async def find(self, connection: str, source: str) -> Mapped | None:
        """One entry."""
        await self.step("maps.find")
        return self._read((connection, source))

    def _read(self, row: tuple[str, str]) -> Mapped | None:
        if row not in self.rows:
            return None
        text, version = self.rows[row]
        return Mapped.model_validate_json(text).model_copy(update={"version": str(version)})

    async def read(self, connection: str) -> AsyncIterator[Mapped]:
        """All entries of a connection."""
        await self.step("maps.read")
        for row in sorted(self.rows):
            if row[0] == connection and (entry := self._read(row)):
                yield entry

    async def moving(self) -> AsyncIterator[Mapped]:
        """The entries whose people are being moved."""
        await self.step("maps.moving")
        for row in sorted(self.rows):
            if (entry := self._read(row)) and entry.moving_from:
                yield entry

    async def put(self, entry: Mapped) -> None:
        """Write an entry if it is still at its version."""
        await self.step("maps.put")
        row = (entry.connection, entry.source)
        known = self._read(row)
        if entry.version != (known.version if known else None):
            raise ConflictError
        self.rows[row] = entry.model_dump_json(exclude={"version"}), int(entry.version or 0) + 1


class MemoryPermissions(Port):
    """What was seen of the items at the sources."""

    def __init__(self, step: Hook = carry_on) -> None:
        """Begin empty."""
        super().__init__(step)
        self.facts: dict[tuple[str, str], dict[str, str]] = {}
        self.items: dict[str, dict[str, tuple[str, datetime | None]]] = {}

    async def known(self, connection: str, item_id: str) -> Mapping[str, ShareEvent]:
        """What is known of an item."""
        await self.step("permissions.known")
        facts = self.facts.get((connection, item_id), {})
        return {permission: ShareEvent.model_validate_json(fact) for permission, fact in facts.items()}

    async def note(self, fact: ShareEvent) -> None:
        """Keep a fact if it is the newest about its permission; a loss takes the permission out."""
        await self.step("permissions.note")
        assert fact.item is not None
        facts = self.facts.setdefault((fact.connection, fact.item.id), {})
        known = facts.get(fact.permission)
        if known is None or fact.outranks(ShareEvent.model_validate_json(known)):
            facts[fact.permission] = fact.model_dump_json()
            if fact.change is Change.LOST:
                del facts[fact.permission]
        if fact.change is not Change.LOST:
            self._touch(fact.connection, fact.item, None)

    async def mark_read(self, connection: str, item: Item, at: datetime) -> None:
        """Note that an item was read."""
        await self.step("permissions.mark_read")
        self._touch(connection, item, at)

    def _touch(self, connection: str, item: Item, at: datetime | None) -> None:
        items = self.items.setdefault(connection, {})
        _, read_at = items.get(item.id, ("", None))
        items[item.id] = item.model_dump_json(), at or read_at

    async def unread_since(self, connection: str, at: datetime, after: str) -> AsyncIterator[tuple[str, Item]]:
        """The items that were not read since then."""
        await self.step("permissions.unread_since")
        for name, (item, read_at) in sorted(self.items.get(connection, {}).items()):
            if name > after and (read_at is None or read_at < at):
                yield name, Item.model_validate_json(item)

    async def forget(self, connection: str, item_id: str) -> None:
        """Forget an item of which nothing is known."""
        await self.step("permissions.forget")
        if not self.facts.get((connection, item_id)):
            self.items.get(connection, {}).pop(item_id, None)


class MemoryRows[T: Value](Port):
    """Rows with a version each."""

    def __init__(self, model: type[T], step: Hook = carry_on) -> None:
        """Begin empty."""
        super().__init__(step)
        self._model = model
        self.rows: dict[tuple[str, ...], tuple[str, int]] = {}

    async def load(self, *key: str) -> tuple[T | None, str | None]:
        """One row and its version."""
        if key not in self.rows:
            return None, None
        text, version = self.rows[key]
        return self._model.model_validate_json(text), str(version)

    def swap(self, value: T, version: str | None, *key: str) -> None:
        """Write a row at that version. Raises ConflictError."""
        _, now = self.rows.get(key, ("", None))
        if version != (None if now is None else str(now)):
            raise ConflictError("the row was changed by somebody else")
        self.rows[key] = value.model_dump_json(), (now or 0) + 1


class MemoryFeeds(MemoryRows[Feed]):
    """The feeds."""

    def __init__(self, step: Hook = carry_on) -> None:
        """Begin empty."""
        super().__init__(Feed, step)

    async def get(self, connection: str, name: str) -> tuple[Feed | None, str | None]:
        """One feed and its version."""
        await self.step("feeds.get")
        return await self.load(connection, name)

    async def put(self, feed: Feed, version: str | None) -> None:
        """Write a feed."""
        await self.step("feeds.put")
        self.swap(feed, version, feed.connection, feed.name)

    async def remove(self, connection: str, name: str) -> None:
        """Forget a feed."""
        await self.step("feeds.remove")
        self.rows.pop((connection, name), None)

    async def read(self, connection: str) -> AsyncIterator[Feed]:
        """All feeds of a connection."""
        await self.step("feeds.read")
        for key in sorted(key for key in self.rows if key[0] == connection):
            if (feed := (await self.load(*key))[0]) is not None:
                yield feed


class MemoryBatches(MemoryRows[Batch]):
    """The batches and their outcomes."""

    def __init__(self, step: Hook = carry_on) -> None:
        """Begin empty."""
        super().__init__(Batch, step)
        self.noted: dict[str, dict[str, Reason]] = {}

    async def get(self, ident: str) -> tuple[Batch | None, str | None]:
        """One batch and its version."""
        await self.step("batches.get")
        return await self.load(ident)

    async def put(self, batch: Batch, version: str | None) -> None:
        """Write a batch."""
        await self.step("batches.put")
        self.swap(batch, version, batch.id)

    async def read(self) -> AsyncIterator[Batch]:
        """All batches, newest first."""
        await self.step("batches.read")
        for key in sorted(self.rows, reverse=True):
            if (batch := (await self.load(*key))[0]) is not None:
                yield batch

    async def note(self, ident: str, event: str, outcome: Reason) -> None:
        """Note what came of an event."""
        await self.step("batches.note")
        self.noted.setdefault(ident, {})[event] = outcome

    async def outcomes(self, ident: str) -> Mapping[Reason, int]:
        """How many events came to what."""
        await self.step("batches.outcomes")
        return Counter(self.noted.get(ident, {}).values())


class MemoryBodies(Port):
    """The bodies."""

    def __init__(self, step: Hook = carry_on) -> None:
        """Begin empty."""
        super().__init__(step)
        self.bodies: dict[str, bytes] = {}

    async def put(self, name: str, body: bytes) -> None:
        """Store a body."""
        await self.step("bodies.put")
        self.bodies[name] = body

    async def get(self, name: str) -> bytes | None:
        """Read a body."""
        await self.step("bodies.get")
        return self.bodies.get(name)

    async def part(self, name: str, start: int, length: int) -> bytes | None:
        """Read a part of a body."""
        await self.step("bodies.part")
        body = self.bodies.get(name)
        return None if body is None else body[start : start + length]

    async def delete(self, name: str) -> None:
        """Delete a body."""
        await self.step("bodies.delete")
        self.bodies.pop(name, None)


class MemoryClock:
    """A clock that somebody else winds."""

    def __init__(self, at: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        """Begin at that time."""
        self.at = at

    def now(self) -> datetime:
        """Now."""
        return self.at

    def advance(self, by: timedelta) -> None:
        """Let time pass."""
        self.at += by


@dataclass(frozen=True)
class Waiting:
    """A message on a queue: its text as on the wire, and when it becomes visible."""

    queue: Queue
    text: str
    visible_at: datetime

    @property
    def body(self) -> Message:
        """The message."""
        return decode(self.text)[0]

    @property
    def attempt(self) -> int:
        """How often it was put off."""
        return decode(self.text)[1]


class MemoryQueues(Port):
    """The queues: one list of waiting messages, in the order of sending. Whoever receives takes them out."""

    def __init__(self, clock: Clock, step: Hook = carry_on) -> None:
        """Begin empty."""
        super().__init__(step)
        self.clock = clock
        self.waiting: list[Waiting] = []

    async def send(
        self,
        queue: Queue,
        body: Message,
        *,
        delay: timedelta = timedelta(0),
        attempt: int = 0,
    ) -> None:
        """Send a message that becomes visible after `delay`, at most seven days."""
        await self.step("queues.send")
        visible_at = self.clock.now() + max(timedelta(0), min(delay, timedelta(days=7)))
        self.waiting.append(Waiting(queue, encode(body, attempt), visible_at))

    async def depths(self) -> Mapping[str, int]:
        """Count the messages; nothing fails for good here."""
        await self.step("queues.depths")
        waiting = Counter(one.queue for one in self.waiting)
        return {name: count for q in Queue for name, count in ((q.value, waiting[q]), (f"{q}-poison", 0))}


class MemoryPacer(Port):
    """Remembers every slot: a call waits until the one `limit` calls before it has left the period."""

    def __init__(self, limit: int, period: timedelta, clock: Clock, step: Hook = carry_on) -> None:
        """Begin with nothing reserved."""
        super().__init__(step)
        self.limit, self.period, self.clock = limit, period, clock
        self.slots: list[datetime] = []

    async def delay(self, calls: int) -> timedelta:
        """Reserve that many calls and return how long to wait for them."""
        await self.step("pacer.delay")
        if not 1 <= calls <= self.limit:
            raise ValueError(f"between 1 and {self.limit} calls can be reserved at once")
        now = self.clock.now()
        slot = max([now, *self.slots[-1:]])
        if len(self.slots) + calls > self.limit:
            slot = max(slot, self.slots[len(self.slots) + calls - self.limit - 1] + self.period)
        self.slots += [slot] * calls
        return slot - now
