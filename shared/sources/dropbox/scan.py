"""A scan of a Dropbox team: namespace by namespace, first who has the folder, then who has the files in it.

The cursor holds the page of namespaces, the last one that is done, and how far the one after it is read: it does not
grow with the account.
"""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, ValidationError

from shared.domain.events import Item
from shared.domain.platforms import ItemKind
from shared.domain.sources import Page, PermissionSet
from shared.sources.dropbox.api import NotShownError, VoidCursorError
from shared.sources.dropbox.links import links_of
from shared.sources.dropbox.parts import Entry, Members, Namespace
from shared.sources.dropbox.reader import DropboxReader, place, reading_began, whole

# In one step: so many namespaces (up to nine calls each), or up to the end of a page of one namespace's files.
_NAMESPACES = 6
# Of files in a member's name the members are read a hundred at a time; in the admin's name, one by one.
_FILES_OF_MEMBER, _FILES_OF_TEAM = 200, 40


class _Inside(BaseModel):
    """A namespace that is read file by file: `path` is its own, `acting` the member who can see its files."""

    model_config = ConfigDict(extra="forbid")
    namespace: str
    path: str | None = None
    acting: str | None = None
    own_space: bool = False
    files: str | None = None
    reads_links: bool = False
    links: str | None = None


class _Cursor(BaseModel):
    """How far a scan is. `page` led to the present page of namespaces, `after` is the last one that is done."""

    model_config = ConfigDict(extra="forbid")
    page: str | None = None
    after: str | None = None
    inside: _Inside | None = None


async def scan_step(reader: DropboxReader, cursor: str | None) -> Page:
    """Do one step of a scan."""
    try:
        at = _Cursor.model_validate_json(cursor) if cursor else _Cursor()
    except ValidationError:
        at = _Cursor()
    try:
        page = await reader.api.namespaces(at.page)
    except VoidCursorError:  # begin again: what was read already is only read once more
        return Page(cursor=_Cursor().model_dump_json(), more=True)
    namespaces = list({one.namespace_id: one for one in page.namespaces}.values())  # Dropbox may list one twice
    names = [one.namespace_id for one in namespaces]
    start = names.index(at.after) + 1 if at.after in names else 0
    seen: list[PermissionSet] = []
    items = 0
    for number, namespace in enumerate(namespaces[start:]):
        if number == _NAMESPACES or len(seen) >= _FILES_OF_TEAM:
            return Page(seen=seen, cursor=at.model_dump_json(exclude_none=True), more=True, items=items)
        if at.inside is not None and at.inside.namespace == namespace.namespace_id:
            inside: _Inside | None = at.inside
        else:
            sets, inside = await _enter(reader, namespace)
            seen += sets
            items += len(sets)
        if inside is not None:
            sets, looked, inside = await _read_on(reader, inside)
            seen += sets
            items += looked
        if inside is not None:
            at = at.model_copy(update={"inside": inside})
            return Page(seen=seen, cursor=at.model_dump_json(exclude_none=True), more=True, items=items)
        at = at.model_copy(update={"after": namespace.namespace_id, "inside": None})
    following = _Cursor(page=page.cursor).model_dump_json(exclude_none=True) if page.has_more else None
    return Page(seen=seen, cursor=following, more=page.has_more, items=items)


async def _enter(reader: DropboxReader, namespace: Namespace) -> tuple[list[PermissionSet], _Inside | None]:
    """Read who has a shared folder, and prepare to read its files. Others' folders and technical ones are left out."""
    name = namespace.namespace_id
    if namespace.namespace_type == "team_member_folder" and namespace.team_member_id:
        member = await reader.member(namespace.team_member_id)
        if member is None:
            return [], None
        who = member.team_member_id
        return [], _Inside(namespace=name, path=place(member.email), acting=who, own_space=True)
    if namespace.namespace_type not in ("shared_folder", "team_folder"):
        return [], None
    at = reading_began()
    try:
        folder, members = await reader.folder(name), await reader.api.folder_members(name)
    except NotShownError:
        return [], None
    item = await reader.item(name, await reader.path(folder, members))
    found = PermissionSet(item=item, at=at, facts=await reader.facts(item, members, at))
    owner = members.owner.team_member_id if members.owner else None
    path = "" if item.kind is ItemKind.ROOT else item.path
    return [found], _Inside(namespace=name, path=path, acting=owner)


async def _read_on(reader: DropboxReader, inside: _Inside) -> tuple[list[PermissionSet], int, _Inside | None]:
    """Read a page of a namespace's files and then, in a member's own space, a page of the member's links.

    Returns what was found, how much was looked at, and where to go on.
    """
    sets: list[PermissionSet] = []
    items = 0
    if not inside.reads_links:
        sets, items, following = await _read_files(reader, inside)
        if following is not None or not inside.own_space:
            return sets, items, following
    found, following = await _read_links(reader, inside)
    return sets + found, items + len(found), following


async def _read_files(reader: DropboxReader, inside: _Inside) -> tuple[list[PermissionSet], int, _Inside | None]:
    limit = _FILES_OF_MEMBER if inside.acting else _FILES_OF_TEAM
    try:
        page = await reader.api.entries(inside.namespace, inside.files, limit)
    except NotShownError:
        return [], 0, None
    except VoidCursorError:
        return [], 0, inside.model_copy(update={"files": None})
    shared = [one for one in page.entries if one.tag == "file" and one.has_explicit_shared_members and one.id]
    sets = await _file_sets(reader, inside, shared)
    return sets, len(page.entries), inside.model_copy(update={"files": page.cursor}) if page.has_more else None


async def _read_links(reader: DropboxReader, inside: _Inside) -> tuple[list[PermissionSet], _Inside | None]:
    assert inside.acting is not None
    at = inside.model_copy(update={"files": None, "reads_links": True})
    try:
        sets, following = await links_of(reader, inside.acting, inside.links)
    except VoidCursorError:
        return [], at.model_copy(update={"links": None})
    return sets, at.model_copy(update={"links": following}) if following else None


async def _file_sets(reader: DropboxReader, inside: _Inside, files: Sequence[Entry]) -> list[PermissionSet]:
    at, sets = reading_began(), []
    members: dict[str, Members] = {}
    if inside.acting:
        try:
            as_member = reader.api.as_member(inside.acting)
            members = await reader.api.files_members([one.id for one in files if one.id], as_member)
        except NotShownError:  # nobody can act as a suspended member
            return []
    for file in files:
        item = Item(id=f"file:{file.id}", kind=ItemKind.FILE, path=whole(inside.path, file.path_display))
        if inside.acting is None:
            try:
                sets.append(await reader.file_set(item, None))
            except NotShownError:
                continue
        elif file.id in members:
            facts = await reader.facts(item, members[file.id], at)
            sets.append(PermissionSet(item=item, at=at, facts=facts))
    return sets
