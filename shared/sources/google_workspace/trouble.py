"""What Google's refusals mean. Their texts hold addresses and names: only status and reason code are passed on."""

import json
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from shared.domain.reasons import Reason
from shared.domain.trouble import LaterError, RefusedError

# Drive API, "Resolve errors", and Admin SDK, "Limits and quotas": a 403 that means to slow down.
_TOO_MUCH = {
    "rateLimitExceeded",
    "userRateLimitExceeded",
    "sharingRateLimitExceeded",
    "quotaExceeded",
    "dailyLimitExceeded",
}
_NOT_SET_UP = {"accessNotConfigured", "insufficientPermissions", "insufficientScopes"}
_DRIVE_OFF = {"authError", "domainPolicy", "serviceNotAvailable"}


class HiddenError(RefusedError):
    """Google does not show what was asked for to who asked: it is not there, or not theirs."""


class DriveOffError(RefusedError):
    """Drive is switched off for the person who was acted as, so they share nothing."""


class VoidTokenError(LaterError):
    """Google does not accept this page token any more: begin with the first page."""


def of_answer(status: int, headers: Mapping[str, Any], body: bytes, *, of_drive: bool) -> Exception:
    """Return what an answer of an API that is not a success means; `of_drive`: it is Drive's."""
    reason, location, message = _first_error(body)
    said = f"Google answered {status} {reason}".strip()
    if status == 429 or status >= 500 or (status == 403 and reason in _TOO_MUCH):
        return LaterError(Reason.SOURCE, _retry_after(headers), said)
    if status == 410 or (status == 400 and "pagetoken" in (location + message).replace(" ", "").lower()):
        return VoidTokenError(Reason.SOURCE, detail=said)
    if of_drive and status in (401, 403) and reason in _DRIVE_OFF:  # a token that was given a moment ago
        return DriveOffError(Reason.SOURCE_REFUSED, f"{said}: Drive is switched off for a person")
    if status == 401 and not reason.startswith("push."):
        return LaterError(Reason.SOURCE, detail=said)
    if status == 404 or (status == 403 and reason not in _NOT_SET_UP):
        return HiddenError(Reason.SOURCE_REFUSED, said)
    return RefusedError(Reason.SOURCE_REFUSED, said)


def of_token_endpoint(status: int, headers: Mapping[str, Any], body: bytes) -> Exception:
    """Return what it means that Google gave no token."""
    code = _json(body).get("error")
    said = f"Google gave no token: {status} {code if isinstance(code, str) and _is_plain(code) else ''}".strip()
    if status >= 500 or status not in (400, 401, 403):
        return LaterError(Reason.SOURCE, _retry_after(headers), said)
    if code == "invalid_grant":
        return RefusedError(Reason.SOURCE_REFUSED, f"{said}: the key, or a person, is not known or not active")
    return RefusedError(Reason.SOURCE_REFUSED, f"{said}. Check the key, and its scopes under domain-wide delegation")


def _first_error(body: bytes) -> tuple[str, str, str]:
    """Return reason, location and message of the first error that an answer names."""
    error = _json(body).get("error")
    errors = error.get("errors") if isinstance(error, dict) else None
    first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {}
    reason, location, message = (str(first.get(name, "")) for name in ("reason", "location", "message"))
    return reason if _is_plain(reason) else "", location, message


def _is_plain(code: str) -> bool:
    return re.fullmatch(r"[A-Za-z_.]{1,60}", code) is not None


def _json(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _retry_after(headers: Mapping[str, Any]) -> timedelta | None:
    given = {name.lower(): str(value) for name, value in headers.items()}.get("retry-after", "")
    return timedelta(seconds=int(given)) if re.fullmatch(r"[0-9]{1,6}", given, re.ASCII) else None
