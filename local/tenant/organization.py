"""What the tenant tells about itself: the organisation, who may invite, and the app's own permissions."""

import re
import uuid
from typing import Any

from local.tenant.calls import Answer, Call, select
from local.tenant.errors import GraphError, bad_request
from local.tenant.state import World

GRAPH_APP = "00000003-0000-0000-c000-000000000000"
# Every application permission of Graph that the tenant knows; its id is made of the name.
PERMISSIONS = (
    "Application.Read.All",
    "Directory.Read.All",
    "Files.ReadWrite.All",
    "Mail.Send",
    "Organization.Read.All",
    "Policy.Read.All",
    "SharePointTenantSettings.Read.All",
    "Sites.FullControl.All",
    "Sites.ReadWrite.All",
    "Sites.Selected",
    "User.Invite.All",
    "User.Read.All",
    "User.ReadWrite.All",
)

_BY_APP = re.compile(r"/servicePrincipals\(appId='([^']+)'\)")
_ASSIGNED = re.compile(r"/servicePrincipals/([^/]+)/appRoleAssignments")


def knows(path: str) -> bool:
    """Tell whether a path is answered here."""
    return path in ("/organization", "/policies/authorizationPolicy") or path.startswith("/servicePrincipals")


def require(world: World, *permissions: str) -> None:
    """Raises GraphError 403 unless the app has one of the permissions."""
    if set(permissions).isdisjoint(world.settings.app_permissions):
        raise GraphError(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")


def answer(world: World, call: Call) -> Answer:
    """Carry out a read; nothing here can be changed."""
    if call.method != "GET":
        raise GraphError(405, "Request_BadRequest", "Specified HTTP method is not allowed for the request target.")
    call.check_options("$select")
    context = f"{call.origin}/v1.0/$metadata#"
    if call.path == "/organization":
        require(world, "Organization.Read.All", "Directory.Read.All")
        return Answer(
            200, {"@odata.context": f"{context}organization", "value": [select(_organization(world), call.query)]}
        )
    if call.path == "/policies/authorizationPolicy":
        require(world, "Policy.Read.All")
        row = select(_policy(world), call.query)
        return Answer(200, {"@odata.context": f"{context}policies/authorizationPolicy/$entity", **row})
    require(world, "Application.Read.All", "Directory.Read.All")
    if match := _BY_APP.fullmatch(call.path):
        row = select(_principal(match[1]), call.query)
        return Answer(200, {"@odata.context": f"{context}servicePrincipals/$entity", **row})
    if match := _ASSIGNED.fullmatch(call.path):
        return Answer(200, {"@odata.context": f"{context}appRoleAssignments", "value": _assignments(world, match[1])})
    raise bad_request(f"Resource not found for the segment '{call.path.rpartition('/')[2]}'.")


def _id(*parts: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join(parts)))


def _organization(world: World) -> dict[str, Any]:
    domains = [world.settings.initial_domain, *world.settings.verified_domains]
    return {
        "id": _id("organization"),
        "displayName": "Contoso",
        "verifiedDomains": [
            {"name": name, "type": "Managed", "isInitial": number == 0, "isDefault": number == len(domains) - 1}
            for number, name in enumerate(domains)
        ],
    }


def _policy(world: World) -> dict[str, Any]:
    return {
        "id": "authorizationPolicy",
        "displayName": "Authorization Policy",
        "allowInvitesFrom": world.settings.allow_invites_from,
        "allowedToSignUpEmailBasedSubscriptions": True,
        "allowEmailVerifiedUsersToJoinOrganization": False,
    }


def _principal(app_id: str) -> dict[str, Any]:
    roles = [
        {
            "id": role_id(name),
            "value": name,
            "displayName": name,
            "isEnabled": True,
            "allowedMemberTypes": ["Application"],
        }
        for name in PERMISSIONS
    ]
    graph = app_id == GRAPH_APP
    name = "Microsoft Graph" if graph else "Guestpass"
    return {"id": _id("principal", app_id), "appId": app_id, "displayName": name, "appRoles": roles if graph else []}


def _assignments(world: World, principal: str) -> list[dict[str, Any]]:
    return [assignment(principal, name) for name in world.settings.app_permissions]


def assignment(principal: str, name: str) -> dict[str, Any]:
    """The assignment of one of Graph's permissions to an app."""
    return {
        "id": _id("assignment", principal, name),
        "appRoleId": role_id(name),
        "principalId": principal,
        "principalType": "ServicePrincipal",
        "resourceDisplayName": "Microsoft Graph",
        "resourceId": graph_id(),
    }


def role_id(name: str) -> str:
    """The id of one of Graph's permissions."""
    return _id("role", name)


def graph_id() -> str:
    """The id of Graph's own service principal in the tenant."""
    return _id("principal", GRAPH_APP)
