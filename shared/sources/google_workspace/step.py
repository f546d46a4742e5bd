"""One step of work on items of Drive: a page of a poll or a scan, one look, or one fact to complete."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from shared.domain.connections import Connection
from shared.domain.events import Item, ShareEvent
from shared.domain.platforms import ItemKind
from shared.domain.sources import PermissionSet
from shared.domain.trouble import RefusedError
from shared.sources.google_workspace.homes import Home, Homes
from shared.sources.google_workspace.parts import Activities, Drives, File, understood
from shared.sources.google_workspace.reports import Whereabouts, whereabouts
from shared.sources.google_workspace.sharing import Sharing, now

if TYPE_CHECKING:
    from shared.sources.google_workspace.api import GoogleApi

_ENOUGH_CALLS, _ENOUGH_FACTS = 40, 200  # then the step ends; what the last item needs comes on top


class _ForeignError(Exception):
    """The item is not one of the company's."""


class Step:
    """Asks Google about items, and nothing twice."""

    def __init__(self, api: "GoogleApi", connection: Connection) -> None:
        """`api`: the calls of the step."""
        self.api, self._connection = api, connection
        self.homes, self.sharing = Homes(api, connection), Sharing(api, connection)

    async def read(
        self, home: Home, todo: Sequence[str], known: Mapping[str, File], at: datetime, *, gone_too: bool
    ) -> tuple[list[PermissionSet], tuple[str, ...]]:
        """Read who has these items of one home; return that, and the items that are for another step.

        `known`: files as they were listed at the time `at`. `gone_too`: nobody has what was deleted; else it is left
        out.
        """
        seen: list[PermissionSet] = []
        facts = 0
        for number, ident in enumerate(todo):
            if self.api.calls >= _ENOUGH_CALLS or facts >= _ENOUGH_FACTS:
                return seen, tuple(todo[number:])
            found = await self._one(home, ident, known.get(ident), at, gone_too)
            if found is not None:
                seen.append(found)
                facts += len(found.facts)
        return seen, ()

    async def _one(
        self, home: Home, ident: str, file: File | None, at: datetime, gone_too: bool
    ) -> PermissionSet | None:
        if ident == home.drive:
            return await self.sharing.of_drive(ident)
        if file is None:
            at, answer = now(), await self.api.file(home.reader, ident)
            if answer is None:
                return await self._gone(home, ident, at) if gone_too else None
            file = understood(File, answer)
        return await self.sharing.of_file(file, home, at) if is_at(file, home) else None

    async def _gone(self, home: Home, ident: str, at: datetime) -> PermissionSet | None:
        """The empty set of an item that was here until its end; None when only who asks has lost it.

        A home that loses an item to another one says the same as one that loses it for good.
        """
        lived = await self._last_seen(ident)
        was_here = lived is not None and (
            lived.drive == home.drive if home.drive else _is_same(lived.owner, home.reader)
        )
        return PermissionSet(item=Item(id=ident, kind=lived.kind), at=at) if lived and was_here else None

    async def look(self, item: Item) -> PermissionSet | None:
        """Read one item's permissions, wherever it is now; None when Google does not show it."""
        if item.kind is ItemKind.ROOT:
            return await self.sharing.of_drive(item.id)
        async for home in self._possible_homes(item):
            try:
                at, answer = now(), await self.api.file(home.reader, item.id)
                if answer is None:
                    continue
                file = understood(File, answer)
                lives = home if is_at(file, home) else await self._home(_told_by(file))
                return None if lives is None else await self.sharing.of_file(file, lives, at)
            except RefusedError:  # nobody can act as this one; somebody else may see it
                continue
        return None

    async def complete(self, event: ShareEvent, lives: Whereabouts | None) -> list[ShareEvent]:
        """Complete what a report tells with the item's path, and the members of a group.

        Nothing comes of what is not the company's, or is for its own people alone. What Google does not show now
        stays as it was told.
        """
        item, address = event.item, event.principal.address or ""
        as_told = [] if self._connection.is_internal(address) else [event]
        if item is None:
            return as_told
        try:
            seen = await self._present(item, lives or await self._last_seen(item.id))
        except _ForeignError:
            return []
        except RefusedError:  # nobody can act as the owner
            return as_told
        if seen is None:
            return as_told
        facts = [fact for fact in seen.facts if fact.reference == event.reference]
        if not facts:  # taken back since; that is told too
            return [one.model_copy(update={"item": seen.item}) for one in as_told]
        outside = [fact for fact in facts if not self._connection.is_internal(fact.principal.address or "")]
        return [
            event.model_copy(
                update={
                    "id": event.id if len(facts) == 1 else f"{event.id}:{fact.partition}",
                    "principal": fact.principal,
                    "item": seen.item,
                    "expires_at": fact.expires_at,
                }
            )
            for fact in outside
        ]

    async def _present(self, item: Item, lives: Whereabouts | None) -> PermissionSet | None:
        """The item's set now, None when Google does not show it. Raises _ForeignError when it is not the company's."""
        if item.kind is ItemKind.ROOT:
            root = await self.sharing.of_drive(item.id)
            if root is None:
                raise _ForeignError
            return root
        home = await self._home(lives) if lives else None
        is_ours = lives is None or lives.owner is None or self._connection.is_internal(lives.owner)
        if not is_ours or (lives and lives.drive and home is None):
            raise _ForeignError
        if home is None:
            return None
        at, answer = now(), await self.api.file(home.reader, item.id)
        file = None if answer is None else understood(File, answer)
        return await self.sharing.of_file(file, home, at) if file and is_at(file, home) else None

    # --- where an item may be

    async def _possible_homes(self, item: Item) -> AsyncIterator[Home]:
        first, _, rest = (item.path or "").removeprefix("/").partition("/")
        named: list[Whereabouts] = []
        if "@" in first:
            named = [Whereabouts(item.kind, owner=first)]
        elif first:
            drives = understood(Drives, await self.api.drives(None, 2, named=rest.partition("/")[0])).drives
            named = [Whereabouts(item.kind, drive=drive.id) for drive in drives]
        for lives in named:
            if (home := await self._reachable(lives)) is not None:
                yield home
        lived = await self._last_seen(item.id)
        if lived is not None and (home := await self._reachable(lived)) is not None:
            yield home

    async def _reachable(self, lives: Whereabouts) -> Home | None:
        try:
            return await self._home(lives)
        except RefusedError:
            return None

    async def _home(self, lives: Whereabouts) -> Home | None:
        if lives.drive is not None:
            return await self.homes.of_drive(lives.drive)
        return await self.homes.of_user(lives.owner) if lives.owner else None

    async def _last_seen(self, ident: str) -> Whereabouts | None:
        found = understood(Activities, await self.api.last_activity(ident)).items
        return whereabouts(found[0], ident) if found else None


def is_at(file: File, home: Home) -> bool:
    """Tell whether the home is where the file lives: somebody who only sees it does not tell of it."""
    if home.drive is not None:
        return file.drive_id == home.drive
    return any(_is_same(owner.email_address, home.reader) for owner in file.owners)  # none in a shared drive


def _told_by(file: File) -> Whereabouts:
    owner = next((owner.email_address for owner in file.owners), None)
    return Whereabouts(file.kind, owner=owner, drive=file.drive_id)


def _is_same(address: str | None, other: str) -> bool:
    return address is not None and address.strip().lower() == other.strip().lower()
