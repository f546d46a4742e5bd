"""Box: the enterprise's event log, which also covers files, and folders without a webhook.

Box delivers it at least once, out of order, with ids that tell repeats, and keeps it for two weeks.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from pydantic import AwareDatetime, Field

from shared.domain.connections import Connection
from shared.domain.events import Change, Item, Principal, PrincipalKind, ShareEvent, Sharer
from shared.domain.sources import Page
from shared.domain.value import Value
from shared.sources.box.models import Collaboration, Location, LogEvent, LogPage, sharer_of, understood
from shared.sources.box.scan import Reader

if TYPE_CHECKING:
    from shared.sources.box.api import BoxApi

# An event can take three calls now and one more to complete it.
_PAGE = 20
# Of a position that is older than its two weeks, Box's log silently gives what is left (box-java-sdk, #939).
_KEPT = timedelta(days=13)

_GIVEN, _ACCEPTED = "COLLABORATION_INVITE", "COLLABORATION_ACCEPT"
_CHANGED, _REMOVED = "COLLABORATION_ROLE_CHANGE", "COLLABORATION_REMOVE"
_UNSHARED = "UNSHARE"
# These do not tell what holds now, only where to look. The expiration events are about setting a date.
_LOOK = (
    "COLLABORATION_EXPIRATION",
    "UPDATE_COLLABORATION_EXPIRATION",
    "SHARE",
    "ITEM_SHARED_UPDATE",
    "SHARE_EXPIRATION",
    "UPDATE_SHARE_EXPIRATION",
)
TYPES = (_GIVEN, _ACCEPTED, _CHANGED, _REMOVED, _UNSHARED, *_LOOK)


class _Cursor(Value):
    """A position of the log, and when it was the newest that was read."""

    position: str = Field(min_length=1, max_length=200)
    at: AwareDatetime


async def poll(api: "BoxApi", connection: Connection, cursor: str | None) -> Page:
    """Read one page of the log; without a cursor, or with one that Box has forgotten, find where now is."""
    now = datetime.now(UTC)
    if cursor is None:
        return Page(cursor=await _newest(api, now))
    start = _Cursor.model_validate_json(cursor)
    answer = await api.events(start.position, _PAGE, TYPES) if now - start.at < _KEPT else None
    if answer is None:
        return Page(cursor=await _newest(api, now), more=True, rescan=True)
    page = understood(LogPage, answer)
    told, changed = await _Log(api, connection).read({event.event_id: event for event in page.entries}.values())
    reader = Reader(api, connection)
    seen = [await reader.look(*item.id.split(":")) for item in changed]
    following = page.next_stream_position or None
    position = start.position if following in (None, "0") else str(following)
    return Page(
        events=told,
        seen=[one for one in seen if one is not None],
        cursor=_Cursor(position=position, at=now).model_dump_json(),
        # A page may be short although there is more; only an empty one is the last.
        more=bool(page.entries) and position != start.position,
        items=len(page.entries),
    )


async def _newest(api: "BoxApi", now: datetime) -> str:
    page = understood(LogPage, await api.events("now", 1, TYPES) or {"entries": []})
    return _Cursor(position=str(page.next_stream_position or "now"), at=now).model_dump_json()


class _Log:
    """Reads events into share events, and into items that have to be looked at."""

    def __init__(self, api: "BoxApi", connection: Connection) -> None:
        self._api, self._connection = api, connection

    async def read(self, events: Iterable[LogEvent]) -> tuple[list[ShareEvent], list[Item]]:
        told: list[ShareEvent] = []
        look: dict[str, Item] = {}
        for event in events:
            item = event.item
            if item is None or event.is_for_app:  # no item: about a person, a group, an app, a Hub
                continue
            if event.event_type == _UNSHARED:
                told.append(self._unshared(event, item))
            elif event.event_type == _REMOVED and event.collaboration is not None:
                told.append(self._removed(event, item, event.collaboration))
            elif await self._is_outsider_s(event, item):
                continue
            elif event.event_type in (_GIVEN, _ACCEPTED, _CHANGED) and event.collaboration is not None:
                told += await self._given(event, item, event.collaboration)
            elif event.event_type in TYPES:
                look[item.id] = item
        return told, list(look.values())

    async def _is_outsider_s(self, event: LogEvent, item: Item) -> bool:
        """Tell whether the item is another company's. What is taken back counts all the same: it may have been ours.

        An owner of another domain may be one of us all the same; Box knows, where it shows the item.
        """
        owner = event.source.owned_by if event.source else None
        if owner is None or owner.address is None or owner.is_app or self._connection.is_internal(owner.address):
            return False
        answer = await self._api.location(*item.id.split(":"))
        return answer is None or bool(understood(Location, answer).is_externally_owned)

    async def _given(self, event: LogEvent, item: Item, collaboration: str) -> list[ShareEvent]:
        """The event does not tell whether it was accepted, when it ends, or which of two roles it names: Box does.

        What Box tells may be newer than the event; whatever made it so has an event of its own.
        """
        answer = await self._api.collaboration(collaboration)
        now = None if answer is None else understood(Collaboration, answer)
        if now is None:
            return self._as_told(event, item, collaboration)
        if now.is_for_app:
            return []
        fact = self._fact(event, now.item.item if now.item else item, collaboration, now.principal)
        lost = now.status == "rejected"
        return [
            fact.model_copy(
                update={
                    "change": Change.LOST if lost else fact.change,
                    "role": now.role,
                    "sharer": sharer_of(now.created_by),
                    "shared_at": now.created_at,
                    "expires_at": now.expires_at,
                    "pending": not lost and (now.status or "pending") == "pending",
                }
            )
        ]

    def _as_told(self, event: LogEvent, item: Item, collaboration: str) -> list[ShareEvent]:
        """The fact when Box shows the collaboration no more. A changed role may be the old one and is left out."""
        invited, accepted = event.event_type == _GIVEN, event.event_type == _ACCEPTED
        return [
            self._fact(event, item, collaboration, event.principal).model_copy(
                update={
                    "role": event.role if invited or accepted else None,
                    "sharer": sharer_of(event.created_by) if invited else Sharer(),
                    "shared_at": event.created_at if invited else None,
                    "pending": not accepted,
                }
            )
        ]

    def _removed(self, event: LogEvent, item: Item, collaboration: str) -> ShareEvent:
        who = event.principal
        # By an id alone nobody is found; without anything, by what the collaboration is remembered to stand for.
        known = who if who.address or who.kind is PrincipalKind.GROUP else Principal()
        return self._fact(event, item, collaboration, known)

    def _unshared(self, event: LogEvent, item: Item) -> ShareEvent:
        anyone = Principal(kind=PrincipalKind.ANONYMOUS_LINK, source_id=item.id)
        return self._fact(event, item, f"shared-link:{item.id}", anyone)

    def _fact(self, event: LogEvent, item: Item, reference: str, principal: Principal) -> ShareEvent:
        changes = {_CHANGED: Change.KEPT, _REMOVED: Change.LOST, _UNSHARED: Change.LOST}
        return ShareEvent(
            id=f"box:{event.event_id}",
            connection=self._connection.id,
            change=changes.get(event.event_type, Change.GIVEN),
            at=event.created_at,
            principal=principal,
            item=item,
            reference=reference,
        )
