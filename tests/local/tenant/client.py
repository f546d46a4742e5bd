"""The simulated tenant in process, and a client that speaks to it over HTTP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from aiohttp import web
from azure.identity.aio import ManagedIdentityCredential

from local.tenant.app import create_app

SECRET = "sesame"
DRIVE = "drive-1"
SEED: dict[str, Any] = {
    "users": [
        {"id": "u-anna", "mail": "anna@contoso.com", "userType": "Member"},
        {"id": "u-bob", "mail": "bob@fabrikam.com", "externalUserState": "Accepted"},
        {"id": "u-carl", "mail": "carl@fabrikam.com", "externalUserState": "PendingAcceptance"},
        {"id": "u-dora", "mail": "dora@tailspin.com", "otherMails": ["d'ora@home.example"]},
    ],
    "drives": [
        {
            "id": DRIVE,
            "name": "Documents",
            "items": [
                {"id": "i-team", "path": "/Team"},
                {"id": "i-plan", "path": "/Team/a b/c#d%", "kind": "file"},
                {"id": "i-other", "path": "/Other", "kind": "file"},
            ],
        }
    ],
    "permissions": [{"drive": DRIVE, "path": "/Team", "user": "anna@contoso.com", "role": "write"}],
}


class Client:
    """Calls of one app to one tenant."""

    def __init__(self, http: httpx.AsyncClient, token: str) -> None:
        self.http = http
        self.auth = {"Authorization": f"Bearer {token}"}

    async def graph(self, method: str, path: str, **rest: Any) -> httpx.Response:
        """One authenticated call below /v1.0."""
        headers = {**self.auth, **rest.pop("headers", {})}
        return await self.http.request(method, f"/v1.0{path}", headers=headers, **rest)

    async def control(self, name: str, body: Any) -> Any:
        """One call of the control interface that has to succeed."""
        answer = await self.http.post(f"/control/{name}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def read(self, name: str) -> Any:
        """What the control interface shows."""
        return (await self.http.get(f"/control/{name}")).json()

    async def invite(self, mail: str, **rest: Any) -> httpx.Response:
        """POST /invitations."""
        body = {"invitedUserEmailAddress": mail, "inviteRedirectUrl": "https://contoso.sharepoint.com/x", **rest}
        return await self.graph("POST", "/invitations", json=body)

    async def grant(self, item: str, *object_ids: str, role: str = "read", **rest: Any) -> httpx.Response:
        """POST .../invite by object id."""
        body = {
            "recipients": [{"objectId": object_id} for object_id in object_ids],
            "roles": [role],
            "requireSignIn": True,
            "sendInvitation": False,
            "retainInheritedPermissions": True,
            **rest,
        }
        body = {name: value for name, value in body.items() if value is not ...}
        return await self.graph("POST", f"/drives/{DRIVE}/items/{item}/invite", json=body)

    async def create_link(self, **rest: Any) -> httpx.Response:
        """POST .../createLink on the plan, a view link for named people unless told otherwise."""
        body = {"type": "view", "scope": "users", "retainInheritedPermissions": True, **rest}
        return await self.graph("POST", f"/drives/{DRIVE}/items/i-plan/createLink", json=body)

    async def entries(self, item: str) -> dict[str, dict[str, Any]]:
        """The permissions of an item by the address or name of their holder, or "link"."""
        answer = await self.graph("GET", f"/drives/{DRIVE}/items/{item}/permissions")
        assert answer.status_code == 200, answer.text
        return {_holder(permission): permission for permission in answer.json()["value"]}

    async def users(self, filter_: str, **rest: Any) -> httpx.Response:
        """GET /users with a filter."""
        return await self.graph("GET", "/users", params={"$filter": filter_, "$select": "id", **rest})


def _holder(permission: dict[str, Any]) -> str:
    if "link" in permission:
        return "link"
    granted = permission["grantedToV2"]
    return str(granted["user"]["email"] if "user" in granted else granted["siteGroup"]["displayName"])


@asynccontextmanager
async def running_tenant() -> AsyncIterator[str]:
    """A tenant on a free port; its base URL."""
    runner = web.AppRunner(create_app(SECRET))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def managed_identity_token(scope: str) -> str:
    """A token as azure-identity gets it; IDENTITY_ENDPOINT and IDENTITY_HEADER name the tenant."""
    async with ManagedIdentityCredential() as credential:
        token = await credential.get_token(scope)
    return str(token.token)


def refusal(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of a refused call."""
    return answer.status_code, answer.json()["error"]["code"]
