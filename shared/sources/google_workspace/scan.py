"""Everything that is shared now: one person's My Drive after the other, then one shared drive after the other."""

from collections.abc import Sequence
from typing import Literal

from pydantic import ValidationError

from shared.domain.connections import Connection
from shared.domain.sources import Page, PermissionSet
from shared.domain.trouble import RefusedError
from shared.domain.value import Value
from shared.sources.google_workspace.homes import Home
from shared.sources.google_workspace.parts import Drives, File, Files, Users, understood
from shared.sources.google_workspace.sharing import now
from shared.sources.google_workspace.step import Step, is_at
from shared.sources.google_workspace.trouble import DriveOffError, VoidTokenError

_FILES_PER_PAGE = 200


class _Place(Value):
    """How far a scan is. `next`: Google's token behind the person or drive `at`, None when it is the last one.

    `page` and `todo` are how far that one is: Google's token of its next files, and items that are still to be read.
    `listed`: all its files were listed.
    """

    of: Literal["people", "drives"] = "people"
    next: str | None = None
    at: str | None = None
    page: str | None = None
    todo: tuple[str, ...] = ()
    listed: bool = False

    @property
    def behind(self) -> "_Place | None":
        """The place behind this person or drive; None behind everything."""
        if self.next is not None:
            return _Place(of=self.of, next=self.next)
        return _Place(of="drives") if self.of == "people" else None


async def scan(step: Step, connection: Connection, cursor: str | None) -> Page:
    """Read one page; `more` until everything was read."""
    place = _parse(cursor)
    if place.at is None:
        try:
            place = await _enter(step, connection, place)
        except VoidTokenError:  # the token of the people or drives; what was read already is read again
            return _page(_Place(of=place.of))
    if place.at is None:
        return _page(place.behind)
    try:
        return await (
            _of_person(step, place, Home(place.at)) if place.of == "people" else _of_drive(step, place, place.at)
        )
    except VoidTokenError:
        return _page(place.model_copy(update={"page": None, "todo": (), "listed": False}))


def _parse(cursor: str | None) -> _Place:
    try:
        return _Place() if cursor is None else _Place.model_validate_json(cursor)
    except ValidationError:  # not written by this version
        return _Place()


async def _enter(step: Step, connection: Connection, place: _Place) -> _Place:
    """Go to the next person or drive; `at` None when that one holds nothing for the scan."""
    if place.of == "drives":
        drives = understood(Drives, await step.api.drives(place.next, 1))
        drive = next((drive.id for drive in drives.drives), None)
        return _Place(of="drives", next=drives.next_page_token, at=drive, todo=(drive,) if drive else ())
    users = understood(Users, await step.api.users(place.next, 1))
    found = (user for user in users.users if user.is_active and connection.is_internal(user.primary_email))
    return _Place(next=users.next_page_token, at=next((user.primary_email for user in found), None))


async def _of_person(step: Step, place: _Place, home: Home) -> Page:
    try:
        return await _files(step, place, home)
    except DriveOffError:
        return _page(place.behind)
    except RefusedError:
        if await step.homes.of_user(home.reader) is not None:
            raise
        return _page(place.behind)  # suspended or deleted since the scan began


async def _of_drive(step: Step, place: _Place, drive: str) -> Page:
    try:
        home = await step.homes.of_drive(drive)
    except RefusedError:  # nobody can look inside; the drive's feed says so to the administrator
        home = None
    if home is not None:
        return await _files(step, place, home)
    root = await step.sharing.of_drive(drive)
    return _page(place.behind, [root] if root else [])


async def _files(step: Step, place: _Place, home: Home) -> Page:
    known: dict[str, File] = {}
    items, at = 0, now()
    if not place.todo:
        answer = await step.api.files(home.reader, home.drive, place.page, _FILES_PER_PAGE)
        found = understood(Files, answer)
        known, items = {file.id: file for file in found.files}, len(found.files)
        todo = tuple(file.id for file in found.files if file.may_be_shared and is_at(file, home))
        page = found.next_page_token
        place = place.model_copy(update={"page": page, "listed": page is None, "todo": todo})
    seen, left = await step.read(home, place.todo, known, at, gone_too=False)
    place = place.model_copy(update={"todo": left})
    return _page(place.behind if place.listed and not left else place, seen, items)


def _page(place: _Place | None, seen: Sequence[PermissionSet] = (), items: int = 0) -> Page:
    return Page(seen=seen, cursor=place.model_dump_json() if place else None, more=place is not None, items=items)
