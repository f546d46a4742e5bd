"""What an administrator does for an app: assigns permissions to it, and opens sites to it.

The tenant knows one caller. That the administrator needs rights of their own is not simulated.
"""

import re
import uuid
from collections.abc import Callable
from typing import Any

from local.tenant import drives, organization
from local.tenant.calls import Answer, Call, select
from local.tenant.errors import bad_request, invalid_request, item_not_found
from local.tenant.state import Site, World

_SITE_ROLES = {"read", "write", "owner", "fullcontrol"}


def handler(world: World, call: Call) -> Callable[[], Answer] | None:
    """What answers the call, if it is about one of these."""
    for (method, pattern), answer in _CALLS.items():
        if method == call.method and (match := pattern.fullmatch(call.path)):
            return lambda: answer(world, call, *match.groups())
    return None


def _assign(world: World, call: Call, principal: str) -> Answer:
    body = call.json({"principalId", "resourceId", "appRoleId"})
    name = next((one for one in organization.PERMISSIONS if organization.role_id(one) == body.get("appRoleId")), None)
    if name is None or body.get("principalId") != principal or body.get("resourceId") != organization.graph_id():
        raise bad_request("Not a valid reference update.")
    if name in world.settings.app_permissions:
        raise bad_request("Permission being assigned already exists on the object")
    world.settings.app_permissions.append(name)
    return Answer(201, organization.assignment(principal, name))


def _site_by_path(world: World, call: Call, host: str, path: str) -> Answer:
    call.check_options("$select")
    for site in world.sites.values():
        if drives.site_address(site) == f"https://{host}/{path}":
            return Answer(200, select({"id": site.id, "webUrl": f"https://{host}/{path}"}, call.query))
    raise item_not_found()


def _openings(world: World, call: Call, identifier: str) -> Answer:
    call.check_options()
    rows = [_opening(key, app, None) for key, (app, _) in _site(world, identifier).apps.items()]
    return Answer(200, {"value": rows})


def _one_opening(world: World, call: Call, identifier: str, key: str) -> Answer:
    call.check_options()
    opening = _site(world, identifier).apps.get(key)
    if opening is None:
        raise item_not_found()
    return Answer(200, _opening(key, *opening))


def _open(world: World, call: Call, identifier: str) -> Answer:
    body = call.json({"roles", "grantedToIdentities"})
    try:
        [role], [identity] = body["roles"], body["grantedToIdentities"]
        app = str(identity["application"]["id"])
    except (KeyError, TypeError, ValueError):
        raise invalid_request("The request body is not a permission for one application.") from None
    if role not in _SITE_ROLES:
        raise invalid_request("The role is not one of a site.")
    key = uuid.uuid4().hex
    _site(world, identifier).apps[key] = (app, role)
    return Answer(201, _opening(key, app, role))


def _site(world: World, identifier: str) -> Site:
    if identifier not in world.sites:
        raise item_not_found()
    return world.sites[identifier]


def _opening(key: str, app: str, role: str | None) -> dict[str, Any]:
    """A permission; a list of them leaves the roles out."""
    identity = {"application": {"id": app, "displayName": "Guestpass"}}
    return {"id": key, "grantedToIdentitiesV2": [identity]} | ({"roles": [role]} if role else {})


_CALLS: dict[tuple[str, re.Pattern[str]], Callable[..., Answer]] = {
    ("POST", re.compile(r"/servicePrincipals/([^/]+)/appRoleAssignments")): _assign,
    ("GET", re.compile(r"/sites/([^/:]+):/(.+)")): _site_by_path,
    ("GET", re.compile(r"/sites/([^/]+)/permissions")): _openings,
    ("GET", re.compile(r"/sites/([^/]+)/permissions/([^/]+)")): _one_opening,
    ("POST", re.compile(r"/sites/([^/]+)/permissions")): _open,
}
