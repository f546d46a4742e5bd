"""What Dropbox shows when it is asked: where shared content lies, whose it is, and who has it.

Ids of items: `folder:` and the shared folder's id (its namespace), `file:` and the file's id, `link:` and `sent:` for a
member's links and for those to whom a link was sent, see dropbox_links.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from shared.domain.addresses import InvalidAddressError, digest, normalise
from shared.domain.connections import Connection
from shared.domain.events import Item, Principal, PrincipalKind, ShareEvent
from shared.domain.platforms import ItemKind
from shared.domain.sources import PermissionSet
from shared.sources.dropbox.api import Acting, DropboxApi, NotShownError
from shared.sources.dropbox.log import Asset
from shared.sources.dropbox.parts import Group, Member, Members, SharedFolder, User

_DEEPEST = 50  # shared folders within shared folders
_ID = r"[-_0-9a-zA-Z:]{1,150}"


class ForeignError(NotShownError):
    """It belongs to another organisation: it is shared to us, not by us."""

    def __init__(self) -> None:
        super().__init__("foreign")


class DropboxReader:
    """Reads for the length of one task, and asks for nothing twice in it. May raise LaterError and RefusedError."""

    def __init__(self, connection: Connection, api: DropboxApi) -> None:
        """`api`: the connection's account."""
        self.connection, self.api = connection, api
        self._folders: dict[str, SharedFolder] = {}
        self._members: dict[str, Member | None] = {}
        self._groups: dict[str, list[Member] | None] = {}

    # --- where it lies, and whose it is

    async def folder(self, namespace: str) -> SharedFolder:
        """Return a shared folder of our team. Raises NotShownError, ForeignError."""
        if namespace not in self._folders:
            if not re.fullmatch(_ID, namespace):
                raise NotShownError("invalid_id")
            folder = await self.api.folder(namespace)
            if folder.owner_team is None or folder.owner_team.id != await self.api.team_id():
                raise ForeignError
            self._folders[namespace] = folder
        return self._folders[namespace]

    async def member(self, team_member_id: str) -> Member | None:
        """Return a team member's profile."""
        if team_member_id not in self._members:
            self._members[team_member_id] = await self.api.member(team_member_id)
        return self._members[team_member_id]

    async def is_team_root(self, namespace: str) -> bool:
        """Tell whether it is the team space itself. Teams with team folders instead have none."""
        admin = await self.api.admin()
        return namespace == admin.root_folder_id != admin.member_folder_id

    async def item(self, namespace: str, path: str | None = None) -> Item:
        """Return the item that a shared folder is."""
        if await self.is_team_root(namespace):
            return Item(id=f"folder:{namespace}", kind=ItemKind.ROOT, path="/")
        return Item(id=f"folder:{namespace}", kind=ItemKind.FOLDER, path=path)

    async def path(self, folder: SharedFolder, members: Members | None = None) -> str | None:
        """Return the path of a shared folder from the connection's root; None when Dropbox does not show all of it."""
        namespace = folder.shared_folder_id
        if await self.is_team_root(namespace):
            return "/"
        if folder.is_team_folder:
            return place(folder.name)
        try:
            owner = (members or await self.api.folder_members(namespace)).owner
            if owner is not None:
                return await self._path_at_member(folder, owner)
            return await self._path_in_team(folder)
        except NotShownError:
            return None

    async def _path_in_team(self, folder: SharedFolder) -> str | None:
        """Climb to the team folder or the team space that it lies in."""
        top = folder
        for _ in range(_DEEPEST):
            above = top.parent_shared_folder_id
            if above is None:
                return None
            if await self.is_team_root(above):
                return await self._path_from(folder, await self.api.as_admin(above), "")
            top = await self.folder(above)
            if top.is_team_folder:
                return await self._path_from(folder, await self.api.as_admin(above), place(top.name))
        return None

    async def _path_at_member(self, folder: SharedFolder, owner: User) -> str | None:
        if owner.team_member_id is None:
            return None
        base = place(owner.email)
        try:
            return await self._path_from(folder, self.api.as_member(owner.team_member_id), base)
        except NotShownError as error:
            member = await self.member(owner.team_member_id)
            if error.tag != "user_suspended" or member is None or member.member_folder_id is None:
                raise
            # Nobody can act as a suspended member, but an admin sees the member's space.
            return await self._path_from(folder, await self.api.as_admin(member.member_folder_id), base)

    async def _path_from(self, folder: SharedFolder, acting: Acting, base: str | None) -> str | None:
        if folder.folder_id is None:
            return None
        return whole(base, (await self.api.entry(folder.folder_id, acting)).path_display)

    async def namespace_path(self, namespace: str, member: str | None) -> str | None:
        """Return the path of any namespace, also of that member's own space; "" is the team space.

        Raises ForeignError.
        """
        if await self.is_team_root(namespace):
            return ""
        profile = await self.member(member) if member else None
        if profile is not None and profile.member_folder_id == namespace:
            return place(profile.email)
        try:
            return await self.path(await self.folder(namespace))
        except ForeignError:
            raise
        except NotShownError:
            return None

    async def locate(self, asset: Asset, acting: str | None) -> Item:
        """Return the item that the log names; a folder's path is left for later. Raises ForeignError.

        `acting` is a team member who can see it.
        """
        if asset.file_id is not None:
            base = await self.namespace_path(asset.namespace, acting)
            return Item(id=f"file:{asset.file_id}", kind=ItemKind.FILE, path=whole(base, asset.path))
        if asset.path is None:
            return await self.item(asset.namespace)
        try:  # a folder by its place in the one above: which shared folder is it?
            entry = await self.api.entry(f"ns:{asset.namespace}{asset.path}", await self.api.as_admin())
        except NotShownError:
            entry = None
        if entry and entry.sharing_info and entry.sharing_info.shared_folder_id:
            return await self.item(entry.sharing_info.shared_folder_id)
        return Item(id=f"folder:{asset.namespace}{asset.path}"[:500], kind=ItemKind.FOLDER)

    # --- who has it

    async def folder_set(self, namespace: str) -> PermissionSet:
        """Read who has a shared folder. Raises NotShownError, ForeignError."""
        at, folder = reading_began(), await self.folder(namespace)
        members = await self.api.folder_members(namespace)
        item = await self.item(namespace, await self.path(folder, members))
        return PermissionSet(item=item, at=at, facts=await self.facts(item, members, at))

    async def file_set(self, item: Item, acting: str | None) -> PermissionSet:
        """Read who has a file: in the name of a team member who may see it, else in the admin's, who sees those in the
        team's own folders. Raises NotShownError.
        """
        at, file = reading_began(), item.id.removeprefix("file:")
        as_admin = await self.api.as_admin()
        try:
            members = await self.api.file_members(file, self.api.as_member(acting) if acting else as_admin)
        except NotShownError:
            if acting is None:
                raise
            members = await self.api.file_members(file, as_admin)
        return PermissionSet(item=item, at=at, facts=await self.facts(item, members, at))

    async def facts(self, item: Item, members: Members, at: datetime) -> tuple[ShareEvent, ...]:
        """Return a fact for everybody who was given the item itself. A group's internal members are left out."""
        found: list[ShareEvent] = []
        suspended = await self._suspended(one.user for one in members.users)
        for user in (one for one in members.users if one.role):
            principal = person(user.user, suspended=user.user.team_member_id in suspended)
            found.append(self.fact(item, principal, user.role, at))
        for invited in (one for one in members.invitees if one.role and one.invitee.email):
            account = invited.user.account_id if invited.user else None
            principal = Principal(address=invited.invitee.email, source_id=account)
            found.append(self.fact(item, principal, invited.role, at, pending=True))
        for group in (one for one in members.groups if one.role):
            for principal in await self._group(group.group):
                found.append(self.fact(item, principal, group.role, at, group=group.group.group_id))
        return tuple(found)

    def fact(
        self,
        item: Item,
        principal: Principal,
        role: str | None,
        at: datetime,
        *,
        pending: bool = False,
        group: str | None = None,
    ) -> ShareEvent:
        """Return a fact as it was seen. The sharer and the date of the gift are in no list of Dropbox's."""
        name = reference(item, principal, group)
        return ShareEvent.seen(self.connection.id, at, item, principal, role, name, pending=pending)

    async def group_members(self, group_id: str) -> list[Member] | None:
        """Return a group's members; None for groups of other teams, and for one that is gone."""
        if group_id not in self._groups:
            try:
                self._groups[group_id] = await self.api.group_members(group_id)
            except NotShownError:
                self._groups[group_id] = None
        return self._groups[group_id]

    async def is_suspended(self, address: str, team_member_id: str | None) -> bool:
        """Tell whether a team member is suspended or removed. Only asked where it matters: for outside addresses."""
        if team_member_id is None or self.connection.is_internal(address):
            return False
        member = await self.member(team_member_id)
        return member is not None and member.is_suspended

    async def _suspended(self, users: Iterable[User]) -> set[str]:
        asked = [user for user in users if user.same_team and user.team_member_id]
        return {
            user.team_member_id
            for user in asked
            if user.team_member_id and await self.is_suspended(user.email, user.team_member_id)
        }

    async def _group(self, group: Group) -> Sequence[Principal]:
        members = await self.group_members(group.group_id) if group.same_team else None
        if not members:
            return [Principal(kind=PrincipalKind.GROUP, source_id=group.group_id, name=group.group_name)]
        return [
            in_group(member, group.group_name) for member in members if not self.connection.is_internal(member.email)
        ]


