"""Box: everything that is shared now, folder by folder, as permission sets."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from shared.domain.connections import Connection
from shared.domain.events import Item, Principal, PrincipalKind, ShareEvent
from shared.domain.sources import Page, PermissionSet
from shared.sources.box.models import (
    Collaboration,
    CollaborationPage,
    Entry,
    EntryPage,
    Location,
    Membership,
    User,
    member_of,
    sharer_of,
    understood,
)

if TYPE_CHECKING:
    from shared.sources.box.api import BoxApi

# A page is one step: one call for the page and mostly one for each item that is shared.
_PAGE = 40
# Where the tree is both deep and wide, one item at a time keeps the cursor below 30 kB.
_MANY_TO_DO = 1000


async def scan(api: "BoxApi", connection: Connection, cursor: str | None) -> Page:
    """Read one page of one folder, depth first.

    The cursor is the list of what is left to do, the next one last: a folder's id, or the id and the marker of the
    page where it goes on. It grows with the depth of the tree, not with the account.
    """
    reader = Reader(api, connection)
    to_do: list[str] = ["0"] if cursor is None else json.loads(cursor)
    roots = [await reader.look("folder", "0")] if cursor is None else []
    folder, _, marker = to_do.pop().partition(" ")
    answer = await api.items(folder, marker or None, _PAGE if len(to_do) < _MANY_TO_DO else 1)
    page = EntryPage(entries=[]) if answer is None else understood(EntryPage, answer)
    if page.next_marker:
        to_do.append(f"{folder} {page.next_marker}")
    ours = [entry for entry in page.entries if not entry.is_externally_owned]
    to_do += reversed([entry.id for entry in ours if entry.type == "folder"])
    seen = [await reader.read(entry) for entry in ours if entry.is_shared]
    return Page(
        seen=[one for one in (*roots, *seen) if one is not None],
        cursor=json.dumps(to_do, separators=(",", ":")) if to_do else None,
        more=bool(to_do),
        items=len(page.entries) + len(roots),
    )


async def placed(api: "BoxApi", item: Item, told: Location) -> Item:
    """Return the item with its path, without one where Box does not show it whole or it leads to two places."""
    if item.path is not None or told.path is None or told.top.casefold() in await api.repeated_names():
        return item
    return item.model_copy(update={"path": told.path})


class Reader:
    """Reads permission sets; lives for one step, so that what it remembers is not old."""

    def __init__(self, api: "BoxApi", connection: Connection) -> None:
        """Reading begins now."""
        self._api, self._connection = api, connection
        self._at = datetime.now(UTC).replace(microsecond=0)
        self._groups: dict[str, Sequence[User]] = {}
        self._pending: dict[str, frozenset[str]] = {}

    async def look(self, kind: str, item_id: str) -> PermissionSet | None:
        """Read one item by Box's type and id; None when Box does not show all of it, or it is an outsider's.

        In the trash nobody has access: the set is empty.
        """
        answer = await self._api.item(kind, item_id)
        if answer is None:
            return None
        if answer.get("item_status") == "trashed":
            entry = understood(Entry, {**answer, "name": "", "path_collection": {"entries": []}})
            return PermissionSet(item=entry.item, at=self._at)
        entry = understood(Entry, answer)
        return None if entry.is_externally_owned else await self.read(entry)

    async def read(self, entry: Entry) -> PermissionSet | None:
        """Read the permissions that were given on this item itself; None when Box hides them from the app.

        Box lists those that files inherit as well, and perhaps those of folders: they would make every child a share.
        """
        item, link = await placed(self._api, entry.item, entry), entry.shared_link
        facts: list[ShareEvent] = []
        if link is not None and link.is_open:
            anyone = Principal(kind=PrincipalKind.ANONYMOUS_LINK, source_id=item.id)
            role, name = link.effective_permission, f"shared-link:{item.id}"
            facts.append(self._fact(item, anyone, role, name, expires_at=link.unshared_at))
        if entry.has_collaborations:
            listed = await self._list(entry.type, entry.id)
            if listed is None:
                return None
            inherited = await self._pending_above(entry) if any(told.hides_item for told in listed) else frozenset()
            for told in listed:
                direct = told.hides_item and told.id not in inherited
                if direct or (told.item is not None and told.item.item.id == item.id):
                    facts += await self._facts(item, told)
        return PermissionSet(item=item, at=self._at, facts=tuple(facts))

    async def _list(self, kind: str, item_id: str) -> list[Collaboration] | None:
        found: list[Collaboration] = []
        marker: str | None = None
        while True:
            answer = await self._api.collaborations(kind, item_id, marker)
            if answer is None:
                return None
            page = understood(CollaborationPage, answer)
            found += page.entries
            if not page.next_marker or page.next_marker == marker:
                return found
            marker = page.next_marker

    async def _pending_above(self, entry: Entry) -> frozenset[str]:
        """The invitations to the folders above: while they are pending, only their ids tell them from the item's."""
        for folder in entry.folders_above:
            if folder not in self._pending:
                listed = await self._list("folder", folder) or []
                self._pending[folder] = frozenset(told.id for told in listed if told.hides_item)
        return frozenset().union(*(self._pending[folder] for folder in entry.folders_above))

    async def _facts(self, item: Item, told: Collaboration) -> list[ShareEvent]:
        """One fact, or one for each outside member of a group; a group whose members Box does not show stays one."""
        if told.status == "rejected" or told.is_for_app:
            return []
        given = {
            "sharer": sharer_of(told.created_by),
            "shared_at": told.created_at,
            "expires_at": told.expires_at,
            "pending": told.status == "pending",
        }
        principals = [told.principal]
        if told.principal.kind is PrincipalKind.GROUP and (members := await self._members(told.principal)):
            everybody = [member_of(told.principal, user) for user in members if not user.is_app]
            # Company-wide groups are large, and the company's own people need no guest.
            principals = [one for one in everybody if not (one.address and self._connection.is_internal(one.address))]
        return [self._fact(item, one, told.role, told.id, **given) for one in principals]

    async def _members(self, group: Principal) -> Sequence[User]:
        number = group.source_id or ""
        if number not in self._groups:
            answer = await self._api.memberships(number)
            users = [understood(Membership, entry).user for entry in answer or []]
            self._groups[number] = [user for user in users if user is not None]
        return self._groups[number]

    def _fact(self, item: Item, principal: Principal, role: str | None, reference: str, **given: Any) -> ShareEvent:
        return ShareEvent.seen(self._connection.id, self._at, item, principal, role, reference, **given)
