"""Tokens for platforms that sign nothing and only send back what they were given (Google, Microsoft Graph).

A token is a random nonce and an HMAC over the nonce and what it is for. The door needs no table to judge it, no two
subscriptions share one, and a notification that arrives before the answer to the subscription is known all the same.
"""

import base64
import hmac
import secrets
from collections.abc import Mapping

from shared.domain.connections import Connection

_MIN_LENGTH = 32
_NONCE_BYTES = 12
SECRETS = ("channel_secret", "previous_channel_secret")


class ChannelTokens:
    """Makes and checks the tokens of one connection. Tokens have 60 characters: letters, digits, `-`, `_`, `.`."""

    def __init__(self, connection: Connection, values: Mapping[str, str]) -> None:
        """`values`: channel_secret and, while it is being replaced, previous_channel_secret.

        Raises ValueError when one is missing or short: with an empty secret anybody could make tokens.
        """
        names = [SECRETS[0], *({SECRETS[1]} & values.keys())]
        self._keys = [values.get(name, "").encode() for name in names]
        for name, key in zip(names, self._keys, strict=True):
            if len(key) < _MIN_LENGTH:
                raise ValueError(
                    f"The secret {name!r} of connection {connection.id!r} is missing or shorter than {_MIN_LENGTH} "
                    "characters. Make one up at random; it is never shown to the platform itself."
                )

    def make(self, purpose: str) -> str:
        """Return a new token for this purpose (the channel or resource that it is handed out for)."""
        nonce = secrets.token_urlsafe(_NONCE_BYTES)
        return f"{nonce}.{_mac(self._keys[0], nonce, purpose)}"

    def proves(self, token: str, purpose: str) -> bool:
        """Tell whether the token was made here, for this purpose."""
        nonce, _, mac = token.partition(".")
        given = mac.encode("utf-8", "surrogatepass")
        matches = [hmac.compare_digest(_mac(key, nonce, purpose).encode(), given) for key in self._keys]
        return any(matches)


def _mac(key: bytes, nonce: str, purpose: str) -> str:
    signed = f"{nonce}\x1f{purpose}".encode("utf-8", "surrogatepass")
    return base64.urlsafe_b64encode(hmac.digest(key, signed, "sha256")).decode().rstrip("=")
