"""SharePoint's rules: who holds what on an item, inheritance, grants and links."""

import base64
import secrets
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from local.tenant.errors import (
    GraphError,
    invalid_request,
    item_not_found,
    no_resolved_users,
    not_allowed,
    sharing_disabled,
    unknown_external_address,
)
from local.tenant.state import Drive, Entry, Item, Link, User, World

LINK_TYPES = {"view": "read", "edit": "write"}
LINK_SCOPES = ("anonymous", "organization", "users")
SITE = "https://contoso.sharepoint.com"


@dataclass(frozen=True)
class Place:
    """An item in its drive."""

    drive: Drive
    item: Item

    @property
    def web_url(self) -> str:
        """Where a browser finds the item."""
        return f"{SITE}/{quote(self.drive.name)}{quote(self.drive.path(self.item))}".rstrip("/")


def permission_id(user: User) -> str:
    """The id of a user's permission: unpadded base64url of the claims login, the same on every item."""
    return base64.urlsafe_b64encode(user.claims_login.encode()).decode().rstrip("=")


def group_permission_id(name: str) -> str:
    """The id of a site group's permission."""
    return base64.urlsafe_b64encode(name.encode()).decode().rstrip("=")


def share_id(web_url: str) -> str:
    """A sharing URL in the form that /shares/{id} takes."""
    return "u!" + base64.urlsafe_b64encode(web_url.encode()).decode().rstrip("=")


def effective(place: Place) -> tuple[dict[str, Entry], bool]:
    """The entries that hold on an item, and whether it inherits them from its nearest unique ancestor."""
    item = place.item
    while item.entries is None:
        item = place.drive.items[str(item.parent_id)]
    return item.entries, item is not place.item


def own_entries(place: Place, *, retain: bool = True) -> dict[str, Entry]:
    """The item's own entries, breaking inheritance if need be: each inherited entry becomes an explicit copy."""
    entries, inherited = effective(place)
    if inherited:
        entries = {key: replace(entry, copied=True) for key, entry in entries.items()} if retain else {}
        place.item.entries = entries
    return entries


def check_roles(roles: Any) -> str:
    """The stronger of the asked roles; only read and write can be given."""
    if not isinstance(roles, list) or not roles or not set(roles) <= {"read", "write"}:
        raise invalid_request()
    return "write" if "write" in roles else "read"


def resolve(world: World, recipients: Any, now: float) -> list[User]:
    """The accounts behind recipients as SharePoint knows them; one that is unknown fails the whole call."""
    if not isinstance(recipients, list) or not recipients:
        raise invalid_request()
    return [_resolve_one(world, recipient, now) for recipient in recipients]


def _resolve_one(world: World, recipient: Any, now: float) -> User:
    if not isinstance(recipient, dict):
        raise invalid_request()
    given = {name: value for name, value in recipient.items() if name != "@odata.type" and value is not None}
    if len(given) != 1 or not set(given) <= {"objectId", "email", "alias"}:
        raise invalid_request()
    (name, value), *_ = given.items()
    if not isinstance(value, str):
        raise invalid_request()
    if name == "objectId":
        user = world.users.get(value)
    elif name == "email":
        user = world.user_by_address(value)
    else:
        user = world.user_by_address(f"{value}@{world.settings.initial_domain}")
    if user is None and name == "email":
        raise unknown_external_address()
    if user is None and name == "alias":
        raise invalid_request("One or more users could not be resolved.")
    if user is None or now < user.seen_in_sharepoint_from:
        raise no_resolved_users()
    return user


def check_policy(world: World, users: Iterable[User]) -> None:
    """Raises GraphError 403 when the tenant's sharing policy keeps one of these users out."""
    settings = world.settings
    for user in users:
        if user.internal:
            continue
        domain = (user.mail or "").partition("@")[2].lower()
        mode = settings.sharing_domain_restriction_mode
        if (
            settings.sharing_capability == "disabled"
            or (mode == "blockList" and domain in settings.sharing_blocked_domain_list)
            or (mode == "allowList" and domain not in settings.sharing_allowed_domain_list)
        ):
            raise sharing_disabled()


