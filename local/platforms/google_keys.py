"""Service account keys, and the tokens that the stand-in gives for what they sign."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import jwt

_AUDIENCE = "https://oauth2.googleapis.com/token"  # whatever the address of the stand-in: Google's client says so
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_SCOPE = "https://www.googleapis.com/auth/"


def new_key(token_uri: str, client_email: str = "guestpass@project.iam.gserviceaccount.com") -> str:
    """Return a new key file of a service account, as the Google Cloud console gives it."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return json.dumps(
        {
            "type": "service_account",
            "project_id": "project",
            "private_key_id": secrets.token_hex(20),
            "private_key": pem.decode(),
            "client_email": client_email,
            "client_id": "108000000000000000001",
            "auth_uri": "https://accounts.google.com/o/oauth2/auth",
            "token_uri": token_uri,
            "universe_domain": "googleapis.com",
        }
    )


@dataclass(frozen=True)
class Bearer:
    """As whom, and for what, a token counts."""

    user: str
    scopes: frozenset[str]


class TokenEndpoint:
    """Gives tokens for assertions that one service account signed."""

    def __init__(self, key: str, delegated: frozenset[str]) -> None:
        """`key`: the key file's text. `delegated`: the scopes that the administrator gave it, by their short names."""
        self._key = json.loads(key)
        private = serialization.load_pem_private_key(self._key["private_key"].encode(), None)
        self._public = private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.delegated = {_SCOPE + name for name in delegated}
        self.given: dict[str, Bearer] = {}

    def give(self, form: Mapping[str, Any], people: Mapping[str, bool]) -> tuple[int, dict[str, Any]]:
        """Return status and body. `people`: the users, and whether their accounts are active."""
        if form.get("grant_type") != _GRANT:
            return 400, {"error": "unsupported_grant_type", "error_description": "Invalid grant_type"}
        try:
            claims = jwt.decode(form.get("assertion", ""), certs=self._public, audience=_AUDIENCE)  # type: ignore[no-untyped-call]
        except ValueError:
            return 400, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}
        subject, scopes = claims.get("sub"), frozenset(str(claims.get("scope", "")).split())
        if claims.get("iss") != self._key["client_email"] or not people.get(subject):
            return 400, {"error": "invalid_grant", "error_description": "Invalid email or User ID"}
        if not scopes or not scopes <= self.delegated:
            description = "Client is unauthorized to retrieve access tokens using this method."
            return 401, {"error": "unauthorized_client", "error_description": description}
        token = "ya29." + secrets.token_urlsafe(40)
        self.given[token] = Bearer(subject, scopes)
        return 200, {"access_token": token, "expires_in": 3599, "token_type": "Bearer"}