def person(user: User, *, suspended: bool) -> Principal:
    """Return a person with an account."""
    return Principal(address=user.email or None, source_id=user.account_id, name=user.display_name, suspended=suspended)


def in_group(member: Member, group: str) -> Principal:
    """Return a person who has it through a group."""
    return Principal(
        address=member.email or None, source_id=member.account_id, suspended=member.is_suspended, group=group
    )


def reference(item: Item, principal: Principal, group: str | None = None) -> str:
    """Return what the log and the lists both tell of a permission: its item and who has it. Dropbox gives it no id."""
    if group is not None or principal.kind is PrincipalKind.GROUP:
        return f"{item.id}:{group or principal.source_id}"[:500]
    try:
        who = normalise(principal.address or "")
    except InvalidAddressError:
        who = principal.source_id or digest(principal.address or "")
    return f"{item.id}:{who}" if len(item.id) + len(who) < 500 else digest(item.id, who)


def place(name: str) -> str | None:
    """Return the path of a place at the root; None for a name that would be two."""
    return f"/{name}" if name and "/" not in name else None


def whole(base: str | None, path: str | None = "") -> str | None:
    """Return a path in one piece; None when a part of it is missing or empty."""
    if base is None or path is None or (path and not path.startswith("/")):
        return None
    joined = base + path
    return joined if all(joined.split("/")[1:]) and len(joined) <= 4000 else None


def reading_began() -> datetime:
    """Return now, in whole seconds as Dropbox's log counts."""
    return datetime.now(UTC).replace(microsecond=0)
