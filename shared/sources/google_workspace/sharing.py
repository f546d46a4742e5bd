"""Who has an item of Drive now, for one step of work: every group and account is asked for once."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from shared.domain.addresses import InvalidAddressError, normalise
from shared.domain.connections import Connection
from shared.domain.events import Item, ShareEvent
from shared.domain.platforms import ItemKind
from shared.domain.sources import PermissionSet
from shared.sources.google_workspace.homes import Home
from shared.sources.google_workspace.parts import File, Permission, Permissions, understood
from shared.sources.google_workspace.paths import Paths
from shared.sources.google_workspace.people import People
from shared.sources.google_workspace.reports import reference

if TYPE_CHECKING:
    from shared.sources.google_workspace.api import GoogleApi


def now() -> datetime:
    """The time in whole seconds, at which a reading begins."""
    return datetime.now(UTC).replace(microsecond=0)


class Sharing:
    """Reads permission lists into permission sets."""

    def __init__(self, api: "GoogleApi", connection: Connection) -> None:
        """`api`: the calls of the step."""
        self._api, self._connection = api, connection
        self._paths, self._people = Paths(api), People(api, connection)

    async def of_file(self, file: File, home: Home, at: datetime) -> PermissionSet | None:
        """The present set of a file that was read at that time; None when its permissions are not shown.

        Of what is in the trash, or known not to be shared, nobody has anything.
        """
        item = Item(id=file.id, kind=file.kind)
        if file.trashed or not file.may_be_shared:
            return PermissionSet(item=item, at=at)
        at = now()
        permissions = await _every(partial(self._api.permissions, home.reader, file.id))
        if permissions is None:
            return None
        facts = await self._facts(item, at, permissions)
        if any(self._is_external(fact) for fact in facts):
            item = item.model_copy(update={"path": await self._paths.of_file(file, home)})
        return _set(item, at, facts)

    async def of_drive(self, drive: str) -> PermissionSet | None:
        """The members of a shared drive, which are the permissions of its root; None when it is not shown."""
        item, at = Item(id=drive, kind=ItemKind.ROOT), now()
        permissions = await _every(partial(self._api.members_of_drive, drive))
        if permissions is None:
            return None
        facts = await self._facts(item, at, permissions)
        if any(self._is_external(fact) for fact in facts):
            item = item.model_copy(update={"path": await self._paths.of_drive(drive)})
        return _set(item, at, facts)

    def _is_external(self, fact: ShareEvent) -> bool:
        address = fact.principal.address
        return address is None or not self._connection.is_internal(address)

    async def _facts(self, item: Item, at: datetime, permissions: list[Permission]) -> list[ShareEvent]:
        return [
            ShareEvent.seen(
                self._connection.id,
                at,
                item,
                principal,
                role,
                _reference(item, permission),
                expires_at=permission.expiration_time,
            )
            for permission in permissions
            if (role := permission.given_role) is not None and not self._is_owner(permission)
            for principal in await self._people.of(permission)
        ]

    def _is_owner(self, permission: Permission) -> bool:
        """Tell whether it is what makes the item the company's own, which no sharing is."""
        address = permission.email_address
        return permission.role == "owner" and (address is None or self._connection.is_internal(address))


async def _every(ask: Callable[[str | None], Awaitable[dict[str, Any] | None]]) -> list[Permission] | None:
    found: list[Permission] = []
    token: str | None = None
    while True:
        answer = await ask(token)
        if answer is None:
            return None
        page = understood(Permissions, answer)
        found += page.permissions
        token = page.next_page_token
        if token is None:
            return found


def _set(item: Item, at: datetime, facts: list[ShareEvent]) -> PermissionSet:
    return PermissionSet(item=item, at=at, facts=tuple(fact.model_copy(update={"item": item}) for fact in facts))


def _reference(item: Item, permission: Permission) -> str:
    """Return the permission's name: by its address where it shows one, for that is what reports tell."""
    if permission.type in ("user", "group") and permission.email_address:
        try:
            return reference(item.id, normalise(permission.email_address))
        except InvalidAddressError:
            pass
    return f"{item.id}:permission:{permission.id}"
