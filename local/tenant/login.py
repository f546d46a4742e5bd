"""Microsoft Entra's token endpoint for an app of the tenant that signs in with a secret."""

import hmac
import secrets
import time
from dataclasses import dataclass

from aiohttp import web

_LIFETIME = 3_599


@dataclass(frozen=True)
class Registration:
    """The one app that is registered in the tenant; without a secret nobody can sign in."""

    tenant_id: str = "00000000-0000-0000-0000-000000000001"
    client_id: str = ""
    client_secret: str = ""

    def token(self, tenant: str, form: dict[str, str], audience: str) -> tuple[web.Response, str | None]:
        """Answer `POST /{tenant}/oauth2/v2.0/token`; also the token, when there is one."""
        if tenant.lower() != self.tenant_id.lower():
            return _refused(400, "invalid_request", "AADSTS90002: Tenant not found."), None
        if form.get("grant_type") != "client_credentials":
            return _refused(400, "unsupported_grant_type", "AADSTS70003: The grant type is not supported."), None
        if form.get("scope") != f"{audience}/.default":
            return _refused(400, "invalid_scope", "AADSTS1002012: The scope is not valid."), None
        if form.get("client_id") != self.client_id or not self.client_secret:
            return _refused(400, "unauthorized_client", "AADSTS700016: Application was not found."), None
        if not hmac.compare_digest(form.get("client_secret", "").encode(), self.client_secret.encode()):
            return _refused(401, "invalid_client", "AADSTS7000215: Invalid client secret provided."), None
        token = secrets.token_urlsafe(48)
        body = {"token_type": "Bearer", "expires_in": _LIFETIME, "ext_expires_in": _LIFETIME, "access_token": token}
        return web.json_response(body), token

    @staticmethod
    def expires() -> float:
        """When a token that is made now ends."""
        return time.time() + _LIFETIME


def _refused(status: int, code: str, description: str) -> web.Response:
    return web.json_response({"error": code, "error_description": description}, status=status)
