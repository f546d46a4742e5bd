"""What OneDrive and SharePoint have in common: document libraries ("drives"), read through Microsoft Graph.

Each drive is a feed. Graph's notifications say only in which drive something happened (microsoft365_door.py), the
drive's delta says to which items (microsoft365_items.py), and the items' permission lists say what
(microsoft365_permissions.py, microsoft365_facts.py).
"""

import asyncio
import re
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from shared.domain.connections import Connection
from shared.domain.events import Item, ShareEvent
from shared.domain.sources import Delivery, FeedsPage, Hint, Page, PermissionSet, Subscription
from shared.sources.microsoft365 import door as microsoft365_door
from shared.sources.microsoft365.door import FEED, Door
from shared.sources.microsoft365.facts import facts_of, look_up, read_grants
from shared.sources.microsoft365.items import DriveFacts, ItemFacts, Reading, ScanCursor, newest
from shared.sources.microsoft365.permissions import Grant, Part, Text, understood
from shared.sources.wire import Timestamp

if TYPE_CHECKING:
    from shared.sources.microsoft365.api import Microsoft365Api

_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)
_LOOPBACK = ("127.0.0.1", "localhost")
_LIFETIME = timedelta(days=3)  # Microsoft allows 42,300 minutes; one that is lost unnoticed is missed for less time
_ITEMS_AT_ONCE = 20  # two calls for each
_MOST_LEFT = 500  # ids that a cursor holds


class _Subscription(Part):
    id: Text
    expiration_date_time: Timestamp | None = None


@dataclass(frozen=True)
class _Step:
    """What one step through a drive's delta has found; `reading` is where the next one begins.

    `lost`: Graph voided the token and does not say where to begin anew.
    """

    reading: Reading
    seen: Sequence[PermissionSet] = ()
    items: int = 0
    lost: bool = False

    @property
    def is_last(self) -> bool:
        return self.reading.ended and not self.reading.left


