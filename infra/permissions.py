"""python -m infra.permissions: give the app's identity its permissions in Microsoft Graph, and say what each is for.

A managed identity has no page on which an administrator could consent, so the assignments are made through Graph. Who
runs this signs in as a person who may assign app roles (Privileged Role Administrator), and, to open sites to the app,
as a SharePoint Administrator. It may be run again: what is there stays. `--explain` only prints.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import httpx
    from azure.core.credentials import TokenCredential

_GRAPH = "https://graph.microsoft.com"
_GRAPH_APP = "00000003-0000-0000-c000-000000000000"
# Microsoft Graph Command Line Tools: Microsoft's own app, in every tenant, made for administrators' scripts.
_TOOLS_APP = "14d82eec-204b-4c2f-b7e8-296a70dab67e"
# What is asked of the administrator's own sign-in; the second only with --site.
_ASSIGNING = ("Application.Read.All", "AppRoleAssignment.ReadWrite.All")
_OPENING = "Sites.FullControl.All"


@dataclass(frozen=True)
class Permission:
    """An application permission of Microsoft Graph: its name, and why the app needs it."""

    name: str
    why: str


DIRECTORY = (
    Permission("User.Read.All", "Finds whether somebody is a guest or member already, and sees who accepted."),
    Permission("User.Invite.All", "Invites guests. It changes no account and deletes none."),
)
SELECTED_SITES = Permission(
    "Sites.Selected",
    "Gives access to items, in no site at all until a site is opened to the app: run this with --site for each "
    "destination. Sharing an item needs the role fullcontrol there. All other sites stay closed to the app.",
)
ALL_SITES = Permission(
    "Files.ReadWrite.All",
    "Gives access to items in every site and every OneDrive of the tenant, and could read and change them. Only where "
    "destinations are too many to be opened one by one.",
)
MAIL = Permission(
    "Mail.Send",
    "Sends Guestpass's own mails (GUESTPASS_MAIL is own). It is for all mailboxes of the tenant until an application "
    "access policy in Exchange restricts it to the sender mailbox: do that.",
)
TENANT_CHECK = (
    Permission("Policy.Read.All", "Tenant check: who may invite guests."),
    Permission("Organization.Read.All", "Tenant check: the tenant's own domains."),
    Permission("SharePointTenantSettings.Read.All", "Tenant check: sharing with externals, domain lists, resharing."),
    Permission("Application.Read.All", "Tenant check: the app's own permissions."),
)


def needed(*, all_sites: bool, mail: bool) -> tuple[Permission, ...]:
    """Return the permissions that the app needs, and no more."""
    sites = ALL_SITES if all_sites else SELECTED_SITES
    return (*DIRECTORY, sites, *((MAIL,) if mail else ()), *TENANT_CHECK)


class Administrator:
    """Graph, as the administrator who signed in. Every method raises httpx.HTTPStatusError when Graph refuses."""

    def __init__(self, http: "httpx.Client") -> None:
        """`http`: at Graph's base address with its version, signed in."""
        self._http = http

    def assign(self, client_id: str, permissions: Sequence[Permission]) -> tuple[list[str], list[str]]:
        """Assign what is missing to the app of this client id; return what was, and what it has beyond."""
        graph = self._get(f"/servicePrincipals(appId='{_GRAPH_APP}')", {"$select": "id,appRoles"})
        principal = self._get(f"/servicePrincipals(appId='{client_id}')", {"$select": "id"})["id"]
        ids = {role["value"]: role["id"] for role in graph["appRoles"]}
        names = {value: key for key, value in ids.items()}
        place = f"/servicePrincipals/{principal}/appRoleAssignments"
        given = {names.get(one["appRoleId"], "") for one in self._list(place) if one["resourceId"] == graph["id"]}
        missing = [permission.name for permission in permissions if permission.name not in given]
        for name in missing:
            self._post(place, {"principalId": principal, "resourceId": graph["id"], "appRoleId": ids[name]})
        return missing, sorted(given - {permission.name for permission in permissions})

    def open_site(self, address: str, client_id: str) -> bool:
        """Let the app of this client id share the site's items; False when it may already."""
        url = urlsplit(address)
        path = url.path.rstrip("/")
        site = self._get(f"/sites/{url.hostname}:{path}" if path else f"/sites/{url.hostname}", {"$select": "id"})["id"]
        place = f"/sites/{site}/permissions"
        for one in self._list(place):
            # A list leaves the roles out, the single permission has them.
            apps = [identity.get("application", {}).get("id") for identity in one.get("grantedToIdentitiesV2", ())]
            if client_id in apps and "fullcontrol" in self._get(f"{place}/{one['id']}", {}).get("roles", ()):
                return False
        identity = {"application": {"id": client_id, "displayName": "Guestpass"}}
        self._post(place, {"roles": ["fullcontrol"], "grantedToIdentities": [identity]})
        return True

    def _get(self, path: str, query: dict[str, str]) -> dict[str, Any]:
        answer = self._http.get(path, params=query).raise_for_status()
        return dict(answer.json())

    def _list(self, path: str) -> list[dict[str, Any]]:
        rows, page = [], self._get(path, {})
        while True:
            rows += page["value"]
            if "@odata.nextLink" not in page:
                return rows
            page = self._get(page["@odata.nextLink"], {})

    def _post(self, path: str, body: dict[str, Any]) -> None:
        self._http.post(path, json=body).raise_for_status()


