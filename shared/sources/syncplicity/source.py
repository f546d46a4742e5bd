"""Syncplicity: the company's event feed is polled, and what it hints at is asked for.

There are no webhooks. An event names the syncpoint (a folder that is synchronised and may be shared) and nothing of
who was given what: it only says where to look. Links are in no event that is known; the scan finds them.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import AwareDatetime

from shared.domain.addresses import InvalidAddressError, digest, normalise
from shared.domain.connections import Connection
from shared.domain.events import Item, Principal, PrincipalKind, ShareEvent, Sharer
from shared.domain.platforms import ItemKind
from shared.domain.reasons import Reason
from shared.domain.sources import Delivery, FeedsPage, FoundFeed, Hint, Page, PermissionSet, Subscription
from shared.domain.trouble import RefusedError, RejectedError, UnreadableError
from shared.domain.value import Value
from shared.sources.syncplicity.parts import (
    FOLDER_ID,
    IS_GUID,
    LINK_ID,
    Event,
    Folder,
    Group,
    Holding,
    Link,
    User,
    folder_id,
    folders,
)

if TYPE_CHECKING:
    from shared.sources.syncplicity.api import SyncplicityApi

FEED = "events"

# One step does some 60 calls, of the 180 a minute that Syncplicity allows, and holds some 200 items.
_PAGES, _EVENTS, _OLD_EVENTS = 20, 20, 100
_USERS, _ITEMS, _ITEMS_PER_CALL = 20, 200, 10
_SKEW = timedelta(minutes=10)

_SECRETS = ("app_key", "app_secret", "application_token", "company_id")
_DELETED, _RESTORED = 18, 9  # VirtualFolderDeleted, VirtualFolderRestored in the older feed's list of types

_NEEDS_PRIVILEGE = (
    "The user of the application token needs the privilege 'Access content on behalf of managed users through API'; "
    "another administrator has to give it."
)


class _FeedPosition(Value):
    """How far the feed was read. `since`: what happened before is passed over."""

    next: str | None = None
    since: AwareDatetime | None = None


class _ScanPosition(Value):
    """Behind which user the scan goes on, and behind which item when it stopped `within` a user's.

    `shown`: some user was seen to have a folder.
    """

    after: str | None = None
    within: str | None = None
    item: str | None = None
    shown: bool = False


@dataclass
class _Told:
    """What a page of events tells of one syncpoint: in whose name it may be read, and whether it was deleted."""

    owner: str | None = None
    actor: str | None = None
    deleted: bool = False


class SyncplicitySource:
    """One company at Syncplicity: implements the port Source."""

    def __init__(self, connection: Connection, secrets: Mapping[str, str]) -> None:
        """`secrets`: app_key, app_secret, application_token, company_id; optional: api_url.

        Raises ValueError when one is missing or cannot be one of Syncplicity's.
        """
        for name in _SECRETS:
            if not re.fullmatch(r"[\x21-\x7e]+", secrets.get(name, "")):
                raise ValueError(
                    f"The secret {name!r} of connection {connection.id!r} is missing or has characters that it cannot "
                    "have. Copy it from Syncplicity's Developer Portal or from the account page."
                )
        if api_url := secrets.get("api_url"):
            url = urlsplit(api_url)
            if not url.hostname or (url.scheme != "https" and url.hostname not in ("127.0.0.1", "localhost")):
                raise ValueError(f"The secret 'api_url' of connection {connection.id!r} must begin with 'https://'.")
        self._connection, self._secrets = connection, secrets

    def answer_handshake(self, query: Mapping[str, str]) -> str | None:  # noqa: ARG002
        """Answer nothing: Syncplicity does not ask."""
        return None

    def authenticate(self, headers: Mapping[str, str], body: bytes, now: datetime) -> Delivery:  # noqa: ARG002
        """Raise RejectedError: whatever comes, Syncplicity did not send it."""
        raise RejectedError(404, "no-webhooks", "Syncplicity sends no webhooks; nothing is received here.")

    def read(self, body: bytes) -> Sequence[ShareEvent | Hint]:  # noqa: ARG002
        """Raise UnreadableError: there are no deliveries."""
        raise UnreadableError("Syncplicity sends no webhooks.")

    async def enrich(self, event: ShareEvent) -> Sequence[ShareEvent]:
        """Return the event: what is read here is complete."""
        return [event]

    async def subscribe(self, feed: str, held: Subscription | None, address: str) -> Subscription:  # noqa: ARG002
        """Refuse: there is nothing to subscribe to."""
        raise RefusedError(Reason.SOURCE_REFUSED, "Syncplicity sends no webhooks; its feed is polled.")

    async def unsubscribe(self, feed: str, subscription: Subscription) -> None:  # noqa: ARG002
        """Refuse: there are no subscriptions."""
        raise RefusedError(Reason.SOURCE_REFUSED, "Syncplicity sends no webhooks; its feed is polled.")

    async def feeds(self, cursor: str | None) -> FeedsPage:  # noqa: ARG002
        """List the company's only feed."""
        return FeedsPage([FoundFeed(FEED)])

    async def poll(self, feed: str, cursor: str | None) -> Page:  # noqa: ARG002
        """Read the folders of which the feed tells something new, as they are now."""
        if cursor is None:
            return Page(cursor=_start())
        position = _FeedPosition.model_validate_json(cursor)
        return await (self._pass_over(position, position.since) if position.since else self._read_news(position))

    async def scan(self, cursor: str | None) -> Page:
        """Read the folders and links of the company's users, user by user: a folder in its owner's name only."""
        position = _ScanPosition.model_validate_json(cursor) if cursor else _ScanPosition()
        users = [user.id for user in await self._api.company_users(position.after, _USERS) if user.id]
        if position.after in users:  # the service takes no notice of where to begin and lists all of them
            users = users[users.index(position.after) + 1 :]
        if not users:
            if position.after and not position.shown:
                raise RefusedError(Reason.SOURCE_REFUSED, f"Nobody was seen to have a folder. {_NEEDS_PRIVILEGE}")
            return Page()
        seen: list[PermissionSet] = []
        room = _ITEMS
        for user in users[:_USERS]:
            if holding := await self._holding(user):
                for item in holding.behind(position.item if position.within == user else None):
                    room -= min(1 + _ITEMS_PER_CALL * holding.calls(item), _ITEMS)
                    if room < 0:
                        return Page(seen=seen, cursor=position.model_dump_json(), more=True, items=len(seen))
                    link = (holding.links or {}).get(item)
                    read = self._of_link(holding, link) if link else self._of_folder(holding, holding.own[item])
                    seen += [permissions] if (permissions := await read) else []
                    position = position.model_copy(update={"within": user, "item": item})
            position = _ScanPosition(after=user, shown=position.shown or bool(holding and holding.own))
        return Page(seen=seen, cursor=position.model_dump_json(), more=True, items=len(seen))

    async def look(self, item: Item) -> PermissionSet | None:
        """Read one folder or link. A link that is not on its maker's list is gone; a folder may have another owner."""
        if link := LINK_ID.fullmatch(item.id):
            holding = await self._holding(link[1])
            if holding is None or holding.links is None:
                return None
            shown = holding.links.get(item.id)
            return await self._of_link(holding, shown) if shown else PermissionSet(item=item, at=holding.at)
        folder, address = FOLDER_ID.fullmatch(item.id), (item.path or "").partition("/")[2].partition("/")[0]
        owner = await self._api.user(address) if folder and address else None
        if folder is None or owner is None or owner.id is None:
            return None
        number = int(folder[1])
        return (await self._find({owner.id: {number}})).get(number)

    @cached_property
    def _api(self) -> "SyncplicityApi":
        from shared.sources.syncplicity.api import SyncplicityApi

        return SyncplicityApi(self._secrets)

    # --- the feed

    async def _pass_over(self, position: _FeedPosition, since: datetime) -> Page:
        """Go on in what happened before `since`: the feed begins with the company's first event.

        The page on which something newer comes is read again, as news.
        """
        for _ in range(_PAGES):
            page = await self._api.events(position.next, _OLD_EVENTS)
            if page is None:
                return _voided()
            events, following = page
            if not events or following == position.next or not all(event.is_before(since) for event in events):
                return Page(cursor=_FeedPosition(next=position.next).model_dump_json(), more=bool(events))
            position = _FeedPosition(next=following, since=since)
        return Page(cursor=position.model_dump_json(), more=True)

    async def _read_news(self, position: _FeedPosition) -> Page:
        """Read pages until one tells of folders, and look at those folders.

        The checkpoint of a page without events is not taken: Axway's own plug-in for Splunk keeps the one before.
        """
        told: dict[int, _Told] = {}
        more = True
        for _ in range(_PAGES):
            page = await self._api.events(position.next, _EVENTS)
            if page is None:
                return _voided()
            events, following = page
            told, more = _told(events), bool(events) and following != position.next
            position = _FeedPosition(next=following) if more else position
            if told or not more:
                break
        seen = await self._look_at(told)
        return Page(seen=seen, cursor=position.model_dump_json(), more=more, items=len(told))

    async def _look_at(self, told: Mapping[int, _Told]) -> list[PermissionSet]:
        wanted: defaultdict[str, set[int]] = defaultdict(set)
        for number, one in told.items():
            if user := await self._reader(one):
                wanted[user].add(number)
        at, found = _now(), await self._find(wanted)
        for number, one in told.items():
            if one.deleted and number not in found:  # a read comes after its event: what is there was restored
                found[number] = PermissionSet(item=Item(id=folder_id(number), kind=ItemKind.ROOT), at=at)
        return list(found.values())

    async def _reader(self, told: _Told) -> str | None:
        """Return in whose name to read: the owner's, else that of who did it; None when nobody of ours is named."""
        owner, actor = (told.owner or "").lower(), (told.actor or "").lower()
        if "@" in owner:
            user = await self._api.user(owner)
            return user.id if user else None
        return next((ident for ident in (owner, actor) if IS_GUID.fullmatch(ident)), None)

    # --- folders and links

    async def _find(self, wanted: Mapping[str, set[int]], *, asked: bool = False) -> dict[int, PermissionSet]:
        """Read folders in these users' names; another user's once more, in the owner's name."""
        found: dict[int, PermissionSet] = {}
        elsewhere: defaultdict[str, set[int]] = defaultdict(set)
        for user, numbers in wanted.items():
            holding = await self._holding(user, with_links=False)
            if holding is None:
                continue
            for number in sorted(numbers & holding.folders.keys()):
                folder = holding.folders[number]
                if not await self._is_ours(folder.owner):
                    continue
                if folder.owner.id != user:
                    elsewhere[folder.owner.id or ""].add(number)
                elif permissions := await self._of_folder(holding, folder):
                    found[number] = permissions
        return found | (await self._find(elsewhere, asked=True) if elsewhere and not asked else {})

    async def _is_ours(self, owner: User) -> bool:
        """Tell whether a folder's owner is a user of the company: what others share with us is not our share."""
        if owner.address is None or owner.id is None:
            return False
        if self._connection.is_internal(owner.address):
            return True
        user = await self._api.user(owner.address)
        return user is not None and user.id == owner.id

    async def _holding(self, user: str, *, with_links: bool = True) -> Holding | None:
        """Ask what one user has; None when Syncplicity does not show it.

        Raises RefusedError when it shows what the administrator has instead: without the privilege, As-User is ignored.
        """
        at = _now()
        syncpoints = await self._api.syncpoints(user)
        if syncpoints is None:
            return None
        if any(one.belongs_to(self._api.administrator) and one.is_hidden_from(user) for one in syncpoints):
            instead = "Syncplicity shows the administrator's folders in the place of another user's."
            raise RefusedError(Reason.SOURCE_REFUSED, f"{instead} {_NEEDS_PRIVILEGE}")
        links = await self._api.links(user) if with_links else None
        by_item = None if links is None else {link.item_id(user): link for link in links}
        return Holding(user, at, folders(syncpoints, user), by_item)

    async def _of_folder(self, holding: Holding, folder: Folder) -> PermissionSet | None:
        """Return with whom a folder is shared; the owner is one of them only as an outsider."""
        number, owner, participants = folder.syncpoint.id, folder.owner, folder.syncpoint.participants
        if folder.syncpoint.is_only_said_to_be_shared:
            participants = await self._api.participants(number, holding.user)
            if participants is None:
                return None
        people = [(one.user, one.role, one.inviter) for one in participants or () if not folder.is_owned_by(one.user)]
        if owner.address and not self._connection.is_internal(owner.address):
            people.append((owner, "Owner", None))
        facts = [
            self._fact(folder.item, holding.at, user.principal(), role, sharer=inviter.sharer if inviter else Sharer())
            for user, role, inviter in people
        ]
        return PermissionSet(item=folder.item, at=holding.at, facts=tuple(facts))

    async def _of_link(self, holding: Holding, link: Link) -> PermissionSet | None:
        """Return for whom a link is; None when it leads into a folder of somebody outside."""
        folder = holding.folders.get(link.sync_point_id)
        owner = folder.owner if folder and not folder.syncpoint.belongs_to(holding.user) else None
        if owner and not (owner.address and self._connection.is_internal(owner.address)):
            return None
        item = link.item(holding.user, folder)
        people = [user.principal() for user in link.users or ()] if link.is_for_the_named else []
        for group in (link.groups or ()) if link.is_for_the_named else ():
            people += await self._members(group)
        if link.is_for_anybody:
            people.append(Principal(kind=PrincipalKind.ANONYMOUS_LINK, source_id=item.id))
        facts = [
            self._fact(
                item,
                holding.at,
                one,
                link.role,
                sharer=(folder.person(holding.user) if folder else User(Id=holding.user)).sharer,
                shared_at=link.shared_date_utc,
                expires_at=link.expires_at,
            )
            for one in people
        ]
        return PermissionSet(item=item, at=holding.at, facts=tuple(facts))

    async def _members(self, group: Group) -> list[Principal]:
        """Return the members of a group, or the group itself when Syncplicity does not show them."""
        users = await self._api.group_members(group.id)
        if users is None:
            return [Principal(kind=PrincipalKind.GROUP, source_id=group.id, name=group.title)]
        return [user.principal(group=group.title) for user in users]

    def _fact(self, item: Item, at: datetime, principal: Principal, role: str, **more: Any) -> ShareEvent:
        """Return what was seen. A permission has no id there: the item and the person make one."""
        reference = f"{item.id.removeprefix('syncpoint:')}:{_who(principal)}"
        return ShareEvent.seen(self._connection.id, at, item, principal, role, reference, **more)


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def _start() -> str:
    return _FeedPosition(since=_now() - _SKEW).model_dump_json()


def _voided() -> Page:
    return Page(cursor=_start(), more=True, rescan=True)


def _told(events: Iterable[Event]) -> dict[int, _Told]:
    """Return what a page tells of each folder. What happens to a file in it changes nobody's access."""
    told: dict[int, _Told] = {}
    for data in (event.data for event in events if event.data):
        if data.syncpoint is None or data.file is not None:
            continue
        one = told.setdefault(data.syncpoint.id, _Told())
        one.owner = data.syncpoint.owner or one.owner
        one.actor = data.actor or one.actor
        one.deleted = data.typeid == _DELETED or (one.deleted and data.typeid != _RESTORED)
    return told


def _who(principal: Principal) -> str:
    """Return what stands for somebody in references: the normalised address where there is one."""
    try:
        return normalise(principal.address or "")
    except InvalidAddressError:
        return principal.source_id or digest(principal.address or "")
