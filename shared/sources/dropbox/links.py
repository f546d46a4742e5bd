"""Dropbox's shared links: for anyone, or for the team, or for the members of what they point at.

A link's permissions are an item of their own, `link:<who made it>|<id of the content>|<level>`: Dropbox lists links by
who made them, and no list of a folder's members holds them. To whom a link was sent, `sent:<who made it>|<content>`,
only the log tells.
"""

import re
from datetime import datetime

from shared.domain.events import Item, Principal, PrincipalKind, ShareEvent, Sharer
from shared.domain.platforms import ItemKind
from shared.domain.sources import PermissionSet
from shared.sources.dropbox.api import NotShownError
from shared.sources.dropbox.log import Asset
from shared.sources.dropbox.parts import Link
from shared.sources.dropbox.reader import DropboxReader, reading_began

_LEVELS = ("viewer", "editor")
_ITEM = re.compile(r"(link|sent):([-_0-9a-zA-Z:]+)\|([^|]+)(?:\|([a-z_]+))?")


async def content_of(reader: DropboxReader, asset: Asset) -> str | None:
    """Return the id of what a link points at; None when Dropbox does not show it."""
    if asset.file_id is not None:
        return asset.file_id
    try:
        if asset.path is None:
            return (await reader.folder(asset.namespace)).folder_id
        return (await reader.api.entry(f"ns:{asset.namespace}{asset.path}", await reader.api.as_admin())).id
    except NotShownError:
        return None


def sent_item(owner: str | None, content: str, item: Item) -> Item:
    """Return what those have to whom a link to the item was sent."""
    return item.model_copy(update={"id": f"sent:{owner or 'unknown'}|{content}"})


async def links_to(reader: DropboxReader, owner: str, content: str, kind: ItemKind) -> list[PermissionSet]:
    """Read the links that a member has made to one item: a set for each level.

    When none is open any more, nobody to whom one was sent can use it: that is an empty set.
    """
    at, acting, found, cursor = reading_began(), reader.api.as_member(owner), list[Link](), None
    try:
        while True:
            page = await reader.api.links(acting, cursor, content if cursor is None else None)
            found += page.links
            cursor = page.cursor
            if not page.has_more or cursor is None:
                break
    except NotShownError:
        return []
    sets = []
    for level in dict.fromkeys((*_LEVELS, *(link.level for link in found))):
        item = Item(id=f"link:{owner}|{content}|{level}", kind=kind)
        links = [link for link in found if link.level == level and link.link_permissions.is_open]
        facts = [await _fact(reader, owner, item, link, at) for link in links[:1]]
        sets.append(PermissionSet(item=item, at=at, facts=tuple(facts)))
    if not any(one.facts for one in sets):
        sets.append(PermissionSet(item=Item(id=f"sent:{owner}|{content}", kind=kind), at=at))
    return sets


async def links_of(reader: DropboxReader, owner: str, cursor: str | None) -> tuple[list[PermissionSet], str | None]:
    """Read a page of all links that a member has made, and where the next page begins. Raises VoidCursorError."""
    at = reading_began()
    try:
        page = await reader.api.links(reader.api.as_member(owner), cursor)
    except NotShownError:
        return [], None
    sets = []
    for link in page.links:
        if link.id is None:
            continue
        item = Item(id=f"link:{owner}|{link.id}|{link.level}", kind=_kind(link))
        facts = [await _fact(reader, owner, item, link, at)] if link.link_permissions.is_open else []
        sets.append(PermissionSet(item=item, at=at, facts=tuple(facts)))
    return sets, page.cursor if page.has_more else None


async def look_at_links(reader: DropboxReader, item: Item) -> PermissionSet | None:
    """Read the present set of a `link:` or `sent:` item; None for others, and where Dropbox does not show it."""
    parts = _ITEM.fullmatch(item.id)
    if parts is None:
        return None
    sets = await links_to(reader, parts[2], parts[3], item.kind)
    return next((one.model_copy(update={"item": item}) for one in sets if one.item.id == item.id), None)


async def _fact(reader: DropboxReader, owner: str, item: Item, link: Link, at: datetime) -> ShareEvent:
    principal = Principal(kind=PrincipalKind.ANONYMOUS_LINK, source_id=item.id[:500])
    member = await reader.member(owner)
    sharer = Sharer(address=member.email, source_id=member.account_id) if member else Sharer()
    told = {"sharer": sharer, "shared_at": link.created_timestamp, "expires_at": link.expires}
    return reader.fact(item, principal, link.level, at).model_copy(update=told)


def _kind(link: Link) -> ItemKind:
    return ItemKind.FILE if link.tag == "file" else ItemKind.FOLDER