def sign_in(scopes: Sequence[str], credential: "TokenCredential") -> "httpx.Client":
    """Return Graph, signed in with these scopes."""
    import httpx

    token = credential.get_token(*(f"{_GRAPH}/{scope}" for scope in scopes)).token
    return httpx.Client(base_url=f"{_GRAPH}/v1.0", headers={"Authorization": f"Bearer {token}"}, timeout=60)


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line; 1 when Graph refuses."""
    parser = argparse.ArgumentParser(prog="python -m infra.permissions", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--identity", help="client id of the app's identity (azd: GUESTPASS_IDENTITY_CLIENT_ID)")
    parser.add_argument("--site", action="append", default=[], help="address of a destination site; may be repeated")
    parser.add_argument("--all-sites", action="store_true", help=f"{ALL_SITES.name} instead of {SELECTED_SITES.name}")
    parser.add_argument("--mail", action="store_true", help="also Mail.Send, for mails of your own")
    parser.add_argument("--device-code", action="store_true", help="sign in with a code, where there is no browser")
    parser.add_argument("--explain", action="store_true", help="print what would be given, and touch nothing")
    options = parser.parse_args(arguments)
    permissions = needed(all_sites=options.all_sites, mail=options.mail)
    for permission in permissions:
        print(f"{permission.name}\n    {permission.why}")
    if options.explain:
        return 0
    if not options.identity:
        parser.error("--identity is needed, or --explain")

    import httpx
    from azure.identity import DeviceCodeCredential, InteractiveBrowserCredential

    credential_class = DeviceCodeCredential if options.device_code else InteractiveBrowserCredential
    scopes = [*_ASSIGNING, *([_OPENING] if options.site else [])]
    try:
        with sign_in(scopes, credential_class(client_id=_TOOLS_APP)) as http:
            return give(Administrator(http), options.identity, permissions, options.site)
    except httpx.HTTPStatusError as refusal:
        print(f"Graph refused with {refusal.response.status_code}: {refusal.response.text}", file=sys.stderr)
        return 1


def give(administrator: Administrator, client_id: str, permissions: Sequence[Permission], sites: Sequence[str]) -> int:
    """Give the permissions, open the sites, and say what was done."""
    assigned, beyond = administrator.assign(client_id, permissions)
    print(f"Given now: {', '.join(assigned) or 'nothing, all were there'}")
    if beyond:
        print(f"It also has {', '.join(beyond)}, which Guestpass does not need as it was asked for here.")
    for site in sites:
        print(f"{site}: {'opened' if administrator.open_site(site, client_id) else 'was open'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