class Microsoft365Source(ABC):
    """One tenant's drives: implements the port Source. Subclasses say which drives, and how their paths begin."""

    def __init__(self, connection: Connection, secrets: Mapping[str, str]) -> None:
        """`secrets`: tenant_id, client_id, client_secret, channel_secret; optional: previous_channel_secret, and
        api_url and login_url when they are not Microsoft's public ones.

        Raises ValueError when one is missing or unusable.
        """
        for name in ("client_id", "client_secret"):
            if not secrets.get(name):
                raise ValueError(f"The secret {name!r} of connection {connection.id!r} is missing.")
        if not _GUID.fullmatch(secrets.get("tenant_id", "")):
            raise ValueError(
                f"The secret 'tenant_id' of connection {connection.id!r} is missing or not a GUID. Copy the directory "
                "(tenant) ID from the app's page in the Microsoft Entra admin center."
            )
        for name in {"api_url", "login_url"} & secrets.keys():
            address = urlsplit(secrets[name])
            if not address.netloc or (address.scheme != "https" and address.hostname not in _LOOPBACK):
                raise ValueError(f"The secret {name!r} of connection {connection.id!r} is not an https address.")
        self._connection, self._secrets = connection, secrets
        self._door = Door(connection, secrets)

    def answer_handshake(self, query: Mapping[str, str]) -> str | None:
        """Return Graph's validation token, which it sends while a subscription is made. Raises RejectedError."""
        return microsoft365_door.answer_handshake(query)

    def authenticate(self, headers: Mapping[str, str], body: bytes, now: datetime) -> Delivery:  # noqa: ARG002
        """Keep the notifications of the body that are ours. Raises RejectedError when there is none."""
        return self._door.authenticate(body, now)

    def read(self, body: bytes) -> Sequence[ShareEvent | Hint]:
        """Read a delivery into hints. Raises UnreadableError."""
        return microsoft365_door.read(body)

    async def enrich(self, event: ShareEvent) -> Sequence[ShareEvent]:
        """Return the event: what is read off a permission list is complete."""
        return [event]

    @abstractmethod
    async def feeds(self, cursor: str | None) -> FeedsPage:
        """List the drives, page by page."""

    @abstractmethod
    async def start_of_paths(self, drive: DriveFacts) -> str | None:
        """Return the path of the drive's root; None when it is not known for certain."""

    async def poll(self, feed: str, cursor: str | None) -> Page:
        """Read the permissions of what changed in a drive since the cursor.

        For a void token Graph says where to begin anew, and from there lists everything; only when it does not say
        that, a scan is needed.
        """
        drive = drive_of(feed)
        if cursor is None:
            return Page(cursor=await self._now(drive))
        step = await self._step(drive, Reading.of(cursor))
        if step.lost:
            return Page(cursor=await self._now(drive), more=True, rescan=True)
        return Page(seen=step.seen, cursor=step.reading.text, more=not step.is_last, items=step.items)

    async def scan(self, cursor: str | None) -> Page:
        """Read the permissions of everything that is shared, drive by drive. A locked drive is left out."""
        at = ScanCursor.of(cursor)
        if not at.drives:
            found = await self.feeds(at.feeds)
            at = ScanCursor(feeds=found.cursor, drives=tuple(drive_of(feed.name) for feed in found.feeds))
        step = _Step(Reading())
        if at.drives:
            step = await self._step(at.drives[0], at.reading, scans=True)
            if step.is_last:
                at = ScanCursor(feeds=at.feeds, drives=at.drives[1:])
            else:
                at = at.model_copy(update={"reading": step.reading})
        more = bool(at.drives) or at.feeds is not None
        return Page(seen=step.seen, cursor=at.text if more else None, more=more, items=step.items)

    async def look(self, item: Item) -> PermissionSet | None:
        """Read one item's permissions; None when Graph does not show it, an empty set when it is not in the drive."""
        began = _now()
        drive, _, ident = item.id.rpartition(":")
        shown = await self.api.shown(drive, ident)
        if isinstance(shown, bool):
            return None if shown else PermissionSet(item=item, at=began)
        told = understood(ItemFacts, shown)
        if told.deleted is not None:
            return PermissionSet(item=item, at=began)
        sets = await self._read(drive, [told], began)
        return sets[0] if sets else None

    async def subscribe(self, feed: str, held: Subscription | None, address: str) -> Subscription:
        """Renew the drive's subscription, or make one.

        While the channel secret is being replaced one is always made: a subscription keeps its first clientState.
        """
        now = _now()
        ends = {"expirationDateTime": (now + _LIFETIME).strftime("%Y-%m-%dT%H:%M:%SZ")}
        if held is not None and "previous_channel_secret" not in self._secrets:
            renewed = await self.api.renew(held.id, ends)
            if renewed is not None:
                return _subscription(renewed, now)
        drive = drive_of(feed)
        made = await self.api.subscribe(
            {
                "changeType": "updated",
                "resource": f"/drives/{drive}/root",
                "notificationUrl": address,
                "lifecycleNotificationUrl": address,
                "clientState": self._door.client_state(drive),
                **ends,
            }
        )
        return _subscription(made, now)

    async def unsubscribe(self, feed: str, subscription: Subscription) -> None:  # noqa: ARG002
        """End a subscription that another one has replaced."""
        await self.api.unsubscribe(subscription.id)

    @cached_property
    def api(self) -> "Microsoft365Api":
        """The calls, loaded when first needed."""
        from shared.sources.microsoft365.api import Microsoft365Api

        return Microsoft365Api(self._secrets)

    async def _now(self, drive: str) -> str:
        return Reading(link=await self.api.now(drive)).text

    async def _step(self, drive: str, at: Reading, *, scans: bool = False) -> _Step:
        """Read the items that an earlier step has left, else the next page of the delta and its first items."""
        began = _now()
        left, items, deleted = list(at.left), 0, list[PermissionSet]()
        if not left:
            page = await self.api.changes(drive, at.link, skip_locked=scans)
            if page.void:
                return _Step(Reading(link=page.link, lists_all=True), lost=page.link is None)
            rows = newest(page.items)
            items = len(rows)
            deleted = [PermissionSet(item=row.item(drive), at=began) for row in rows if row.deleted is not None]
            left = [row.id for row in rows if row.may_be_shared(lists_all=at.lists_all)]
            at = Reading(link=page.link, ended=page.ended, lists_all=at.lists_all and not page.ended)
        count = max(_ITEMS_AT_ONCE, len(left) - _MOST_LEFT)
        shown = await each(self.api.item(drive, ident) for ident in left[:count])
        seen = await self._read(drive, [understood(ItemFacts, one) for one in shown if one is not None], began)
        return _Step(at.model_copy(update={"left": tuple(left[count:])}), [*deleted, *seen], items)

    async def _read(self, drive: str, items: Sequence[ItemFacts], at: datetime) -> list[PermissionSet]:
        """Read the permission lists of items. One that is gone by now will be told as deleted.

        What is inherited is a fact of where it was given; what a library inherits from its site was given above
        everything that we see, so it is a fact of the library.
        """
        items = [item for item in items if item.is_here]
        lists = await each(self.api.permissions(drive, item.id) for item in items)
        given = [
            (item, [grant for grant in read_grants(entries) if item.root is not None or not grant.inherited])
            for item, entries in zip(items, lists, strict=True)
            if entries is not None
        ]
        given = await self._without_site_groups(drive, given)
        all_grants = [grant for _, grants in given for grant in grants]
        directory = await look_up(self.api, self._connection, all_grants)
        start = await self.start_of_paths(understood(DriveFacts, await self.api.drive(drive))) if all_grants else None
        return [
            PermissionSet(item=item, at=at, facts=facts_of(self._connection, item, at, grants, directory))
            for item, grants in ((told.item(drive, start), grants) for told, grants in given)
        ]

    async def _without_site_groups(
        self, drive: str, given: Sequence[tuple[ItemFacts, list[Grant]]]
    ) -> list[tuple[ItemFacts, list[Grant]]]:
        """Leave out, beneath the root, the groups that the whole site has.

        The first share of an item copies them onto it, so that they look as if the item had been shared with them.
        """
        if all(item.root is not None or not any(grant.site_groups for grant in grants) for item, grants in given):
            return list(given)
        root = read_grants(await self.api.permissions(drive, "root") or ())
        known = frozenset(name for grant in root for name in grant.site_groups)
        return [
            (item, grants if item.root is not None else [grant.without(known) for grant in grants])
            for item, grants in given
        ]


def drive_of(feed: str) -> str:
    """Return the drive that a feed is."""
    return feed.removeprefix(FEED)


async def each[Result](calls: Iterable[Coroutine[Any, Any, Result]]) -> list[Result]:
    """Wait for all calls; the first trouble of one ends the others and is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(call) for call in calls]
    except ExceptionGroup as troubles:
        raise troubles.exceptions[0] from None
    return [task.result() for task in tasks]


def _subscription(answer: Mapping[str, Any], now: datetime) -> Subscription:
    told = understood(_Subscription, answer)
    return Subscription(id=told.id, made_at=now, expires_at=told.expiration_date_time or now + _LIFETIME)


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)
