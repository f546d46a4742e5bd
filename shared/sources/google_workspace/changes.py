"""What is new: the changes of a My Drive or a shared drive, and the reports of who gave whom what."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from pydantic import AwareDatetime, Field, ValidationError

from shared.domain.addresses import digest
from shared.domain.connections import Connection
from shared.domain.reasons import Reason
from shared.domain.sources import Page
from shared.domain.trouble import LaterError
from shared.domain.value import Value
from shared.sources.google_workspace import reports as google_reports
from shared.sources.google_workspace.homes import Home
from shared.sources.google_workspace.parts import (
    Activities,
    Activity,
    Changes,
    File,
    FileChange,
    StartToken,
    understood,
)
from shared.sources.google_workspace.reports import Told
from shared.sources.google_workspace.sharing import now
from shared.sources.google_workspace.step import Step, is_at
from shared.sources.google_workspace.trouble import VoidTokenError

_CHANGES_PER_PAGE, _ACTIVITIES_PER_PAGE = 100, 25
# Admin SDK, "Data retention and lag times": reports come late, the later ones not last, and are kept for 180 days.
_LATE, _KEPT = timedelta(hours=3), timedelta(days=179)
_REMEMBERED = 600


class _Cursor(Value):
    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises VoidTokenError for what this version did not write."""
        try:
            return cls.model_validate_json(text)
        except ValidationError:
            raise VoidTokenError(Reason.SOURCE, detail="The cursor cannot be read.") from None


class _ChangesCursor(_Cursor):
    """Google's token of the next page, and the items of the last one that are still to be read."""

    page: str
    todo: tuple[str, ...] = ()


async def start_of_changes(step: Step, home: Home) -> str:
    """Return Google's token of where now is."""
    return understood(StartToken, await step.api.start(home.reader, home.drive)).start_page_token


async def poll_changes(step: Step, home: Home, cursor: str | None) -> Page:
    """Read which items changed, and who has each of them now: a change does not say what it was."""
    if cursor is None:
        return Page(cursor=_ChangesCursor(page=await start_of_changes(step, home)).model_dump_json())
    try:
        return await _changes(step, home, _ChangesCursor.parse(cursor))
    except VoidTokenError:
        begin = _ChangesCursor(page=await start_of_changes(step, home))
        return Page(cursor=begin.model_dump_json(), more=True, rescan=True)


async def _changes(step: Step, home: Home, place: _ChangesCursor) -> Page:
    known: dict[str, File] = {}
    more, items, at = True, 0, now()
    if not place.todo:
        answer = await step.api.changes(home.reader, home.drive, place.page, _CHANGES_PER_PAGE)
        found = understood(Changes, answer)
        page = found.next_page_token or found.new_start_page_token
        if page is None:
            raise LaterError(Reason.SOURCE, detail="Google's list of changes has no token for the next one")
        known = {change.file.id: change.file for change in found.changes if change.file and not change.removed}
        place = _ChangesCursor(page=page, todo=_of_concern(found.changes, home))
        more, items = found.next_page_token is not None, len(found.changes)
    seen, left = await step.read(home, place.todo, known, at, gone_too=True)
    rest = _ChangesCursor(page=place.page, todo=left)
    return Page(seen=seen, cursor=rest.model_dump_json(), more=more or bool(left), items=items)


def _of_concern(changes: Sequence[FileChange], home: Home) -> tuple[str, ...]:
    """Return each item once: files that live here, or that are not seen here any more, and the drive's root."""
    idents = []
    for change in changes:
        if change.change_type == "drive" and change.drive_id == home.drive:
            idents.append(change.drive_id)
        elif change.change_type == "file" and (change.removed or change.file is None or is_at(change.file, home)):
            idents.append(change.file_id)
    return tuple(dict.fromkeys(ident for ident in idents if ident is not None))


# --- reports


class _ReportsCursor(_Cursor):
    """`since`: the newest activity of the last round. A round reads each kind of event, newest first, page by page.

    `told`: short names of activities that were told; a round reaches back behind the last one, for what comes late.
    """

    since: AwareDatetime
    newest: AwareDatetime | None = None
    kind: int = Field(default=0, ge=0, lt=len(google_reports.EVENTS))
    page: str | None = None
    told: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reported:
    """What reports tell, and how to go on."""

    told: Sequence[Told]
    page: Page


async def poll_reports(step: Step, connection: Connection, cursor: str | None) -> Reported:
    """Read who gave whom what, and when."""
    if cursor is None:
        return Reported([], Page(cursor=_ReportsCursor(since=now()).model_dump_json()))
    try:
        place = _ReportsCursor.parse(cursor)
    except VoidTokenError:
        return _lost(now())
    if place.since < now() - _KEPT:
        return _lost(now())
    try:
        return await _reports(step, connection, place)
    except VoidTokenError:  # the round begins anew, and passes over what was told
        anew = place.model_copy(update={"kind": 0, "page": None, "newest": None})
        return Reported([], Page(cursor=anew.model_dump_json(), more=place.page is not None))


def _lost(at: datetime) -> Reported:
    return Reported([], Page(cursor=_ReportsCursor(since=at).model_dump_json(), more=True, rescan=True))


async def _reports(step: Step, connection: Connection, place: _ReportsCursor) -> Reported:
    event = google_reports.EVENTS[place.kind]
    answer = await step.api.activities(event, place.since - _LATE, place.page, _ACTIVITIES_PER_PAGE)
    found = understood(Activities, answer)
    fresh = [activity for activity in found.items if _name(activity, event) not in place.told]
    told = [one for activity in fresh for one in google_reports.read(activity, event, connection)]
    newest = max(place.newest or place.since, *(activity.id.time for activity in found.items), place.since)
    names = (*place.told, *(_name(activity, event) for activity in fresh))[-_REMEMBERED:]
    on = place.model_copy(update={"newest": newest, "page": found.next_page_token, "told": names})
    is_last_page, is_last_kind = on.page is None, place.kind == len(google_reports.EVENTS) - 1
    if is_last_page:
        on = on.model_copy(update={"kind": place.kind + 1})
    if is_last_page and is_last_kind:
        on = _ReportsCursor(since=newest, told=names)
    page = Page(
        events=[one.event for one in reversed(told)],  # Google tells the newest first
        cursor=on.model_dump_json(),
        more=not (is_last_page and is_last_kind),
        items=len(found.items),
    )
    return Reported(told, page)


def _name(activity: Activity, event: str) -> str:
    return digest(activity.id.time.isoformat(), activity.id.unique_qualifier, event)[:16]
