"""Who has one item now, for all kinds of items that Dropbox's module knows."""

from shared.domain.events import Item
from shared.domain.sources import PermissionSet
from shared.sources.dropbox.api import NotShownError
from shared.sources.dropbox.links import look_at_links
from shared.sources.dropbox.reader import DropboxReader, ForeignError, reading_began


async def look_at(reader: DropboxReader, item: Item) -> PermissionSet | None:
    """Read an item's permissions; None when Dropbox does not show it; an empty set when it says that it is gone."""
    if item.id.startswith("folder:"):
        return await _folder(reader, item)
    if item.id.startswith("file:"):
        return await _file(reader, item)
    return await look_at_links(reader, item)


async def _folder(reader: DropboxReader, item: Item) -> PermissionSet | None:
    at = reading_began()
    try:
        return await reader.folder_set(item.id.removeprefix("folder:"))
    except ForeignError:
        return None
    except NotShownError as error:
        # To an admin who sees the whole team, an invalid id is a folder that is shared no more or does not exist.
        return PermissionSet(item=item, at=at) if error.tag == "invalid_id" else None


async def _file(reader: DropboxReader, item: Item) -> PermissionSet | None:
    at, owner = reading_began(), None
    space = (item.path or "").split("/")[1] if item.path else ""
    if "@" in space:  # it lies in a member's space, and only the member sees who has it
        owner = await reader.api.member_by_email(space)
    try:
        return await reader.file_set(item, owner.team_member_id if owner else None)
    except NotShownError:
        pass
    try:
        await reader.api.entry(item.id.removeprefix("file:"), await reader.api.as_admin())
    except NotShownError as error:
        return PermissionSet(item=item, at=at) if error.tag == "not_found" else None
    return None
