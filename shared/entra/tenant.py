"""What Microsoft Graph tells about the tenant's settings. What the app may not read, or Graph lacks, is None."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from shared.domain.preflight import Mailbox, Tenant
from shared.domain.trouble import RefusedError
from shared.graph.client import Graph
from shared.graph.errors import APPLICATIONS, ORGANIZATION, POLICIES, SHARING_SETTINGS, USERS, Area, NotThereError

if TYPE_CHECKING:
    from kiota_abstractions.base_request_builder import BaseRequestBuilder

# Microsoft Graph's own application id, the same in every tenant ("Verify first-party Microsoft applications").
_GRAPH_APP = "00000003-0000-0000-c000-000000000000"


async def inspect(graph: Graph, client_id: str | None, sender: str | None) -> Tenant:
    """Read everything that the tenant check judges. May raise LaterError."""
    client = graph.client
    policy = await _read(graph, client.policies.authorization_policy, POLICIES, ["allowInvitesFrom"])
    organizations = await _read(graph, client.organization, ORGANIZATION, ["id", "verifiedDomains"])
    sharing = await _read(graph, client.admin.sharepoint.settings, SHARING_SETTINGS)
    # Microsoft's own example wraps the settings in `value`, its description does not.
    settings = (sharing or {}).get("value") or sharing or {}
    return Tenant(
        invites_from=(policy or {}).get("allowInvitesFrom"),
        verified_domains=_verified(organizations),
        sharing=settings.get("sharingCapability"),
        restriction=settings.get("sharingDomainRestrictionMode"),
        allowed_domains=tuple(settings.get("sharingAllowedDomainList") or ()),
        blocked_domains=tuple(settings.get("sharingBlockedDomainList") or ()),
        resharing=settings.get("isResharingByExternalUsersEnabled"),
        must_match=settings.get("isRequireAcceptingUserToMatchInvitedUserEnabled"),
        permissions=await _permissions(graph, client_id) if client_id else None,
        mailbox=await _mailbox(graph, sender) if sender else None,
    )


async def _read(
    graph: Graph, builder: "BaseRequestBuilder", area: Area, select: list[str] | None = None
) -> Mapping[str, Any] | None:
    try:
        return await graph.get(builder, area, **({"select": select} if select else {}))
    except RefusedError:
        return None


def _verified(organizations: Mapping[str, Any] | None) -> tuple[str, ...] | None:
    if not organizations or not organizations.get("value"):
        return None
    return tuple(domain["name"].lower() for domain in organizations["value"][0].get("verifiedDomains", ()))


async def _permissions(graph: Graph, client_id: str) -> tuple[str, ...] | None:
    """Return the names of the Graph permissions that the app's service principal was given."""
    client = graph.client
    try:
        resource = await graph.get(
            client.service_principals_with_app_id(_GRAPH_APP), APPLICATIONS, select=["id", "appRoles"]
        )
        own = await graph.get(client.service_principals_with_app_id(client_id), APPLICATIONS, select=["id"])
        assigned = client.service_principals.by_service_principal_id(own["id"]).app_role_assignments
        given = {
            assignment["appRoleId"]
            async for assignment in graph.pages(assigned, APPLICATIONS)
            if assignment.get("resourceId") == resource["id"]
        }
    except (RefusedError, NotThereError):
        return None
    return tuple(sorted(role["value"] for role in resource.get("appRoles", ()) if role["id"] in given))


async def _mailbox(graph: Graph, sender: str) -> Mailbox | None:
    """Whether its account is enabled says nothing: that of a shared mailbox is disabled by design."""
    try:
        user = await graph.get(graph.client.users.by_user_id(sender), USERS, select=["id", "mail"])
    except NotThereError:
        return Mailbox.MISSING
    except RefusedError:
        return None
    return Mailbox.READY if user.get("mail") else Mailbox.MISSING
