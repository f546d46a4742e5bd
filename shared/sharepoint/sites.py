"""Items, permissions and links: the port Sites on Microsoft Graph."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from shared.domain.connections import Destination
from shared.domain.grants import Permission
from shared.domain.platforms import Role
from shared.domain.reasons import Reason
from shared.domain.trouble import LaterError, RefusedError
from shared.graph.client import Graph
from shared.graph.errors import READING_ITEMS, SHARING_ITEMS, USERS, NotThereError
from shared.sharepoint.entries import ACCOUNT_LOGIN, members, needs_login, permission_of, share_token

if TYPE_CHECKING:
    from kiota_abstractions.base_request_builder import BaseRequestBuilder
    from msgraph.generated.drives.item.items.item.drive_item_item_request_builder import DriveItemItemRequestBuilder

    from shared.workflows.ports import Sites

_LONGEST_PATH = 400  # decoded characters, with the site's own part ("Restrictions and limitations in OneDrive")
_BY_PATH = "{+baseurl}/drives/{drive%2Did}/root:{/segments*}:{?%24select}"
_LINK_TYPES = {Role.READ: "view", Role.WRITE: "edit"}


class SharePointSites:
    """Reads and writes permissions. What a write answers is not trusted: its shape varies, so callers read back."""

    def __init__(self, graph: Graph) -> None:
        """Work through that client."""
        self._graph = graph
        self._logins: dict[str, str] = {}

    async def resolve(self, place: Destination, known_id: str | None) -> str | None:
        """Return the item's id: the known one while it exists (it survives renaming and moving), else by path."""
        if known_id is not None and (found := await self._id_at(self._item(place.drive, known_id))):
            return found
        return await self._id_at(self._at_path(place))

    async def address(self, drive: str, item_id: str) -> str | None:
        """Return the item's webUrl; only an https one, because a browser is sent there."""
        try:
            item = await self._graph.get(self._item(drive, item_id), READING_ITEMS, select=["webUrl"])
        except NotThereError:
            return None
        address = item.get("webUrl")
        return address if isinstance(address, str) and address.startswith("https://") else None

    async def permissions(self, drive: str, item_id: str, object_id: str) -> Sequence[Permission]:
        """Return all entries; the account is looked up only when an entry names somebody without an object id."""
        listing = self._graph.pages(self._item(drive, item_id).permissions, READING_ITEMS)
        entries = [entry async for entry in listing]
        login = await self._login(object_id) if any(needs_login(entry) for entry in entries) else None
        return [permission_of(entry, object_id, login) for entry in entries]

    async def grant(self, drive: str, item_id: str, object_id: str, role: Role) -> None:
        """Give a direct role; for somebody who has one it becomes this one."""
        body = {
            "recipients": [{"objectId": object_id}],
            "roles": [role.value],
            "requireSignIn": True,
            "sendInvitation": False,
            "retainInheritedPermissions": True,
        }
        await self._graph.post(self._item(drive, item_id).invite, SHARING_ITEMS, body)

    async def change(self, drive: str, item_id: str, permission_id: str, role: Role) -> None:
        """Change a direct entry's role. Graph knows this for direct entries only."""
        builder = self._item(drive, item_id).permissions.by_permission_id(permission_id)
        await self._graph.patch(builder, SHARING_ITEMS, {"roles": [role.value]})

    async def remove(self, drive: str, item_id: str, permission_id: str) -> None:
        """Remove an entry of the item's own."""
        try:
            await self._graph.delete(
                self._item(drive, item_id).permissions.by_permission_id(permission_id), READING_ITEMS
            )
        except NotThereError:
            return

    async def link(self, drive: str, item_id: str, object_ids: Sequence[str], role: Role) -> str:
        """Make the link, or when Graph answers with our existing one (200) let in whoever is missing."""
        item = self._item(drive, item_id)
        body = {
            "type": _LINK_TYPES[role],
            "scope": "users",
            "recipients": [{"objectId": object_id} for object_id in object_ids],
            "retainInheritedPermissions": True,
            "sendNotification": False,
        }
        reply = await self._graph.post(item.create_link, SHARING_ITEMS, body)
        link_id = reply.body.get("id")
        if not link_id:
            raise LaterError(Reason.GRAPH, detail="Graph's answer to createLink lacks the link's id.")
        if reply.status == 200:
            listing = self._graph.pages(item.permissions, READING_ITEMS)
            let_in = {member async for entry in listing if entry["id"] == link_id for member in members(entry)}
            if missing := [object_id for object_id in object_ids if object_id not in let_in]:
                await self._let_in((reply.body.get("link") or {}).get("webUrl"), missing, role)
        return str(link_id)

    async def _let_in(self, url: str | None, object_ids: Sequence[str], role: Role) -> None:
        if not url:
            raise LaterError(Reason.GRAPH, detail="Graph's answer to createLink lacks the link's address.")
        share = self._graph.client.shares.by_shared_drive_item_id(share_token(url))
        people = {"recipients": [{"objectId": object_id} for object_id in object_ids], "roles": [role.value]}
        await self._graph.post(share.permission.grant, SHARING_ITEMS, people)

    def _item(self, drive: str, item_id: str) -> "DriveItemItemRequestBuilder":
        return self._graph.client.drives.by_drive_id(drive).items.by_drive_item_id(item_id)

    def _at_path(self, place: Destination) -> "BaseRequestBuilder":
        """Return the documented path form; the SDK has no builder for it."""
        from kiota_abstractions.base_request_builder import BaseRequestBuilder

        root = self._graph.client.drives.by_drive_id(place.drive).root
        segments = [segment for segment in place.path.split("/") if segment]
        if not segments:
            return root
        if len("/".join(segments)) > _LONGEST_PATH:
            raise RefusedError(Reason.GRAPH_REFUSED, f"path too long: SharePoint allows {_LONGEST_PATH} characters")
        return BaseRequestBuilder(root.request_adapter, _BY_PATH, {**root.path_parameters, "segments": segments})

    async def _id_at(self, builder: "BaseRequestBuilder") -> str | None:
        try:
            return str((await self._graph.get(builder, READING_ITEMS, select=["id"]))["id"])
        except NotThereError:
            return None

    async def _login(self, object_id: str) -> str | None:
        """Return SharePoint's name for an account, None while the directory does not know it."""
        if object_id not in self._logins:
            try:
                user = await self._graph.get(
                    self._graph.client.users.by_user_id(object_id), USERS, select=["userPrincipalName"]
                )
            except NotThereError:
                return None
            self._logins[object_id] = ACCOUNT_LOGIN + user["userPrincipalName"].lower()
        return self._logins[object_id]


if TYPE_CHECKING:
    _: type[Sites] = SharePointSites
