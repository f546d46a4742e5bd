"""Who asks: App Service authentication's principal in Azure, an explicit development principal locally, else nobody."""

import base64
import binascii
import json
import re
from dataclasses import dataclass

import azure.functions as func

from shared.settings import Settings

READ_ROLE = "AccessRequests.Read"
REVIEW_ROLE = "AccessRequests.Review"
_ONLY_READS = re.compile(rf"(.+) \({re.escape(READ_ROLE)}\)")


class ForbiddenError(Exception):
    """The caller is nobody, or does not have the role."""

    def __init__(self, status: int, sentence: str) -> None:
        """`status` is 401 for nobody and 403 for somebody without the role."""
        super().__init__(sentence)
        self.status, self.sentence = status, sentence


@dataclass(frozen=True)
class Caller:
    """Somebody with the role to read, and perhaps the one to review."""

    name: str
    reviews: bool


def caller(req: func.HttpRequest, settings: Settings) -> Caller:
    """Return who asks. Raises ForbiddenError.

    The principal's header is trusted only when App Service tells that its authentication is on: it then removes
    whatever a client sent under that name (Microsoft, "Access user identities in App Service authentication").
    """
    if settings.app_service_authentication:
        return _from_app_service(req)
    if settings.development_principal and not settings.in_azure:
        only_reads = _ONLY_READS.fullmatch(settings.development_principal)
        name = only_reads[1] if only_reads else settings.development_principal
        return Caller(name, reviews=only_reads is None)
    raise ForbiddenError(401, "App Service authentication is not on, so nobody can be let in. See the README.")


def _from_app_service(req: func.HttpRequest) -> Caller:
    try:
        principal = json.loads(base64.b64decode(req.headers.get("x-ms-client-principal", ""), validate=True))
        claims = [(claim["typ"], claim["val"]) for claim in principal["claims"]]
        role_type = principal.get("role_typ") or "roles"
    except (binascii.Error, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ForbiddenError(401, "Sign in first.") from None
    roles = {value for kind, value in claims if kind in (role_type, "roles") and isinstance(value, str)}
    if roles.isdisjoint({READ_ROLE, REVIEW_ROLE}):
        raise ForbiddenError(403, f"The role {READ_ROLE} or {REVIEW_ROLE} is needed.")
    names = [value for kind, value in claims if kind in ("preferred_username", "name", "appid")]
    return Caller(str(names[0]) if names else "unnamed", reviews=REVIEW_ROLE in roles)