def grant(place: Place, user: User, role: str, *, retain: bool = True) -> Entry:
    """Give a user a role on an item; the same user granted again has the new role."""
    entries = own_entries(place, retain=retain)
    entry = Entry(permission_id(user), role, user_id=user.id, granted_while_pending=user.pending)
    entries[entry.id] = entry
    place.drive.touch(place.item, sharing=True)
    return entry


def create_link(place: Place, body: Mapping[str, Any], members: Sequence[User]) -> tuple[Entry, bool]:
    """The sharing link of this type and scope on an item, and whether it is new."""
    kind, scope = str(body["type"]), str(body["scope"])
    entries = own_entries(place, retain=body.get("retainInheritedPermissions") is not False)
    for entry in entries.values():
        link = entry.link
        if link and (link.item_id, link.type, link.scope) == (place.item.id, kind, scope):
            add_members(link, members)
            return entry, False
    shape = "f" if place.item.kind == "folder" else "b"
    link = Link(
        id=str(uuid.uuid4()),
        item_id=place.item.id,
        type=kind,
        scope=scope,
        web_url=f"{SITE}/:{shape}:/g/{secrets.token_urlsafe(24)}",
        expires=body.get("expirationDateTime"),
    )
    add_members(link, members)
    entry = Entry(link.id, LINK_TYPES[kind], link=link)
    entries[entry.id] = entry
    place.drive.touch(place.item, sharing=True)
    return entry, True


def add_members(link: Link, users: Iterable[User]) -> None:
    """Let people use a link of scope users."""
    for user in users:
        link.members[user.id] = user.pending


def find_link(world: World, identifier: str) -> tuple[Place, Entry]:
    """The link behind a share id; raises GraphError 404."""
    for drive in world.drives.values():
        for item in drive.items.values():
            for entry in (item.entries or {}).values():
                if entry.link and entry.link.item_id == item.id and share_id(entry.link.web_url) == identifier:
                    return Place(drive, item), entry
    raise item_not_found()


def own_entry(place: Place, identifier: str) -> tuple[dict[str, Entry], Entry]:
    """An entry that can be changed here; raises GraphError 404, or 403 for an inherited one."""
    entries, inherited = effective(place)
    if identifier not in entries:
        raise item_not_found()
    if inherited:
        raise not_allowed("An inherited permission can only be changed where it is set.")
    return entries, entries[identifier]


def change_role(place: Place, identifier: str, roles: Any) -> Entry:
    """Change the role of a user's own entry; raises GraphError for links and site groups."""
    _, entry = own_entry(place, identifier)
    if entry.user_id is None:
        raise GraphError(400, "notSupported", "Updating this type of permission is not supported.")
    entry.role, entry.copied = check_roles(roles), False
    place.drive.touch(place.item, sharing=True)
    return entry


def revoke(place: Place, identifier: str) -> None:
    """Remove an own entry; the item stays without inheritance. A delta does not tell of removed links."""
    entries, entry = own_entry(place, identifier)
    del entries[entry.id]
    if entry.link:
        place.item.changes += 1
    else:
        place.drive.touch(place.item, sharing=True)


def held(world: World, place: Place, now_iso: str, *, own_only: bool) -> list[dict[str, Any]]:
    """Who has which role on an item, one row per person (or per link that is open to more than named people)."""
    entries, inherited = effective(place)
    if inherited and own_only:
        return []
    rows = []
    for entry in entries.values():
        row = {
            "drive": place.drive.id,
            "path": place.drive.path(place.item),
            "itemId": place.item.id,
            "permissionId": entry.id,
            "role": entry.role,
            "inherited": inherited,
            "copied": entry.copied,
        }
        link = entry.link
        if entry.user_id:
            user = world.users[entry.user_id]
            rows.append({**row, "mail": user.mail, "userId": user.id, "via": "direct", "linkType": None})
        elif link and not (link.expires and link.expires <= now_iso):
            holders = [world.users[member] for member in link.members] if link.scope == "users" else [None]
            rows += [
                {
                    **row,
                    "mail": holder and holder.mail,
                    "userId": holder and holder.id,
                    "via": "link",
                    "linkType": link.type,
                    "linkScope": link.scope,
                }
                for holder in holders
            ]
    return rows
