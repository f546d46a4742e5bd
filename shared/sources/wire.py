"""What the platforms' deliveries have in common on the wire: headers, timestamps, and the words for a rejection."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BeforeValidator, ValidationError, WithJsonSchema

from shared.domain.trouble import RejectedError

_RFC3339 = r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})"
_PLAIN_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}", re.ASCII)
_MOST_FAULTS = 20


class Rejection(StrEnum):
    """Why a delivery is not accepted: a stable code, the HTTP status and a sentence that reveals nothing."""

    status: int
    sentence: str

    def __new__(cls, code: str, status: int, sentence: str) -> "Rejection":
        """Make a member whose value is the code."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.status, member.sentence = status, sentence
        return member

    HEADER_REPEATED = "header-repeated", 400, "A header of the signature is there more than once."
    ID_MISSING = "id-missing", 400, "The header with the delivery's id is missing."
    ID_INVALID = (
        "id-invalid",
        400,
        "The delivery's id has more than 200 characters or others than letters, digits, _ and -.",
    )
    SIGNATURE_MISSING = "signature-missing", 401, "The signature is missing."
    SIGNATURE_SCHEME = "signature-scheme", 401, "The signature's version or algorithm is not the documented one."
    SIGNATURE_WRONG = "signature-wrong", 401, "The signature does not match the body."
    TIMESTAMP_MISSING = "timestamp-missing", 401, "The header with the time of the delivery is missing."
    TIMESTAMP_INVALID = "timestamp-invalid", 401, "The time of the delivery is not written as documented."
    TIMESTAMP_OUTSIDE_WINDOW = (
        "timestamp-outside-window",
        401,
        "The delivery is too old, or it comes from the future: compare the clocks, and sign each attempt anew.",
    )
    BODY_NOT_JSON = "body-not-json", 400, "The body is not a JSON object in UTF-8."
    CONTRACT_VIOLATED = "contract-violated", 400, "The document is not what the contract says."

    def error(self, detail: str | None = None) -> RejectedError:
        """Return the error to raise; `detail` goes to the sender, behind the sentence."""
        return RejectedError(self.status, self.value, f"{self.sentence} {detail}" if detail else self.sentence)


def header(headers: Mapping[str, str], name: str, *, has_commas: bool = False) -> str | None:
    """Return a header's value, None when it is missing or blank. `name` is in lower case.

    Raises RejectedError when it is there more than once: HTTP hosts join repeated headers with a comma, and a
    signature over one of two values proves nothing about the other. `has_commas` is for headers that hold commas.
    """
    values = [value for key, value in headers.items() if key.lower() == name]
    if len(values) > 1 or (values and "," in values[0] and not has_commas):
        raise Rejection.HEADER_REPEATED.error()
    return values[0] if values and values[0].strip() else None


def json_object(body: bytes) -> dict[str, Any]:
    """Return a body that is a JSON object (RFC 8259: without NaN and Infinity). Raises RejectedError for any other."""
    try:
        document = json.loads(body.decode(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise Rejection.BODY_NOT_JSON.error() from None
    if not isinstance(document, dict):
        raise Rejection.BODY_NOT_JSON.error()
    return document


def _refuse_constant(_: str) -> None:
    raise ValueError("NaN and Infinity are not JSON")


def parse_timestamp(text: object) -> datetime:
    """Return an RFC 3339 timestamp in UTC. Raises ValueError, also when the offset is missing."""
    if not isinstance(text, str) or not re.fullmatch(_RFC3339, text, re.ASCII):
        raise ValueError("not an RFC 3339 timestamp with an offset")
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError("not a time that exists") from error


Timestamp = Annotated[
    datetime,
    BeforeValidator(parse_timestamp),
    WithJsonSchema({"type": "string", "format": "date-time", "pattern": f"^{_RFC3339}$"}),
]


def faults(error: ValidationError) -> str:
    """Return every fault with its JSON path, and none of the document's values: they may be addresses."""
    found = [f"{_path(fault['loc'])}: {fault['msg']}" for fault in error.errors(include_url=False, include_input=False)]
    more = [f"and {len(found) - _MOST_FAULTS} more"] if len(found) > _MOST_FAULTS else []
    return "; ".join(found[:_MOST_FAULTS] + more)


def _path(location: tuple[int | str, ...]) -> str:
    return "$" + "".join(_step(part) for part in location)


def _step(part: int | str) -> str:
    if isinstance(part, int):
        return f"[{part}]"
    return f".{part}" if _PLAIN_NAME.fullmatch(part) else "[a name that is not in the contract]"
