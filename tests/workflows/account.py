"""A source account in memory that tells of its changes in a log, in a list of changed items, and when it is scanned.

It can keep silent about a change, hide an item, delete one, void its cursors, and be in trouble.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from shared.domain.addresses import digest
from shared.domain.events import Change, Item, Principal, ShareEvent, Sharer
from shared.domain.platforms import ItemKind
from shared.domain.sources import Delivery, FeedsPage, FoundFeed, Hint, Page, PermissionSet, Subscription
from shared.workflows.ports import Clock
from tests.memory import Hook, carry_on
from tests.workflows.world import ITEMS

PAGE = 2


@dataclass
class Account:
    """Implements the port Source. `log` and `changed` are what the two feeds tell; the cursor counts them."""

    clock: Clock
    connection: str = "files"
    step: Hook = carry_on
    held: dict[tuple[str, str], ShareEvent] = field(default_factory=dict)
    log: list[ShareEvent] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    hidden: set[str] = field(default_factory=set)
    void: bool = False
    trouble: list[Exception] = field(default_factory=list)
    subscriptions: dict[str, Subscription] = field(default_factory=dict)
    found: list[FoundFeed] = field(default_factory=lambda: [FoundFeed("log"), FoundFeed("changes", watches=True)])
    scans: int = 0
    polls: int = 0

    def share(self, address: str, path: str, role: str, *, tells: bool = True, sharer: str | None = None) -> None:
        """Somebody shares, or changes the role."""
        fact = self._fact(address, path, Change.GIVEN, role).model_copy(update={"sharer": Sharer(address=sharer)})
        self.held[address, path] = fact
        self._tell(fact, tells)

    def remove(self, address: str, path: str, *, tells: bool = True) -> None:
        """Somebody takes a share back."""
        del self.held[address, path]
        self._tell(self._fact(address, path, Change.LOST, None), tells)

    def _tell(self, fact: ShareEvent, tells: bool) -> None:
        if tells and fact.item is not None and fact.item.path is not None:
            self.log.append(fact)
            self.changed.append(fact.item.path)

    def _fact(self, address: str, path: str, change: Change, role: str | None) -> ShareEvent:
        at = self.clock.now()
        return ShareEvent(
            id=f"told:{digest(address, path, change, role or '', at.isoformat())}",
            connection=self.connection,
            change=change,
            at=at,
            principal=Principal(address=address),
            role=role,
            item=_item(path),
            reference=f"{path}:{address}",
        )

    def answer_handshake(self, query: Mapping[str, str]) -> str | None:
        return query.get("challenge")

    def authenticate(self, headers: Mapping[str, str], body: bytes, now: datetime) -> Delivery:
        return Delivery(digest(body.decode()), body)

    def read(self, body: bytes) -> Sequence[ShareEvent | Hint]:
        feed, _, resource = body.decode().partition("|")
        return [Hint(feed, renew=resource == "ended", resource_id=resource or None)]

    async def enrich(self, event: ShareEvent) -> Sequence[ShareEvent]:
        await self._call("enrich")
        return [event]

    async def feeds(self, cursor: str | None) -> FeedsPage:
        await self._call("feeds")
        start = int(cursor or 0)
        more = start + 1 < len(self.found)
        return FeedsPage(self.found[start : start + 1], str(start + 1) if more else None)

    async def poll(self, feed: str, cursor: str | None) -> Page:
        self.polls += 1
        await self._call("poll")
        end = len(self.log)
        if cursor is None:
            return Page(cursor=str(end))
        if self.void:
            self.void = False
            return Page(cursor=str(end), more=True, rescan=True)
        start, stop = int(cursor), min(int(cursor) + PAGE, end)
        told = self.log[start:stop] if feed == "log" else []
        seen = [self._seen(path) for path in self.changed[start:stop]] if feed == "changes" else []
        return Page(events=told, seen=seen, cursor=str(stop), more=stop < end)

    async def scan(self, cursor: str | None) -> Page:
        self.scans += 1
        await self._call("scan")
        paths = sorted({path for _, path in self.held} - self.hidden)
        left = [path for path in paths if path > (cursor or "")]
        return Page(
            seen=[self._seen(path) for path in left[:PAGE]],
            cursor=left[:PAGE][-1] if left else cursor,
            more=len(left) > PAGE,
            items=len(left[:PAGE]),
        )

    async def look(self, item: Item) -> PermissionSet | None:
        await self._call("look")
        return None if item.path is None or item.path in self.hidden else self._seen(item.path)

    async def subscribe(self, feed: str, held: Subscription | None, address: str) -> Subscription:
        await self._call("subscribe")
        now = self.clock.now()
        made = Subscription(id=f"channel {len(self.subscriptions)}", made_at=now, resource_id=f"resource of {feed}")
        self.subscriptions[made.id] = made
        return made

    async def unsubscribe(self, feed: str, subscription: Subscription) -> None:
        await self._call("unsubscribe")
        del self.subscriptions[subscription.id]

    async def _call(self, name: str) -> None:
        await self.step(f"source.{name}")
        if self.trouble:
            raise self.trouble.pop(0)

    def _seen(self, path: str) -> PermissionSet:
        at = self.clock.now().replace(microsecond=0)
        facts = [
            fact.model_copy(
                update={
                    "id": f"seen:{digest(*key, at.isoformat())}",
                    "change": Change.KEPT,
                    "at": at,
                    "sharer": Sharer(),
                }
            )
            for key, fact in sorted(self.held.items())
            if key[1] == path
        ]
        return PermissionSet(item=_item(path), at=at, facts=tuple(facts))


def _item(path: str) -> Item:
    return Item(id=ITEMS[path], kind=ItemKind.FOLDER, path=path)
