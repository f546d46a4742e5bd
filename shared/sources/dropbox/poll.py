"""A poll of Dropbox's team log: what it tells about sharing, and whose membership of the team changed."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from shared.domain.addresses import digest
from shared.domain.events import Item, ShareEvent
from shared.domain.platforms import ItemKind
from shared.domain.reasons import Reason
from shared.domain.sources import Page, PermissionSet
from shared.domain.trouble import LaterError
from shared.sources.dropbox.api import NotShownError, VoidCursorError
from shared.sources.dropbox.links import content_of, links_to, sent_item
from shared.sources.dropbox.log import Asset, Entry, Told, read_event
from shared.sources.dropbox.parts import LogPage
from shared.sources.dropbox.reader import DropboxReader, ForeignError, reading_began, reference
from shared.sources.wire import faults

_LIMIT = 20  # events on a page: one may need a few calls, most need none
_STATUS_LIMIT = 1000  # events about members: none needs a call
_OVERLAP = timedelta(hours=1)  # the time in a reset is "approximate", and events are not sorted


class _Position(BaseModel):
    """Where in one category of the log: after a cursor, or, before there is one, from a time on.

    With a cursor, `since` is when everything was last known to be read.
    """

    model_config = ConfigDict(extra="forbid")
    since: AwareDatetime
    cursor: str | None = None


class _Cursor(BaseModel):
    model_config = ConfigDict(extra="forbid")
    sharing: _Position
    members: _Position


async def poll_step(reader: DropboxReader, cursor: str | None) -> Page:
    """Read a page of both categories that matter. Without a cursor, only note from when on to read."""
    now = reading_began()
    here = _Position(since=now)
    if cursor is None:
        return Page(cursor=_dump(_Cursor(sharing=here, members=here)))
    try:
        at = _Cursor.model_validate_json(cursor)
    except ValidationError:
        return Page(cursor=_dump(_Cursor(sharing=here, members=here)), more=True, rescan=True)
    try:
        page, sharing = await _read(reader, "sharing", at.sharing, _LIMIT, now)
        status, members = await _read(reader, "members", at.members, _STATUS_LIMIT, now)
    except _LostError as lost:  # what the other category gave is read again
        resumed = at.model_copy(update={lost.category: lost.resume})
        return Page(cursor=_dump(resumed), more=True, rescan=lost.rescan)
    entries = [entry for document in page.events if (entry := _entry(document))]
    events, seen = await _take_in(reader, entries)
    changed = [entry for document in status.events if (entry := _entry(document))]
    outside = any(not reader.connection.is_internal(who) for entry in changed for who in entry.status_of)
    return Page(
        events=events,
        seen=seen,
        cursor=_dump(_Cursor(sharing=sharing, members=members)),
        more=page.has_more or status.has_more,  # Dropbox may say so with an empty page
        items=len(page.events),
        rescan=outside or any(entry.lost_track for entry in entries),
    )


class _LostError(Exception):
    def __init__(self, category: str, resume: _Position, *, rescan: bool) -> None:
        super().__init__(category)
        self.category, self.resume, self.rescan = category, resume, rescan


async def _read(
    reader: DropboxReader, category: str, at: _Position, limit: int, now: datetime
) -> tuple[LogPage, _Position]:
    """Read a page; return it with where the next one begins.

    A cursor that Dropbox has reset names the time to resume from, and nothing is lost. One that it does not know
    names none: from the last reading on, and a scan for what may be lost.
    """
    try:
        page = await reader.api.log(category, at.since, at.cursor, limit)
    except VoidCursorError as void:
        if void.resume is not None:
            raise _LostError(category, _Position(since=void.resume - _OVERLAP), rescan=False) from None
        since = at.since - _OVERLAP if at.cursor is not None else now
        raise _LostError(category, _Position(since=since), rescan=True) from None
    return page, _Position(since=at.since if page.has_more else now, cursor=page.cursor)


def _entry(document: dict[str, object]) -> Entry | None:
    try:
        return read_event(document)
    except ValidationError as error:
        detail = f"Dropbox's log is not what Dropbox documents: {faults(error)}"
        raise LaterError(Reason.SOURCE, detail=detail) from None


async def _take_in(reader: DropboxReader, entries: Sequence[Entry]) -> tuple[list[ShareEvent], list[PermissionSet]]:
    """Return what the events tell, and what is there where they only hint."""
    events: list[ShareEvent] = []
    looks: dict[str, tuple[Item, str | None, datetime | None]] = {}
    links: dict[tuple[str, str], ItemKind] = {}
    for entry in entries:
        for asset in entry.assets:
            try:
                item = await reader.locate(asset, entry.acting)
                if entry.links:
                    item = await _linked(reader, entry, asset, item, links)
            except ForeignError:
                continue
            events += [await _event(reader, entry, told, item) for told in entry.told]
            if entry.look:
                unshared = entry.at if entry.unshared else None
                before = looks.get(item.id)
                times = [time for time in (unshared, before[2] if before else None) if time is not None]
                looks[item.id] = (item, entry.acting, max(times, default=None))
    seen = [found for look in looks.values() if (found := await _look(reader, *look))]
    for (owner, content), kind in links.items():
        seen += await links_to(reader, owner, content, kind)
    return events, seen


async def _linked(
    reader: DropboxReader, entry: Entry, asset: Asset, item: Item, links: dict[tuple[str, str], ItemKind]
) -> Item:
    """Return the item of those to whom the link was sent, and note to look at the links."""
    content = await content_of(reader, asset)
    if content is not None and entry.owner is not None:
        links[entry.owner, content] = item.kind
    if entry.told and item.path is None and item.kind is ItemKind.FOLDER and asset.path is None:
        try:
            folder = await reader.folder(asset.namespace)
            item = item.model_copy(update={"path": await reader.path(folder)})
        except ForeignError:
            raise
        except NotShownError:
            pass
    return sent_item(entry.owner, content or item.id, item)


async def _look(
    reader: DropboxReader, item: Item, acting: str | None, unshared: datetime | None
) -> PermissionSet | None:
    """Read who has the item; when it was unshared and is not shown any more, nobody had it from then on."""
    try:
        if item.kind is ItemKind.FILE:
            return await reader.file_set(item, acting)
        return await reader.folder_set(item.id.removeprefix("folder:"))
    except ForeignError:
        return None
    except NotShownError:
        return PermissionSet(item=item, at=unshared) if unshared is not None else None


async def _event(reader: DropboxReader, entry: Entry, told: Told, item: Item) -> ShareEvent:
    """Return one fact of the log. The log gives its events no ids: one is made of what tells them apart."""
    principal = told.principal
    if principal.address and await reader.is_suspended(principal.address, told.member):
        principal = principal.model_copy(update={"suspended": True})
    name = reference(item, principal)
    return ShareEvent(
        id=f"dropbox:{digest(entry.kind, entry.at.isoformat(), name, told.role or '')}",
        connection=reader.connection.id,
        change=told.change,
        at=entry.at,
        principal=principal,
        role=told.role,
        item=item,
        reference=name,
        sharer=entry.sharer,
        shared_at=entry.shared_at,
        pending=told.pending,
    )


def _dump(cursor: _Cursor) -> str:
    return cursor.model_dump_json(exclude_none=True)
