"""From permission lists to share events: who the people are, as the source tenant's directory knows them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from shared.domain.addresses import InvalidAddressError, digest, normalise
from shared.domain.connections import Connection
from shared.domain.events import Item, Principal, PrincipalKind, ShareEvent
from shared.sources.microsoft365.permissions import (
    Grant,
    Group,
    Part,
    Person,
    Text,
    address_of_login,
    read_permission,
    understood,
)

if TYPE_CHECKING:
    from shared.sources.microsoft365.api import Microsoft365Api

_LONGEST_REFERENCE = 500


class _User(Part):
    id: Text
    mail: Text | None = None
    user_principal_name: Text | None = None
    user_type: str | None = None
    external_user_state: str | None = None
    account_enabled: bool | None = None
    display_name: str | None = None

    @property
    def is_inside(self) -> bool:
        """Tell whether the tenant itself is the account's home. External members exist, and internal guests."""
        return self.user_type != "Guest" and "#ext#" not in (self.user_principal_name or "").lower()

    @property
    def address(self) -> str | None:
        return self.mail or address_of_login(self.user_principal_name or "")

    def principal(self, address: str | None, group: str | None = None) -> Principal:
        name = (self.display_name or "")[:500] or None
        suspended = self.account_enabled is False
        return Principal(
            address=address or self.address, source_id=self.id, name=name, group=group, suspended=suspended
        )

    @property
    def is_pending(self) -> bool:
        return self.external_user_state == "PendingAcceptance"


@dataclass(frozen=True)
class Directory:
    """What the directory says about the people and groups of some permission lists.

    Who is in `asked` and not in `users` was deleted. A group without members here is one whose members are not shown.
    """

    asked: frozenset[str]
    users: Mapping[str, _User]
    members: Mapping[str, Sequence[_User]]


def read_grants(entries: Iterable[Mapping[str, Any]]) -> list[Grant]:
    """Read a whole permission list. May raise LaterError."""
    return [grant for entry in entries if (grant := read_permission(entry)) is not None]


async def look_up(api: "Microsoft365Api", connection: Connection, grants: Sequence[Grant]) -> Directory:
    """Ask the directory for everybody who may be an outside person, once. May raise LaterError and RefusedError."""
    asked = {
        person.id
        for grant in grants
        for person in grant.people
        if person.id and not (person.address and connection.is_internal(person.address))
    }
    users = {key: understood(_User, user) for key, user in (await api.users(asked)).items()} if asked else {}
    members: dict[str, Sequence[_User]] = {}
    for group in sorted({group.id for grant in grants for group in grant.groups if group.id}):
        found = await api.members(group)
        if found is not None:
            members[group] = [
                user
                for user in (understood(_User, one) for one in found)
                if not user.is_inside and not (user.address and connection.is_internal(user.address))
            ]
    return Directory(frozenset(asked), users, members)


def facts_of(
    connection: Connection, item: Item, at: datetime, grants: Iterable[Grant], directory: Directory
) -> tuple[ShareEvent, ...]:
    """Return one fact for everybody whom the grants name and who may be an outside person."""
    facts: dict[tuple[str | None, str], ShareEvent] = {}
    for grant in grants:
        for principal, pending in _principals(item, grant, directory):
            fact = ShareEvent.seen(
                connection.id,
                at,
                item,
                principal,
                grant.role,
                _reference(item, grant, principal),
                sharer=grant.sharer,
                expires_at=grant.expires_at,
                pending=pending,
            )
            facts.setdefault((fact.reference, fact.partition), fact)
    return tuple(facts.values())


def _reference(item: Item, grant: Grant, principal: Principal) -> str:
    """Name the permission: its id together with the item, since one person's id is the same on every item."""
    own = grant.id
    if own is None:
        try:
            own = normalise(principal.address or "")
        except InvalidAddressError:
            own = principal.address or principal.source_id or ""
    reference = f"{item.id}:{own}"
    return reference if len(reference) <= _LONGEST_REFERENCE else f"{item.id}:{digest(own)}"


def _principals(item: Item, grant: Grant, directory: Directory) -> Iterator[tuple[Principal, bool]]:
    if grant.anyone:
        yield Principal(kind=PrincipalKind.ANONYMOUS_LINK, source_id=digest(item.id, grant.id or "")), False
    for person in grant.people:
        if (found := _person(person, directory)) is not None:
            yield found
    for group in grant.groups:
        yield from _group(item, grant, group, directory)


def _person(person: Person, directory: Directory) -> tuple[Principal, bool] | None:
    """Return the person, and whether they have yet to accept; None for somebody of the tenant's own."""
    user = directory.users.get(person.id or "")
    if user is None:
        gone = person.id is not None and person.id in directory.asked
        told = Principal(address=person.address, source_id=person.id, name=person.name, suspended=gone)
        return told, person.pending
    if user.is_inside:
        return None
    return user.principal(person.address), person.pending or user.is_pending


def _group(item: Item, grant: Grant, group: Group, directory: Directory) -> Iterator[tuple[Principal, bool]]:
    members = directory.members.get(group.id or "")
    if members is None:
        source_id = group.id or digest(item.id, grant.id or "", group.name or "")
        yield Principal(kind=PrincipalKind.GROUP, source_id=source_id, name=group.name), False
        return
    for user in members:
        yield user.principal(None, group.name or group.id), user.is_pending
