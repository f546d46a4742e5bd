"""A call to Graph, its answer, and what their query options have in common."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

from local.tenant.errors import bad_request, directory_bad_request, invalid_request
from local.tenant.state import iso


@dataclass(frozen=True)
class Call:
    """A request below /v1.0. `path` is decoded and holds no double slash; `origin` is scheme and host."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    origin: str

    @property
    def advanced(self) -> bool:
        """Whether the caller accepts an eventually consistent answer."""
        return self.headers.get("ConsistencyLevel", "").lower() == "eventual"

    @property
    def sharepoint(self) -> bool:
        """Whether SharePoint, rather than the directory, answers."""
        return self.path.startswith(("/drives/", "/shares/", "/admin/sharepoint", "/sites")) or self.path.endswith(
            "/drive"
        )

    def check_options(self, *allowed: str) -> None:
        """Raises GraphError 400 for a query option that the call does not declare."""
        for name in self.query:
            if name not in allowed:
                raise bad_request(f"The query option '{name}' is not supported by this call.")

    def json(self, allowed: set[str] | None = None) -> dict[str, Any]:
        """The body as a JSON object; raises GraphError 400 for anything else or an undeclared property."""
        try:
            body = json.loads(self.body)
        except ValueError:
            raise bad_request(
                "Unable to read JSON request payload. Please ensure Content-Type header is set."
            ) from None
        if not isinstance(body, dict):
            raise bad_request("Unable to read JSON request payload.")
        for name in body:
            if allowed is not None and name not in allowed:
                raise invalid_request(f"The parameter '{name}' in the request payload is not valid.")
        return body


@dataclass
class Answer:
    """What goes back; a body of None is no content."""

    status: int
    body: dict[str, Any] | None = None
    headers: dict[str, str] = field(default_factory=dict)


def select(row: dict[str, Any], query: Mapping[str, str]) -> dict[str, Any]:
    """The selected properties of a row, all without $select."""
    if "$select" not in query:
        return row
    names = {name.strip() for name in query["$select"].split(",")}
    return {name: value for name, value in row.items() if name in names}


def page[Row](
    call: Call, rows: Sequence[tuple[int, Row]], *, default: int, largest: int
) -> tuple[list[Row], str | None]:
    """One page of numbered rows and the absolute link to the next, which begins after the last number shown."""
    top = call.query.get("$top", str(default))
    if not top.isdigit() or not 1 <= int(top) <= largest:
        raise directory_bad_request(f"Invalid page size specified: '{top}'. Must be between 1 and {largest} inclusive.")
    after = _read_skip_token(call.query.get("$skiptoken"))
    rest = [(number, row) for number, row in rows if number > after]
    shown = rest[: int(top)]
    if len(rest) == len(shown):
        return [row for _, row in shown], None
    token = base64.urlsafe_b64encode(f"after:{shown[-1][0]}".encode()).decode().rstrip("=")
    query = urlencode({**call.query, "$skiptoken": token}, safe="$,")
    return [row for _, row in shown], f"{call.origin}/v1.0{quote(call.path, safe='/:!')}?{query}"


def _read_skip_token(token: str | None) -> int:
    if token is None:
        return 0
    try:
        return int(base64.urlsafe_b64decode(token + "==").decode().removeprefix("after:"))
    except ValueError:
        raise directory_bad_request("The skip token is not valid.") from None


def moment(value: Any) -> str | None:
    """A date and time of a request in the tenant's own form."""
    if value is None:
        return None
    try:
        parsed = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise invalid_request() from None
    return iso((parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp())
