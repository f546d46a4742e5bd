"""What the people of the tenant do, when it plays a source: share, change a role, take back. See local/platforms.

The path is as a connection's routes have it: `/<owner's user principal name>/...` in a OneDrive, and
`/sites/<site>/<library>/...` or `/<library of the root site>/...` in SharePoint. Everything on the way is made.
"""

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any, Literal

from aiohttp import web

from local.platforms.standin import Act
from local.tenant import directory, sharing
from local.tenant.drives import new_drive_id, new_site
from local.tenant.shapes import new_item_id
from local.tenant.sharing import LINK_TYPES, Place
from local.tenant.state import Drive, Entry, Item, ItemKind, Link, User, World, iso

ANYONE, GROUP = "anyone", "group:"
_TYPE_OF_ROLE = {role: kind for kind, role in LINK_TYPES.items()}
_ROOMS_OF_SITES = ("sites", "teams")


@dataclass(frozen=True)
class Microsoft365Act(Act):
    """`by` link: through the item's link for specific people (or for `anyone`) of the type that goes with the role.

    Letting one more person into a link that exists is told to nobody: no notification, nothing in the delta
    (microsoft-graph-docs #15242). Neither is taking somebody out of one. The person may be `group:<id>`.
    """

    by: Literal["direct", "link"] = "direct"

    @classmethod
    def parse(cls, body: Mapping[str, Any]) -> "Microsoft365Act":
        """Read the body of a request."""
        act = Act.parse({name: value for name, value in body.items() if name != "by"})
        return cls(**act.__dict__, by=body.get("by", "direct"))


def carry_out(world: World, act: Microsoft365Act, now: float) -> None:
    """Do it; what is to be told of it stands at the drive. Raises web.HTTPBadRequest."""
    place = _place(world, act.path, "file" if act.kind == "file" else "folder", now)
    sharer = _person(world, act.sharer, now).id if act.sharer else None
    if act.act != "share":
        held = _take_back(world, place, act.person)
        if held is None:
            raise web.HTTPBadRequest(text=f"{act.person} has no share of {act.path}")
        sharer = sharer or held.invited_by
    if act.act == "remove":
        return
    if act.by == "link":
        _share_by_link(world, place, act, now)
    else:
        _share_directly(world, place, act, sharer, now)


def _share_directly(world: World, place: Place, act: Microsoft365Act, sharer: str | None, now: float) -> None:
    role = act.role or "read"
    entries = sharing.own_entries(place)
    for invitation in [
        one for one in entries.values() if one.invited and not one.user_id and one.invited == act.person
    ]:
        del entries[invitation.id]
    if act.person.startswith(GROUP):
        group = world.groups[act.person.removeprefix(GROUP)]
        entry = Entry(sharing.group_permission_id(f"c:0t.c|tenant|{group.id}"), role, entra_group_id=group.id)
    elif act.pending:
        entry = Entry(str(uuid.uuid4()), role, invited=act.person, invited_by=sharer)
    else:
        user = _person(world, act.person, now)
        invited = None if user.internal else act.person
        entry = Entry(sharing.permission_id(user), role, user_id=user.id, invited=invited, invited_by=sharer)
    entries[entry.id] = entry
    place.drive.touch(place.item, sharing=True)


def _share_by_link(world: World, place: Place, act: Microsoft365Act, now: float) -> None:
    role = act.role or "read"
    kind, scope = _TYPE_OF_ROLE.get(role, role), "anonymous" if act.person == ANYONE else "users"
    people = [] if act.person == ANYONE else [_person(world, act.person, now, pending=act.pending)]
    entries = sharing.own_entries(place)
    link = next((e.link for e in entries.values() if e.link and _is(e.link, place.item, kind, scope)), None)
    if link is None:
        expires = iso(act.expires_at.astimezone(UTC).timestamp()) if act.expires_at else None
        link = Link(str(uuid.uuid4()), place.item.id, kind, scope, f"{sharing.SITE}/:f:/g/{uuid.uuid4().hex}", expires)
        entries[link.id] = Entry(link.id, LINK_TYPES.get(kind, kind), link=link)
        place.drive.touch(place.item, sharing=True)
    for person in people:
        link.members[person.id] = False


