"""Drives and the places where they are: users' OneDrives, sites and their document libraries, groups' members."""

import re
import uuid
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import quote

from local.tenant import directory
from local.tenant.calls import Answer, Call, page, select
from local.tenant.errors import GraphError, item_not_found
from local.tenant.sharing import SITE
from local.tenant.state import Drive, Group, Site, World

MAX_PAGE = 999
_PERSONAL = "https://contoso-my.sharepoint.com"

_ALL_SITES = ("/sites/getAllSites", "/sites/getAllSites()")


def handler(world: World, call: Call) -> Callable[[], Answer] | None:
    """What answers the call, if it is about one of these."""
    if call.path in _ALL_SITES or (call.path == "/sites" and call.query.get("search") == "*"):
        return partial(_sites, world, call)
    for pattern, answer in _ONE.items():
        if match := pattern.fullmatch(call.path):
            return partial(answer, world, call, match[1])
    return None


def new_drive_id() -> str:
    """A drive id of SharePoint's kind: 66 characters."""
    return "b!" + (uuid.uuid4().hex + uuid.uuid4().hex)


def _users_drive(world: World, call: Call, identifier: str) -> Answer:
    call.check_options("$select")
    user = world.users.get(identifier) or world.user_by_address(identifier)
    drive = next((drive for drive in world.drives.values() if user and drive.owner_id == user.id), None)
    if drive is None:
        raise GraphError(404, "ResourceNotFound", "User's mysite not found.")
    return Answer(200, {"@odata.context": f"{call.origin}/v1.0/$metadata#drives/$entity", **_row(world, call, drive)})


def _drive(world: World, call: Call, identifier: str) -> Answer:
    call.check_options("$select")
    drive = world.drives.get(identifier)
    if drive is None:
        raise item_not_found()
    return Answer(200, {"@odata.context": f"{call.origin}/v1.0/$metadata#drives/$entity", **_row(world, call, drive)})


def _row(world: World, call: Call, drive: Drive) -> dict[str, Any]:
    """A drive; sharePointIds come only when they are selected."""
    owner, site = world.users.get(drive.owner_id or ""), world.sites.get(drive.site_id or "")
    identity = {"id": owner.id, "displayName": owner.display_name, "email": owner.mail} if owner else None
    address = site_address(site) if site else SITE
    row = {
        "id": drive.id,
        "name": drive.name,
        "driveType": "business" if owner else "documentLibrary",
        "owner": {"user": identity} if identity else {"group": {"displayName": f"{drive.name} Owners"}},
        "webUrl": f"{address}/{quote(drive.name)}",
        "sharePointIds": {"siteUrl": address, "siteId": site.id.split(",")[1] if site else drive.id},
    }
    if "$select" not in call.query:
        del row["sharePointIds"]
    return select(row, call.query)


def new_site(world: World, path: str) -> Site:
    """A site at a path; OneDrives are personal sites, beneath `personal/`."""
    ident = f"contoso.sharepoint.com,{uuid.uuid4()},{uuid.uuid4()}"
    site = Site(ident, path, len(world.sites) + 1, personal=path.startswith("personal/"))
    world.sites[ident] = site
    return site


def site_address(site: Site) -> str:
    """Where a browser finds the site."""
    return f"{_PERSONAL if site.personal else SITE}/{quote(site.path)}".rstrip("/")


def _site_row(site: Site) -> dict[str, Any]:
    return {
        "id": site.id,
        "name": site.path.rpartition("/")[2],
        "webUrl": site_address(site),
        "isPersonalSite": site.personal,
        "siteCollection": {"hostname": SITE.removeprefix("https://")},
    }


def _sites(world: World, call: Call) -> Answer:
    call.check_options("$select", "$top", "$skiptoken", "search")
    numbered = [(site.number, _site_row(site)) for site in world.sites.values()]
    return _page(call, numbered, "sites")


def _site(world: World, call: Call, identifier: str) -> Answer:
    call.check_options("$select")
    found = (one for one in world.sites.values() if one.id == identifier or (identifier == "root" and not one.path))
    site = next(found, None)
    if site is None and identifier != "root":
        raise item_not_found()
    row = _site_row(site or Site("contoso.sharepoint.com,root,root", "", 0))
    return Answer(200, {"@odata.context": f"{call.origin}/v1.0/$metadata#sites/$entity", **select(row, call.query)})


def _site_drives(world: World, call: Call, identifier: str) -> Answer:
    call.check_options("$select", "$top", "$skiptoken")
    if identifier not in world.sites:
        raise item_not_found()
    drives = [drive for drive in world.drives.values() if drive.site_id == identifier]
    return _page(call, [(number, _row(world, call, drive)) for number, drive in enumerate(drives, 1)], "drives")


def _page(call: Call, numbered: list[tuple[int, dict[str, Any]]], what: str) -> Answer:
    rows, after = page(call, numbered, default=200, largest=MAX_PAGE)
    body: dict[str, Any] = {"@odata.context": f"{call.origin}/v1.0/$metadata#{what}"}
    if after:
        body["@odata.nextLink"] = after
    body["value"] = [select(row, call.query) for row in rows]
    return Answer(200, body)


def _members(world: World, call: Call, identifier: str) -> Answer:
    call.check_options("$select", "$top", "$skiptoken")
    group = world.groups.get(identifier)
    if group is None:
        raise GraphError(404, "Request_ResourceNotFound", f"Resource '{identifier}' does not exist.")
    if world.settings.groups_hide_members:
        raise GraphError(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
    names = set(call.query["$select"].split(",")) if "$select" in call.query else set(directory.DEFAULT_PROPERTIES)
    rows: dict[str, dict[str, Any]] = {}
    _collect(world, group, names, rows)
    numbered = [(number, row) for number, row in enumerate(rows.values(), 1)]
    rows_shown, after = page(call, numbered, default=100, largest=MAX_PAGE)
    body: dict[str, Any] = {"@odata.context": f"{call.origin}/v1.0/$metadata#directoryObjects"}
    if after:
        body["@odata.nextLink"] = after
    return Answer(200, {**body, "value": rows_shown})


def _collect(world: World, group: Group, names: set[str], rows: dict[str, dict[str, Any]]) -> None:
    """Everybody in the group and in the groups in it, and those groups, each once."""
    for member in group.members:
        if member in rows:
            continue
        if (user := world.users.get(member)) is not None:
            shown = directory.UserRow(user)
            row = {name: shown[name] for name in directory.SELECTABLE if name in names}
            rows[member] = {"@odata.type": "#microsoft.graph.user", **row}
        elif (inner := world.groups.get(member)) is not None:
            rows[member] = {"@odata.type": "#microsoft.graph.group", "id": inner.id, "displayName": inner.display_name}
            _collect(world, inner, names, rows)


_ONE: dict[re.Pattern[str], Callable[[World, Call, str], Answer]] = {
    re.compile(r"/users/([^/]+)/drive"): _users_drive,
    re.compile(r"/drives/([^/]+)"): _drive,
    re.compile(r"/sites/([^/]+)/drives"): _site_drives,
    re.compile(r"/sites/([^/]+)"): _site,
    re.compile(r"/groups/([^/]+)/transitiveMembers"): _members,
}
