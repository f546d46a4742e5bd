"""Whose an item is, and as whom it is read: its owner, or in a shared drive somebody of the company who manages it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.domain.connections import Connection
from shared.domain.reasons import Reason
from shared.domain.trouble import RefusedError
from shared.sources.google_workspace.parts import Member, Members, Permission, Permissions, User, understood

if TYPE_CHECKING:
    from shared.sources.google_workspace.api import GoogleApi

# Who may see permissions, the best first: only managers see folders with limited access.
_ROLES = ("organizer", "fileOrganizer", "writer")
_CANDIDATES = 8


@dataclass(frozen=True)
class Home:
    """As whom an item is read, and the shared drive that it is in, if it is in one; else the reader is its owner."""

    reader: str
    drive: str | None = None


class Homes:
    """Finds homes, for one step of work."""

    def __init__(self, api: "GoogleApi", connection: Connection) -> None:
        """`api`: the calls of the step."""
        self._api, self._connection = api, connection
        self._known: dict[str, Home | None] = {}

    async def of_user(self, key: str) -> Home | None:
        """The My Drive of one of the company's users, by id or address; None when nobody can act as them."""
        answer = await self._api.user(key)
        user = None if answer is None else understood(User, answer)
        if user is None or not user.is_active or not self._connection.is_internal(user.primary_email):
            return None
        return Home(user.primary_email)

    async def of_drive(self, drive: str) -> Home | None:
        """A shared drive; None when it is not one of the company's.

        Raises RefusedError when nobody of the company manages it: Google lets nobody else look inside.
        """
        if drive not in self._known:
            self._known[drive] = await self._of_drive(drive)
        return self._known[drive]

    async def _of_drive(self, drive: str) -> Home | None:
        answer = await self._api.members_of_drive(drive, None)
        if answer is None:
            return None
        members = understood(Permissions, answer).permissions
        able = sorted((m for m in members if m.role in _ROLES and not m.deleted), key=self._preference)
        for member in able[:_CANDIDATES]:
            for address in await self._people(member):
                if await self.of_user(address) is not None:
                    return Home(address, drive)
        raise RefusedError(
            Reason.SOURCE_REFUSED,
            "No active person of the company manages this shared drive. Add the connection's administrator as manager.",
        )

    def _preference(self, member: Permission) -> tuple[bool, int, bool]:
        is_administrator = member.email_address == self._api.administrator
        return (not is_administrator, _ROLES.index(member.role), member.type != "user")

    async def _people(self, member: Permission) -> list[str]:
        address = member.email_address
        if address is None or not self._connection.is_internal(address):
            return []
        if member.type != "group":
            return [address]
        answer = await self._api.members(address, None)
        people = [] if answer is None else understood(Members, answer).members
        return [person.email for person in people[:_CANDIDATES] if _is_person(person) and person.email]


def _is_person(member: Member) -> bool:
    return member.type == "USER"
