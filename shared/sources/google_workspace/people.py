"""To whom a permission of Drive opens, for one step of work: every group and account is asked for once."""

from typing import TYPE_CHECKING

from shared.domain.addresses import domain_of
from shared.domain.connections import Connection
from shared.domain.events import Principal, PrincipalKind
from shared.sources.google_workspace.parts import Domains, Member, Members, Permission, User, understood

if TYPE_CHECKING:
    from shared.sources.google_workspace.api import GoogleApi

_MOST_PAGES = 25  # of 200 members
_INACTIVE = {"SUSPENDED", "ARCHIVED"}
_EVERYBODY = "CUSTOMER"  # a member that stands for all of the company


class People:
    """Makes principals of permissions: a group becomes its outside members, where the company's directory tells."""

    def __init__(self, api: "GoogleApi", connection: Connection) -> None:
        """`api`: the calls of the step."""
        self._api, self._connection = api, connection
        self._groups: dict[str, list[Principal] | None] = {}
        self._suspended: dict[str, bool] = {}
        self._domains: frozenset[str] | None = None

    async def of(self, permission: Permission) -> list[Principal]:
        """Return who has a permission; nobody when it is for the company alone."""
        if permission.type == "group":
            return await self._group(permission)
        if permission.type == "user":
            return [
                Principal(
                    address=permission.email_address or None,
                    source_id=permission.id,
                    name=permission.display_name or None,
                    suspended=permission.deleted or await self._is_suspended(permission.email_address),
                )
            ]
        domain = permission.domain if permission.type == "domain" else None
        if domain is not None and domain.lower() in self._connection.internal_domains:
            return []
        return [Principal(kind=PrincipalKind.ANONYMOUS_LINK, source_id=permission.id, name=domain)]

    async def _group(self, permission: Permission) -> list[Principal]:
        address = permission.email_address
        if permission.deleted:
            return []
        members = await self._members(address) if address else None
        if members is None:
            return [_untold(address or permission.id, permission.display_name)]
        return members

    async def _members(self, group: str) -> list[Principal] | None:
        if group not in self._groups:
            found = await self._listed(group)
            self._groups[group] = (
                None
                if found is None
                else [principal for member in found for principal in await self._of_member(member, group)]
            )
        return self._groups[group]

    async def _listed(self, group: str) -> list[Member] | None:
        """A group's members; None when the directory does not know the group, or there are too many."""
        found: list[Member] = []
        token: str | None = None
        for _ in range(_MOST_PAGES):
            answer = await self._api.members(group, token)
            if answer is None:
                return None
            page = understood(Members, answer)
            found += (member for member in page.members if not self._is_internal(member.email))
            token = page.next_page_token
            if token is None:
                return found
        return None

    async def _of_member(self, member: Member, group: str) -> list[Principal]:
        if member.type == _EVERYBODY:
            return []
        if member.type == "GROUP":  # somebody else's; those of the company are listed with their members
            return [_untold(member.email or member.id or group, None)]
        suspended = member.status in _INACTIVE or await self._is_suspended(member.email)
        return [Principal(address=member.email or None, source_id=member.id, suspended=suspended, group=group)]

    async def _is_suspended(self, address: str | None) -> bool:
        """Tell whether the address is a suspended account of the company, under a domain that is not the connection's.

        Other companies' accounts are not shown to anybody.
        """
        if address is None or self._is_internal(address):
            return False
        if self._domains is None:
            self._domains = understood(Domains, await self._api.domains()).names
        if domain_of(address.strip().lower()) not in self._domains:
            return False
        if address not in self._suspended:
            answer = await self._api.user(address)
            self._suspended[address] = answer is not None and not understood(User, answer).is_active
        return self._suspended[address]

    def _is_internal(self, address: str | None) -> bool:
        return address is not None and self._connection.is_internal(address)


def _untold(group: str, name: str | None) -> Principal:
    return Principal(kind=PrincipalKind.GROUP, source_id=group, name=name or None)