def _is(link: Link, item: Item, kind: str, scope: str) -> bool:
    return (link.item_id, link.type, link.scope) == (item.id, kind, scope)


def _take_back(world: World, place: Place, person: str) -> Entry | None:
    """Take everything back that the person has on the item itself; return one of the entries."""
    user = world.user_by_address(person)
    holder = user.id if user else None
    found = None
    for entry in list((place.item.entries or {}).values()):
        if entry.link and holder in entry.link.members:
            del entry.link.members[str(holder)]
            found = entry
        elif person in _names(entry) or (holder and entry.user_id == holder):
            sharing.revoke(place, entry.id)
            found = entry
    return found


def _names(entry: Entry) -> set[str | None]:
    """How an act names the entry's holder, where that is no account."""
    if entry.link:
        return {ANYONE} if entry.link.scope == "anonymous" else set()
    return {f"{GROUP}{entry.entra_group_id}", entry.invited if not entry.user_id else None}


def _person(world: World, address: str, now: float, *, pending: bool = False) -> User:
    """The account with this address; a guest is made for an outside one, and has accepted unless `pending`."""
    user, settings = world.user_by_address(address), world.settings
    if user is None:
        domain = address.rpartition("@")[2].lower()
        inside = domain in [*settings.verified_domains, settings.initial_domain]
        user = User(
            id=str(uuid.uuid4()),
            mail=address,
            user_principal_name=address if inside else directory.guest_upn(address, settings.initial_domain),
            user_type="Member" if inside else "Guest",
            display_name=address.partition("@")[0],
            external_user_state=None,
            state_changed=None,
            other_mails=[],
            proxy_addresses=[f"SMTP:{address}"],
            account_enabled=True,
            creation_type=None if inside else "Invitation",
            created=now,
            seen_in_directory_from=now,
            seen_in_sharepoint_from=now,
        )
        world.keep(user)
    if not user.internal:
        user.external_user_state, user.state_changed = "PendingAcceptance" if pending else "Accepted", now
    return user


def _place(world: World, path: str, kind: ItemKind, now: float) -> Place:
    names = [name for name in path.split("/") if name]
    if not names:
        raise web.HTTPBadRequest(text="the path names neither a OneDrive nor a library")
    if "@" in names[0]:
        drive, names = _onedrive(world, names[0], now), names[1:]
    else:
        length = 2 if names[0] in _ROOMS_OF_SITES else 0
        if len(names) <= length:
            raise web.HTTPBadRequest(text=f"{path} names no library")
        drive, names = _library(world, "/".join(names[:length]), names[length], now), names[length + 1 :]
    item = drive.root
    for number, name in enumerate(names, 1):
        last = kind if number == len(names) else "folder"
        item = drive.find(name, item) or drive.add(Item(new_item_id(), name, last, item.id, now))
    return Place(drive, item)


def _onedrive(world: World, upn: str, now: float) -> Drive:
    owner = _person(world, upn, now)
    drive = next((one for one in world.drives.values() if one.owner_id == owner.id), None)
    if drive is None:
        entry = Entry(sharing.permission_id(owner), "owner", user_id=owner.id)
        drive = _new_drive(world, "OneDrive", entry, now)
        drive.owner_id = owner.id
        drive.site_id = new_site(world, f"personal/{re.sub('[@.]', '_', upn.lower())}").id
    return drive


def _library(world: World, site_path: str, name: str, now: float) -> Drive:
    site = next((one for one in world.sites.values() if one.path.casefold() == site_path.casefold()), None)
    site = site or new_site(world, site_path)
    drive = next((one for one in world.drives.values() if (one.site_id, one.name) == (site.id, name)), None)
    if drive is None:
        owners = f"{site_path.rpartition('/')[2] or 'Root'} Owners"
        drive = _new_drive(world, name, Entry(sharing.group_permission_id(owners), "owner", group=owners), now)
        drive.site_id = site.id
    return drive


def _new_drive(world: World, name: str, entry: Entry, now: float) -> Drive:
    drive = Drive(new_drive_id(), name, new_item_id())
    drive.add(Item(drive.root_id, "root", "folder", None, now, entries={entry.id: entry}))
    world.drives[drive.id] = drive
    return drive
