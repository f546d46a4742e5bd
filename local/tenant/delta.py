"""The delta of a drive: what has changed since a token, with the preferences that make it tell of permissions."""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from local.tenant import sharing
from local.tenant.calls import Answer, Call
from local.tenant.errors import GraphError, invalid_request
from local.tenant.shapes import drive_item_row
from local.tenant.sharing import Place
from local.tenant.state import Drive, Entry, Gone, Item, World

LARGEST_PAGE = 1_000
PATH = re.compile(r"/delta(?:\(\)|\(token='(?P<token>[^']*)'\))?")
_SHARING_CHANGES = "deltashowsharingchanges"
_NEEDED_FOR_THEM = {"deltashowremovedasdeleted", "deltatraversepermissiongaps"}


@dataclass(frozen=True)
class Token:
    """What changed after `start` and not after `until`, of which everything up to `shown` was handed out already."""

    start: int = 0
    until: int | None = None
    shown: int = 0

    @property
    def made_at(self) -> int:
        """How far the drive's changes went when the token, or the first one of its pages, was handed out."""
        return self.shown if self.until is None else self.until

    def encoded(self) -> str:
        """The token as Graph hands it out: opaque."""
        text = json.dumps([self.start, self.until, self.shown])
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    @classmethod
    def decoded(cls, text: str) -> "Token":
        """Read a token; raises GraphError 400."""
        try:
            return cls(*json.loads(base64.urlsafe_b64decode(text + "==")))
        except (ValueError, TypeError):
            raise invalid_request("The delta token is not valid.") from None


def answer(world: World, call: Call, place: Place, path: re.Match[str]) -> Answer:
    """Answer a delta call on a drive's root; raises GraphError, 410 with a Location for a token that was voided."""
    call.check_options("$top", "$select", "token")
    drive = place.drive
    if place.item is not drive.root:
        raise invalid_request("delta is only supported on the root of a drive.")
    prefer = {one.strip().lower() for one in call.headers.get("Prefer", "").split(",")}
    if _SHARING_CHANGES in prefer and not prefer >= _NEEDED_FOR_THEM:
        raise invalid_request(f"{_SHARING_CHANGES} needs {' and '.join(sorted(_NEEDED_FOR_THEM))}.")
    given = path["token"] or call.query.get("token")
    context = f"{call.origin}/v1.0/$metadata#Collection(driveItem)"
    if given == "latest":
        link = _link(call, drive, Token(drive.sequence, None, drive.sequence))
        return Answer(200, {"@odata.context": context, "@odata.deltaLink": link, "value": []})
    token = Token.decoded(given) if given else Token()
    if given and token.made_at < drive.void_before:
        raise _gone(call, drive)
    top = call.query.get("$top", str(world.settings.delta_page_size))
    if not top.isdigit() or not 1 <= int(top) <= LARGEST_PAGE:
        raise invalid_request()
    until = drive.sequence if token.until is None else token.until
    size, rows, shown = min(int(top), world.settings.delta_page_size), list[dict[str, Any]](), until
    changes = [one for one in _changed(drive) if token.shown < one.changed_at <= until]
    for number, change in enumerate(changes, 1):
        rows += _rows(world, drive, change, token.start, prefer)
        if len(rows) >= size and number < len(changes):
            shown = change.changed_at
            break
    body: dict[str, Any] = {"@odata.context": context, "value": rows}
    if shown < until:
        body["@odata.nextLink"] = _link(call, drive, Token(token.start, until, shown))
    else:
        body["@odata.deltaLink"] = _link(call, drive, Token(until, None, until))
    return Answer(200, body)


def _changed(drive: Drive) -> list[Item | Gone]:
    return sorted([*drive.items.values(), *drive.gone], key=lambda one: one.changed_at)


def _rows(world: World, drive: Drive, change: Item | Gone, start: int, prefer: set[str]) -> Iterator[dict[str, Any]]:
    if isinstance(change, Gone):
        if start:  # a list of everything does not hold what is not there any more
            yield _deleted_row(drive, change)
        return
    if start:
        yield from (_row(drive, above, prefer) for above in _above(drive, change, prefer))
    row = _row(drive, change, prefer)
    if world.settings.delta_repeats_items:
        yield {**{name: value for name, value in row.items() if name != "shared"}, "name": "an earlier name"}
    # Only files are marked, never folders (msgraph-sdk-java #2548).
    if start and _SHARING_CHANGES in prefer and change.kind == "file" and change.sharing_changed_at > start:
        row["@microsoft.graph.sharedChanged"] = "True"
    yield row


def _above(drive: Drive, item: Item, prefer: set[str]) -> list[Item]:
    """The folders above an item, from the root down; on request the root alone (graph-explorer #4052)."""
    found: list[Item] = []
    while item.parent_id:
        item = drive.items[item.parent_id]
        found.insert(0, item)
    return found[:1] if "deltaexcludeparent" in prefer else found


def _row(drive: Drive, item: Item, prefer: set[str]) -> dict[str, Any]:
    """A driveItem without its path, and with the facet `shared` as the preference says.

    `hierarchicalsharing`: only where permissions begin, empty where nobody has a share; otherwise on all that is
    shared, also from above.
    """
    place = Place(drive, item)
    row = drive_item_row(place)
    row.pop("shared", None)
    row["parentReference"].pop("path", None)
    entries, inherited = sharing.effective(place)
    facet = _shared(entries)
    if "hierarchicalsharing" in prefer:
        return row if inherited else {**row, "shared": facet}
    return {**row, "shared": facet} if facet else row


def _shared(entries: Mapping[str, Entry]) -> dict[str, str]:
    scopes = {entry.link.scope for entry in entries.values() if entry.link}
    if any(entry.user_id or entry.invited or entry.entra_group_id for entry in entries.values()):
        scopes.add("users")
    return next(({"scope": scope} for scope in ("anonymous", "organization", "users") if scope in scopes), {})


def _deleted_row(drive: Drive, gone: Gone) -> dict[str, Any]:
    facet: dict[str, Any] = {"folder": {"childCount": 0}} if gone.kind == "folder" else {"file": {}}
    parent = {"driveType": "documentLibrary", "driveId": drive.id, "id": gone.parent_id}
    return {"id": gone.id, "size": 0, "parentReference": parent, "deleted": {"state": "deleted"}, **facet}


def _link(call: Call, drive: Drive, token: Token) -> str:
    return f"{call.origin}/v1.0/drives/{drive.id}/root/delta(token='{token.encoded()}')"


def _gone(call: Call, drive: Drive) -> GraphError:
    """410: whoever asks has to begin anew, at the address that comes along."""
    where = f"{call.origin}/v1.0/drives/{drive.id}/root/delta()"
    message = "Resync required. Replace any local items with the server's version (including deletes)."
    return GraphError(410, "resyncChangesApplyDifferences", message, location=where)
