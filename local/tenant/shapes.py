"""SharePoint's items and permissions in the JSON shapes of Graph."""

import uuid
from typing import Any
from urllib.parse import quote

from local.tenant.sharing import Place, effective, share_id
from local.tenant.state import Entry, User, World, iso

_NO_DATE = "0001-01-01T00:00:00Z"
"""How SharePoint writes that there is no date."""


def drive_item_row(place: Place) -> dict[str, Any]:
    """A driveItem; granting raises the eTag's counter, not the cTag's."""
    drive, item = place.drive, place.item
    _, inherited = effective(place)
    row: dict[str, Any] = {
        "createdDateTime": iso(item.created),
        "eTag": f'"{{{item.id}}},{item.changes}"',
        "id": item.id,
        "lastModifiedDateTime": iso(item.created),
        "name": item.name,
        "webUrl": place.web_url,
        "cTag": f'"c:{{{item.id}}},1"',
        "size": 0,
        "parentReference": {"driveType": "documentLibrary", "driveId": drive.id},
    }
    if item.parent_id:
        path = drive.path(drive.items[item.parent_id])
        row["parentReference"] |= {
            "id": item.parent_id,
            "name": drive.name if item.parent_id == drive.root_id else drive.items[item.parent_id].name,
            "path": f"/drives/{drive.id}/root:{quote(path) if path != '/' else ''}",
        }
    else:
        row["root"] = {}
    if item.kind == "folder":
        row["folder"] = {"childCount": len(drive.children(item))}
    else:
        row["file"] = {"mimeType": "application/octet-stream", "hashes": {}}
    if item.parent_id and not inherited:
        row["shared"] = {"scope": "users"}
    return row


def permission_row(world: World, entry: Entry, *, inherited: bool, site_user: bool = True) -> dict[str, Any]:
    """A permission; `site_user` is false in the answer to an invite, which leaves siteUser out."""
    if entry.link:
        row = link_row(world, entry)
    elif entry.invited and not entry.user_id:
        row = {"id": entry.id, "roles": [entry.role], "expirationDateTime": _NO_DATE}
    elif entry.entra_group_id:
        group = world.groups[entry.entra_group_id]
        login = f"c:0t.c|tenant|{group.id}"
        row = {
            "id": entry.id,
            "roles": [entry.role],
            "grantedTo": {"user": {"displayName": group.display_name}},
            "grantedToV2": {
                "group": {"id": group.id, "displayName": group.display_name},
                "siteUser": {"id": "20", "displayName": group.display_name, "loginName": login},
            },
        }
    elif entry.user_id:
        user = world.users[entry.user_id]
        identity = _identity(user)
        row = {
            "id": entry.id,
            "roles": [entry.role],
            "grantedTo": {"user": {"displayName": identity["displayName"], "email": identity["email"]}},
            "grantedToV2": {"user": identity},
        }
        if site_user:
            row["grantedToV2"]["siteUser"] = _site_user(user)
    else:
        row = {
            "id": entry.id,
            "roles": [entry.role],
            "grantedTo": {"user": {"displayName": entry.group}},
            "grantedToV2": {"siteGroup": {"id": "3", "displayName": entry.group, "loginName": entry.group}},
        }
    if entry.invited:
        inviter = world.users.get(entry.invited_by or "")
        row["invitation"] = {"email": entry.invited, "signInRequired": True}
        if inviter:
            row["invitation"]["invitedBy"] = {"user": _identity(inviter)}
    if inherited:
        # The key alone marks an inherited entry: SharePoint leaves it empty.
        row["inheritedFrom"] = {}
    return row


def link_row(world: World, entry: Entry) -> dict[str, Any]:
    """The permission of a sharing link."""
    link = entry.link
    if link is None:
        raise ValueError("not a link")
    holders = [world.users[member] for member in link.members]
    blocks = link.type == "blocksDownload"
    row: dict[str, Any] = {
        "id": entry.id,
        "roles": [entry.role],
        "shareId": share_id(link.web_url),
        "hasPassword": False,
        "grantedToIdentitiesV2": [{"user": _identity(user), "siteUser": _site_user(user)} for user in holders],
        "grantedToIdentities": [{"user": _identity(user)} for user in holders],
        "link": {"scope": link.scope, "type": link.type, "webUrl": link.web_url, "preventsDownload": blocks},
    }
    if link.expires:
        row["expirationDateTime"] = link.expires
    return row


def _identity(user: User) -> dict[str, str | None]:
    return {"displayName": user.display_name, "email": user.mail, "id": user.id}


def _site_user(user: User) -> dict[str, Any]:
    return {
        "displayName": user.display_name,
        "email": user.mail,
        "id": str(user.number),
        "loginName": user.claims_login,
    }


def new_item_id() -> str:
    """An item id of SharePoint's kind."""
    return "01" + uuid.uuid4().hex.upper()
