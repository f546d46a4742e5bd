"""E-mail addresses: one spelling per mailbox, the guest key, and which addresses Entra can invite."""

import hashlib
import unicodedata

from email_validator import EmailNotValidError, validate_email

# Microsoft Graph, "Create invitation": these are refused in invitedUserEmailAddress.
_REFUSED_BY_INVITATIONS = frozenset("~!#$%^&*()+=[]{}\\/|;:'\"<>?,")


class InvalidAddressError(ValueError):
    """The text is not an e-mail address."""


def normalise(address: str) -> str:
    """Return the one spelling under which a mailbox is known: trimmed, NFC, lower case, ASCII domain.

    Lower case and not case folding: folding would merge `straße@` and `strasse@`, two mailboxes.
    Raises InvalidAddressError.
    """
    try:
        parts = validate_email(
            unicodedata.normalize("NFC", address.strip()),
            check_deliverability=False,
            globally_deliverable=False,
            allow_quoted_local=True,
        )
    except EmailNotValidError as error:
        raise InvalidAddressError("not an e-mail address") from error
    domain = parts.ascii_domain or parts.domain
    return f"{parts.local_part.lower()}@{domain.lower()}"


def domain_of(address: str) -> str:
    """Return what stands behind the last @."""
    return address.rpartition("@")[2]


def guest_key(normalised_address: str) -> str:
    """Return the guest key: what stands for the person in keys, logs and traces instead of the address."""
    return digest(normalised_address)


def digest(*parts: str) -> str:
    """Return 128 bits of SHA-256 over the parts as hex: short enough for a table key, collision-free in practice."""
    text = "\x1f".join(parts)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def is_invitable(normalised_address: str) -> bool:
    """Tell whether `POST /invitations` accepts the address at all (Microsoft Graph, "Create invitation")."""
    local = normalised_address.rpartition("@")[0]
    return not (set(local) & _REFUSED_BY_INVITATIONS or local[:1] in ".-" or local[-1:] in ".-")
