"""What Microsoft Graph's refusals mean: one table per area, the first matching row decides.

Graph's error codes are coarse and partly undocumented, so rows look at the status, at the codes on every level of
`error` and `innerError`, and at the English text. Text is matched tolerantly and always kept in the detail.
"""

import json
import math
import re
from collections.abc import Container, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from shared.domain.reasons import Reason
from shared.domain.trouble import LaterError, RefusedError, UnansweredError

_LONGEST_WAIT = timedelta(days=1)  # SharePoint's longest budget is counted per 24 hours.
_LONGEST_DETAIL = 500
# httpx before a connection stands, and azure-identity without a token.
_NEVER_SENT = (
    "ConnectError",
    "ConnectTimeout",
    "PoolTimeout",
    "ClientAuthenticationError",
    "CredentialUnavailableError",
)


class NotThereError(LaterError):
    """A 404: the item, permission or user is not there (yet)."""


@dataclass(frozen=True)
class Row:
    """One kind of refusal: every condition that is given must hold.

    `codes` are lower case and looked for on every level, `text` is a pattern for the lower-case messages.
    `hint` adds the application permission that may be missing to the detail.
    """

    kind: type[LaterError | RefusedError]
    reason: Reason
    status: Container[int] = range(1000)
    codes: tuple[str, ...] = ()
    text: str = ""
    hint: bool = False


@dataclass(frozen=True)
class Area:
    """A part of Graph with its own refusals, and the least application permission for it."""

    permission: str
    rows: tuple[Row, ...]


_BUSY = (
    Row(LaterError, Reason.GRAPH, status=(429, 503)),
    Row(UnansweredError, Reason.GRAPH, status=(504,)),  # a write may have succeeded: read, then repeat
    Row(LaterError, Reason.GRAPH, status=(408, 409, 423)),  # timeout, two writers at once, locked
    Row(LaterError, Reason.GRAPH, codes=("resourcelocked",)),
)

_USERS = (
    # For seconds to minutes after an invitation (msgraph-sdk-dotnet #2508, hashicorp/terraform-provider-azuread).
    Row(LaterError, Reason.REPLICATION, codes=("directory_objectnotfound",)),
    Row(LaterError, Reason.REPLICATION, text=r"not a valid reference update"),
    Row(NotThereError, Reason.REPLICATION, status=(404,)),
)

_LISTED = "(block|deny|denied|not allowed|restrict|allow ?list)"

_INVITING = (
    Row(RefusedError, Reason.ACCOUNT_DISABLED, text=r"object id: .*account is blocked from signing in"),
    Row(RefusedError, Reason.EXISTING_ACCOUNT, text=r"already exists in the directory"),
    Row(RefusedError, Reason.EXISTING_ACCOUNT, text=r"another object with the same value for property proxyaddresses"),
    Row(RefusedError, Reason.ADDRESS_NOT_INVITABLE, text=r"is a verified domain of this directory"),
    Row(RefusedError, Reason.ADDRESS_NOT_INVITABLE, text=r"invitee is in inviter tenant"),
    Row(RefusedError, Reason.ADDRESS_NOT_INVITABLE, text=r"group email address is not supported"),
    Row(RefusedError, Reason.UNDELIVERABLE, text=r"unable to find target address"),  # comes as a 500
    Row(RefusedError, Reason.ADDRESS_NOT_INVITABLE, text=r"invalid value.*inviteduseremailaddress"),
    Row(RefusedError, Reason.INVITING_NOT_ALLOWED, text=r"guest invitations not allowed"),
    # Microsoft's protection against abuse; only its support lifts it (Microsoft Q&A 5781008).
    Row(RefusedError, Reason.INVITING_NOT_ALLOWED, text=r"suspicious behaviou?r"),
    Row(RefusedError, Reason.DOMAIN_BLOCKED, text=r"blocked by cross-tenant access settings"),
    Row(RefusedError, Reason.DOMAIN_BLOCKED, text=rf"\bdomains?\b.*{_LISTED}"),
    Row(RefusedError, Reason.DOMAIN_BLOCKED, text=rf"{_LISTED}.*\bdomains?\b"),
    Row(RefusedError, Reason.INVITING_NOT_ALLOWED, status=(403,), hint=True),
    *_USERS,
    Row(RefusedError, Reason.INVITATION_REFUSED, status=(400,)),
)

_MAILING = (
    Row(RefusedError, Reason.UNDELIVERABLE, codes=("errorinvalidrecipients",)),
    Row(LaterError, Reason.GRAPH, codes=("errorexceededmessagelimit", "applicationthrottled", "errorserverbusy")),
    Row(RefusedError, Reason.MAIL_REFUSED, status=(400, 403, 404), hint=True),
)

_READING_ITEMS = (Row(NotThereError, Reason.DESTINATION_ITEM, status=(404,)),)

_SHARING_ITEMS = (
    Row(LaterError, Reason.REPLICATION, codes=("noresolvedusers",)),
    Row(LaterError, Reason.REPLICATION, status=(400,), text=r"users? could not be resolved"),
    # Also the answer to some recipients although the body is good; the caller bounds the tries.
    Row(LaterError, Reason.GRAPH, status=(400,), text=r"the request is malformed or incorrect"),
    Row(RefusedError, Reason.SHARING_DISABLED, codes=("sharingdisabled", "sharingfailed", "notallowed")),
    Row(RefusedError, Reason.SHARING_DISABLED, codes=("accessdenied",), hint=True),
    Row(RefusedError, Reason.SHARING_DISABLED, status=(403,), hint=True),
    # Often a person whom the app would have to bring in, which it may not; the caller bounds the tries.
    Row(LaterError, Reason.GRAPH, status=(500,), codes=("generalexception",)),
    *_READING_ITEMS,
)

_ANY = (
    Row(LaterError, Reason.GRAPH, status=(401,), codes=("invalidauthenticationtoken",)),
    Row(RefusedError, Reason.GRAPH_REFUSED, status=(401, 403), hint=True),
    Row(UnansweredError, Reason.GRAPH, status=range(500, 600)),
    Row(RefusedError, Reason.GRAPH_REFUSED),
)

USERS = Area("User.Read.All", _USERS)
INVITING = Area("User.Invite.All", _INVITING)
MAILING = Area("Mail.Send", _MAILING)
POLICIES = Area("Policy.Read.All", ())
ORGANIZATION = Area("Organization.Read.All", ())
APPLICATIONS = Area("Application.Read.All", ())
SHARING_SETTINGS = Area("SharePointTenantSettings.Read.All", ())
READING_ITEMS = Area("Files.ReadWrite.All", _READING_ITEMS)
SHARING_ITEMS = Area("Files.ReadWrite.All", _SHARING_ITEMS)


def refusal(area: Area, status: int, headers: Mapping[str, str], body: bytes) -> LaterError | RefusedError:
    """Return the error that an answer of Graph stands for, whatever the answer holds. `headers` ignore letter case."""
    codes, messages = _read(body)
    lower = {code.lower() for code in codes}
    text = "\n".join(messages).lower()
    row = next(
        row
        for row in (*_BUSY, *area.rows, *_ANY)
        if status in row.status
        and (not row.codes or not lower.isdisjoint(row.codes))
        and re.search(row.text, text, re.DOTALL)
    )
    detail = scrub(": ".join([f"HTTP {status}", "/".join(codes), *messages[:1]]))
    if row.hint:
        detail += f" (Does the app have the application permission {area.permission}?)"
    if issubclass(row.kind, LaterError):
        return row.kind(row.reason, _asked_wait(headers), detail)
    return RefusedError(row.reason, detail)


def unreached(error: Exception) -> LaterError:
    """Return the error for a call without an answer. Unless no connection was made, it may have been carried out."""
    name = type(error).__name__
    kind = LaterError if name in _NEVER_SENT else UnansweredError
    return kind(Reason.GRAPH, detail=name)


def scrub(text: str) -> str:
    """Return the text without e-mail addresses, logins and links, short and printable."""
    words = re.sub(r'"[^"]*"@', "@", text).split()
    clean = " ".join("(link)" if "://" in w else "(address)" if "@" in w or "%40" in w else w for w in words)
    return "".join(c for c in clean if c.isprintable())[:_LONGEST_DETAIL]


def _read(body: bytes) -> tuple[list[str], list[str]]:
    """Collect codes and messages from `error` inwards. The inner key is spelled in two ways."""
    codes: list[str] = []
    messages: list[str] = []
    try:
        parsed: Any = json.loads(body)
    except (ValueError, RecursionError):
        return codes, messages
    level = parsed.get("error") if isinstance(parsed, dict) else None
    while isinstance(level, dict):
        codes += [code] if isinstance(code := level.get("code"), str) and code else []
        messages += [message] if isinstance(message := level.get("message"), str) and message else []
        level = level.get("innerError") or level.get("innererror")
    return codes, messages


def _asked_wait(headers: Mapping[str, str]) -> timedelta | None:
    """Return the larger of Retry-After and RateLimit-Reset, as Microsoft asks; None when neither asks for anything."""
    waits = [_seconds(headers.get("Retry-After")), _seconds(headers.get("RateLimit-Reset"))]
    longest = max((seconds for seconds in waits if seconds and seconds > 0), default=None)
    return timedelta(seconds=min(longest, _LONGEST_WAIT.total_seconds())) if longest else None


def _seconds(value: str | None) -> float | None:
    """Read seconds or an HTTP date (RFC 9110, Retry-After)."""
    try:
        seconds = float(value or "")
    except ValueError:
        try:
            moment = parsedate_to_datetime(value or "")
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            return (moment - datetime.now(UTC)).total_seconds()
        except (ValueError, OverflowError, IndexError):
            return None
    return None if math.isnan(seconds) else seconds
